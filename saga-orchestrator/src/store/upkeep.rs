//! Upkeep: heartbeats, and who owns which saga. Few and small; never on a client's path.

use std::sync::Arc;

use brokerage_types::SagaId;
use service_kit::lane::{LaneError, Way, Work};
use service_kit::telemetry::TraceParent;
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::Leases;
use super::operate::{self, Operated, Operation};
use crate::engine::recover::{self, Seen};

/// One scan takes over so many sagas at most; the next follows at once.
pub(super) const ADOPTIONS_MAX: usize = 200;

/// A saga that this process drives from now on.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// Which.
    pub saga_id: SagaId,
    /// Its process.
    pub kind: String,
    /// Version of its definition.
    pub version: i16,
    /// Its input.
    pub input: serde_json::Value,
    /// The new epoch.
    pub epoch: i64,
    /// An operator wants it given up.
    pub abort_asked: bool,
    /// An operator wants it parked.
    pub paused: bool,
    /// Who asked for it.
    pub caller: String,
    /// With which request id.
    pub request_id: Uuid,
    /// Over the request.
    pub request_hash: Vec<u8>,
    /// The span of its first driver, if its trace is recorded.
    pub trace: Option<TraceParent>,
}

pub(super) enum Chore {
    Beat { owner: Uuid },
    Release { owner: Uuid },
    Adopt { owner: Uuid, driven: Arc<[Uuid]>, leases: Leases, room: i64 },
    Operate(Operation),
    Raise { owner: Uuid, saga_id: Uuid, epoch: i64 },
    Lost { owner: Uuid, driven: Vec<Uuid> },
    Unknown { saga_ids: Vec<Uuid> },
}

pub(super) enum Done {
    Nothing,
    Taken(Vec<Orphan>),
    Owned(bool),
    Lost(Vec<SagaId>),
    Operated(Option<Operated>),
    Unknown(Vec<Uuid>),
}

pub(super) struct Upkeep;

impl Work for Upkeep {
    type Item = Chore;
    type Answer = Done;

    async fn run(&self, tx: &mut PgConnection, items: &[Chore], _: Way) -> Result<Vec<Done>, LaneError> {
        if items.iter().all(|chore| matches!(chore, Chore::Beat { .. })) {
            sqlx::raw_sql("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
        }
        let mut answers = Vec::with_capacity(items.len());
        for chore in items {
            answers.push(match chore {
                Chore::Beat { owner } => beat(tx, *owner).await?,
                Chore::Release { owner } => release(tx, *owner).await?,
                Chore::Adopt { owner, driven, leases, room } => {
                    adopt(tx, *owner, driven, (*leases, *room)).await?
                }
                Chore::Operate(operation) => Done::Operated(operate::operate(tx, operation).await?),
                Chore::Raise { owner, saga_id, epoch } => raise(tx, *owner, *saga_id, *epoch).await?,
                Chore::Lost { owner, driven } => lost(tx, *owner, driven).await?,
                Chore::Unknown { saga_ids } => unknown(tx, saga_ids).await?,
            });
        }
        Ok(answers)
    }
}

async fn beat(tx: &mut PgConnection, owner: Uuid) -> Result<Done, LaneError> {
    sqlx::query!(
        "INSERT INTO owners (owner) VALUES ($1)
         ON CONFLICT (owner) DO UPDATE SET beat_at = clock_timestamp()",
        owner
    )
    .execute(tx)
    .await?;
    Ok(Done::Nothing)
}

async fn release(tx: &mut PgConnection, owner: Uuid) -> Result<Done, LaneError> {
    sqlx::query!("DELETE FROM owners WHERE owner = $1", owner).execute(tx).await?;
    Ok(Done::Nothing)
}

/// Looks at every active saga that may need a driver, decides, and takes over. Rows that another process is taking
/// over are skipped, and so are rows that a mark is being written to.
async fn adopt(
    tx: &mut PgConnection,
    me: Uuid,
    driven: &[Uuid],
    (leases, room): (Leases, i64),
) -> Result<Done, LaneError> {
    let lease = interval(leases.lease);
    let seen = sqlx::query!(
        r#"SELECT s.saga_id, s.owner,
                  EXISTS (SELECT 1 FROM owners o WHERE o.owner = s.owner
                          AND o.beat_at > clock_timestamp() - $3::interval) AS "owner_lives!",
                  s.updated_at < clock_timestamp() - CASE WHEN s.status = 5 THEN $4::interval ELSE $3::interval END
                      AS "is_quiet!"
           FROM sagas s
           WHERE s.ended_at IS NULL AND s.saga_id <> ALL($2)
             AND ((s.owner = $1 AND s.updated_at < clock_timestamp()
                                   - CASE WHEN s.status = 5 THEN $4::interval ELSE $3::interval END)
                  OR NOT EXISTS (SELECT 1 FROM owners o WHERE o.owner = s.owner
                                 AND o.beat_at > clock_timestamp() - $3::interval))
           ORDER BY s.saga_id LIMIT $5 FOR UPDATE OF s SKIP LOCKED"#,
        me,
        driven,
        lease,
        interval(leases.parked),
        room,
    )
    .fetch_all(&mut *tx)
    .await?;
    let seen: Vec<Seen> = seen
        .into_iter()
        .map(|row| Seen {
            saga_id: row.saga_id.into(),
            owner: row.owner,
            owner_lives: row.owner_lives,
            is_quiet: row.is_quiet,
        })
        .collect();
    let driven = driven.iter().copied().map(SagaId::from).collect();
    let planned: Vec<Uuid> = recover::plan(me, &driven, &seen).into_iter().map(SagaId::uuid).collect();
    // Owners that are long gone are forgotten; their sagas have been seen above.
    sqlx::query!("DELETE FROM owners WHERE beat_at < clock_timestamp() - 100 * $1::interval", lease)
        .execute(&mut *tx)
        .await?;
    Ok(Done::Taken(assign(tx, me, &planned).await?))
}

/// Makes these sagas ours. One that was parked for another reason than an operator's wish runs again from now on.
pub(super) async fn assign(
    tx: &mut PgConnection,
    me: Uuid,
    saga_ids: &[Uuid],
) -> Result<Vec<Orphan>, LaneError> {
    if saga_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "UPDATE sagas SET owner = $1, epoch = epoch + 1, updated_at = clock_timestamp(),
                          status = CASE WHEN status = 5 AND NOT paused THEN 1 ELSE status END,
                          reason = CASE WHEN status = 5 AND NOT paused THEN NULL ELSE reason END,
                          detail = CASE WHEN status = 5 AND NOT paused THEN NULL ELSE detail END
         WHERE saga_id = ANY($2) AND ended_at IS NULL
         RETURNING saga_id, kind, version, input, epoch, abort_asked, paused, caller, request_id, request_hash,
                   traceparent",
        me,
        saga_ids,
    )
    .fetch_all(tx)
    .await?;
    let orphans = rows.into_iter().map(|row| Orphan {
        saga_id: row.saga_id.into(),
        kind: row.kind,
        version: row.version,
        input: row.input,
        epoch: row.epoch,
        abort_asked: row.abort_asked,
        paused: row.paused,
        caller: row.caller,
        request_id: row.request_id,
        request_hash: row.request_hash,
        trace: row.traceparent.as_deref().and_then(TraceParent::parse),
    });
    Ok(orphans.collect())
}

async fn raise(tx: &mut PgConnection, me: Uuid, saga_id: Uuid, epoch: i64) -> Result<Done, LaneError> {
    let raised = sqlx::query!(
        "UPDATE sagas SET epoch = GREATEST(epoch, $3), updated_at = clock_timestamp()
         WHERE saga_id = $1 AND owner = $2 AND ended_at IS NULL",
        saga_id,
        me,
        epoch,
    )
    .execute(tx)
    .await?;
    Ok(Done::Owned(raised.rows_affected() == 1))
}

/// Which of these somebody else owns now, or has ended.
async fn lost(tx: &mut PgConnection, me: Uuid, driven: &[Uuid]) -> Result<Done, LaneError> {
    let lost = sqlx::query_scalar!(
        "SELECT saga_id FROM sagas WHERE saga_id = ANY($1) AND (owner <> $2 OR ended_at IS NOT NULL)",
        driven,
        me,
    )
    .fetch_all(tx)
    .await?;
    Ok(Done::Lost(lost.into_iter().map(SagaId::from).collect()))
}

/// Which of these this database has never heard of.
async fn unknown(tx: &mut PgConnection, saga_ids: &[Uuid]) -> Result<Done, LaneError> {
    let unknown = sqlx::query_scalar!(
        r#"SELECT DISTINCT begun.saga_id AS "saga_id!" FROM unnest($1::uuid[]) AS begun (saga_id)
           WHERE NOT EXISTS (SELECT 1 FROM sagas s WHERE s.saga_id = begun.saga_id)"#,
        saga_ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(Done::Unknown(unknown))
}

pub(super) fn interval(duration: std::time::Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
