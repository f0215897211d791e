//! What the orchestrator reads of its own sagas. A terminal state shows only once its mark is committed.

use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::fault::Fault;
use uuid::Uuid;

use super::upkeep::interval;
use super::{Entry, Known, Store};
use crate::engine::decide::Status;

/// One saga as stored.
#[derive(Clone, Debug)]
pub struct SagaRow {
    /// Its number.
    pub saga_id: Uuid,
    /// Which process.
    pub kind: String,
    /// Version of its definition.
    pub version: i16,
    /// See [`SagaRow::standing`].
    pub status: i16,
    /// Why it rolled back or is parked.
    pub reason: Option<String>,
    /// At which step, or what went wrong.
    pub detail: Option<String>,
    /// Who asked.
    pub caller: String,
    /// With which request id.
    pub request_id: Uuid,
    /// Its input.
    pub input: serde_json::Value,
    /// How often the driver changed.
    pub epoch: i64,
    /// Who drives it.
    pub owner: Uuid,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl SagaRow {
    /// Where it stands.
    ///
    /// # Errors
    /// A status that does not exist.
    pub fn standing(&self) -> Result<Status, Fault> {
        Status::from_code(self.status)
            .ok_or_else(|| Fault::internal("read a saga", format!("there is no status {}", self.status)))
    }

    /// Why it rolled back or is parked.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Reason::GaveUp)
    }
}

/// Which sagas to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Filter {
    /// Any of these, by code; all if empty.
    pub statuses: Vec<i16>,
    /// One kind only.
    pub kind: Option<String>,
    /// Sagas of this order only.
    pub order_id: Option<Uuid>,
}

/// The last saga of the page before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cursor(pub Uuid);

impl Store {
    /// One saga.
    ///
    /// # Errors
    /// The database.
    pub async fn saga(&self, saga_id: SagaId) -> Result<Option<SagaRow>, Fault> {
        let saga_id = saga_id.uuid();
        let read = move |pool| async move {
            let row = sqlx::query_as!(
                SagaRow,
                "SELECT saga_id, kind, version, status, reason, detail, caller, request_id, input, epoch, owner,
                        created_at, ended_at
                 FROM sagas WHERE saga_id = $1",
                saga_id
            );
            Ok(row.fetch_optional(&pool).await?)
        };
        self.reads.run("read a saga", read).await
    }

    /// What its drivers noted, oldest first.
    ///
    /// # Errors
    /// The database.
    pub async fn entries(&self, saga_id: SagaId) -> Result<Vec<Entry>, Fault> {
        let saga_id = saga_id.uuid();
        let read = move |pool| async move {
            let rows = sqlx::query_scalar!(
                "SELECT entries FROM saga_log WHERE saga_id = $1 ORDER BY epoch, seq LIMIT 1000",
                saga_id
            )
            .fetch_all(&pool)
            .await?;
            let mut entries: Vec<Entry> = Vec::new();
            for row in rows {
                let some: Vec<Entry> = serde_json::from_value(row)
                    .map_err(|error| Fault::internal("decode a saga's log", error))?;
                entries.extend(some);
            }
            Ok(entries)
        };
        self.reads.run("read a saga's log", read).await
    }

    /// Newest first, at most `limit`, after the cursor.
    ///
    /// # Errors
    /// The database.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: i64,
    ) -> Result<Vec<SagaRow>, Fault> {
        let filter = filter.clone();
        let after = after.map(|Cursor(saga_id)| saga_id);
        // Active sagas are few and have an index of their own.
        let active_only = !filter.statuses.is_empty()
            && filter
                .statuses
                .iter()
                .all(|&code| Status::from_code(code).is_some_and(|status| !status.has_ended()));
        let read = move |pool| async move {
            let statuses = (!filter.statuses.is_empty()).then_some(filter.statuses);
            let rows = if active_only {
                sqlx::query_as!(
                    SagaRow,
                    "SELECT saga_id, kind, version, status, reason, detail, caller, request_id, input, epoch, owner,
                            created_at, ended_at
                     FROM sagas
                     WHERE ended_at IS NULL AND ($1::int2[] IS NULL OR status = ANY($1))
                       AND ($2::text IS NULL OR kind = $2)
                       AND ($3::uuid IS NULL OR saga_id = $3 OR order_id = $3 OR other_order_id = $3)
                       AND ($4::uuid IS NULL OR saga_id < $4)
                     ORDER BY saga_id DESC LIMIT $5",
                    statuses.as_deref(),
                    filter.kind,
                    filter.order_id,
                    after,
                    limit,
                )
                .fetch_all(&pool)
                .await?
            } else {
                sqlx::query_as!(
                    SagaRow,
                    "SELECT saga_id, kind, version, status, reason, detail, caller, request_id, input, epoch, owner,
                            created_at, ended_at
                     FROM sagas
                     WHERE ($1::int2[] IS NULL OR status = ANY($1))
                       AND ($2::text IS NULL OR kind = $2)
                       AND ($3::uuid IS NULL OR saga_id = $3 OR order_id = $3 OR other_order_id = $3)
                       AND ($4::uuid IS NULL OR saga_id < $4)
                     ORDER BY saga_id DESC LIMIT $5",
                    statuses.as_deref(),
                    filter.kind,
                    filter.order_id,
                    after,
                    limit,
                )
                .fetch_all(&pool)
                .await?
            };
            Ok(rows)
        };
        self.reads.run("list sagas", read).await
    }

    /// When an owner beat last, and whether that is within the lease; `None` if there is no such owner any more.
    ///
    /// # Errors
    /// The database.
    pub async fn beat_of(
        &self,
        owner: Uuid,
        lease: Duration,
    ) -> Result<Option<(DateTime<Utc>, bool)>, Fault> {
        let lease = interval(lease);
        let read = move |pool| async move {
            let beat = sqlx::query!(
                r#"SELECT beat_at, beat_at > clock_timestamp() - $2::interval AS "is_alive!"
                   FROM owners WHERE owner = $1"#,
                owner,
                lease,
            );
            Ok(beat.fetch_optional(&pool).await?.map(|beat| (beat.beat_at, beat.is_alive)))
        };
        self.reads.run("read a heartbeat", read).await
    }

    /// Whether no owner that beats is older than this one.
    ///
    /// # Errors
    /// The database.
    pub async fn is_eldest(&self, me: Uuid, lease: Duration) -> Result<bool, Fault> {
        let lease = interval(lease);
        let read = move |pool| async move {
            let is_eldest = sqlx::query_scalar!(
                r#"SELECT NOT EXISTS (SELECT 1 FROM owners
                                      WHERE owner < $1 AND beat_at > clock_timestamp() - $2::interval) AS "eldest!""#,
                me,
                lease,
            );
            Ok(is_eldest.fetch_one(&pool).await?)
        };
        self.reads.run("look for the eldest owner", read).await
    }

    /// The sagas that are under way on an order, besides one.
    ///
    /// # Errors
    /// The database.
    pub async fn under_way(&self, order_id: Uuid, besides: SagaId) -> Result<Vec<SagaId>, Fault> {
        let besides = besides.uuid();
        let read = move |pool| async move {
            let others = sqlx::query_scalar!(
                "SELECT saga_id FROM sagas
                 WHERE ended_at IS NULL AND saga_id <> $2
                   AND (saga_id = $1 OR order_id = $1 OR other_order_id = $1)
                 ORDER BY saga_id LIMIT 20",
                order_id,
                besides,
            );
            let others = others.fetch_all(&pool).await?;
            Ok(others.into_iter().map(SagaId::from).collect())
        };
        self.reads.run("list sagas of an order", read).await
    }

    /// The saga that answers this request, if one does.
    ///
    /// # Errors
    /// The database.
    pub async fn known(
        &self,
        caller: &str,
        kind: &'static str,
        request_id: Uuid,
        request_hash: [u8; 32],
    ) -> Result<Option<Known>, Fault> {
        let caller = caller.to_owned();
        let read = move |pool| async move {
            let row = sqlx::query!(
                r#"SELECT saga_id AS "saga_id!", request_hash AS "request_hash!" FROM (
                       SELECT saga_id, request_hash FROM sagas
                       WHERE caller = $1 AND kind = $2 AND request_id = $3
                       UNION ALL
                       SELECT r.saga_id, r.request_hash FROM saga_requests r
                       WHERE r.caller = $1 AND r.kind = $2 AND r.request_id = $3) known
                   LIMIT 1"#,
                caller,
                kind,
                request_id,
            )
            .fetch_optional(&pool)
            .await?;
            Ok(row.map(|row| Known {
                saga_id: row.saga_id.into(),
                same_payload: row.request_hash == request_hash,
                replayed: true,
            }))
        };
        self.reads.run("find a request", read).await
    }
}
