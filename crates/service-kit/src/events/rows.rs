//! The outbox as readers of the log see it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::cursor::Cursor;

/// A row of the log that a consumer passes.
#[derive(Debug)]
pub(super) struct Seen {
    pub position: i64,
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    /// Nothing if the consumer did not ask for its kind.
    pub content: Option<Content>,
}

/// What is sent of an event besides.
#[derive(Debug)]
pub(super) struct Content {
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub seq: i64,
    pub kind: String,
    pub payload: String,
    pub traceparent: Option<String>,
}

/// At most `limit` rows behind `after` up to `until`, in order of position.
pub(super) async fn between(
    pool: &PgPool,
    (after, until): (i64, i64),
    types: Option<&[String]>,
    limit: i64,
) -> Result<Vec<Seen>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT position, id, created_at, aggregatetype, aggregateid, seq, type AS kind, traceparent,
                  CASE WHEN $3::text[] IS NULL OR aggregatetype = ANY($3) THEN payload::text END AS payload
           FROM outbox WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $4"#,
        after,
        until,
        types as Option<&[String]>,
        limit,
    )
    .fetch_all(pool)
    .await?;
    let seen = rows.into_iter().map(|row| Seen {
        position: row.position,
        id: row.id,
        created_at: row.created_at,
        content: row.payload.map(|payload| Content {
            aggregate_type: row.aggregatetype,
            aggregate_id: row.aggregateid,
            seq: row.seq,
            kind: row.kind,
            payload,
            traceparent: row.traceparent,
        }),
    });
    Ok(seen.collect())
}

/// Whether the cursor's event stands where the cursor says.
pub(super) async fn holds(pool: &PgPool, cursor: Cursor) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM outbox WHERE position = $1 AND id = $2) AS "holds!""#,
        cursor.position,
        cursor.id
    )
    .fetch_one(pool)
    .await
}

/// The last event up to `until`.
pub(super) async fn last_until(pool: &PgPool, until: i64) -> Result<Option<Cursor>, sqlx::Error> {
    sqlx::query_as!(
        Cursor,
        "SELECT position, id FROM outbox WHERE position <= $1 ORDER BY position DESC LIMIT 1",
        until
    )
    .fetch_optional(pool)
    .await
}

/// The highest position that can be seen; 0 if there is none.
pub(super) async fn head(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let head = sqlx::query_scalar!("SELECT position FROM outbox ORDER BY position DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(head.unwrap_or_default())
}

/// The positions behind `after` that can be seen, at most `limit`, in order.
pub(super) async fn positions_after(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT position FROM outbox WHERE position > $1 ORDER BY position LIMIT $2",
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// The transactions that have written to the outbox, or are about to, and have not ended. Each got the table's lock
/// before its first position, and lets go of it after its rows can be seen.
pub(super) async fn writers(connection: &mut PgConnection) -> Result<HashSet<String>, sqlx::Error> {
    let writers = sqlx::query_scalar!(
        r#"SELECT virtualtransaction AS "writer!" FROM pg_locks
           WHERE locktype = 'relation' AND relation = 'outbox'::regclass AND mode = 'RowExclusiveLock' AND granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"#
    )
    .fetch_all(connection)
    .await?;
    Ok(writers.into_iter().collect())
}
