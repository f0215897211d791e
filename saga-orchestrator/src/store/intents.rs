//! Intents: durable before the first effect, at most one for each (caller, kind, request id).
//!
//! On the usual path this is one INSERT for a whole batch, which does not look whether a request id is known: that costs
//! as much as a third of it, and the key says so anyway. Once one is, batches look for a while (`Caution`). The losers of
//! a conflict are told which saga won, in a separate SELECT, because one statement could see neither.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerage_types::SagaId;
use service_kit::database;
use service_kit::defect;
use service_kit::lane::{Caution, LaneError, Way, Work};
use service_kit::telemetry::TraceParent;
use sqlx::PgConnection;
use uuid::Uuid;

/// A saga to be.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Its number.
    pub saga_id: SagaId,
    /// Which process.
    pub kind: &'static str,
    /// Version of its definition.
    pub version: i16,
    /// Who asks.
    pub caller: String,
    /// The caller's request id.
    pub request_id: Uuid,
    /// Over the request as the caller means it.
    pub request_hash: [u8; 32],
    /// The immutable input, as JSON.
    pub input: String,
    /// The orders it touches besides the one with its own number.
    pub orders: [Option<Uuid>; 2],
    /// At most one active saga has this key; whoever comes second joins it.
    pub conflict_key: Option<String>,
    /// The process that will drive it.
    pub owner: Uuid,
    /// The span that will drive it, if its trace is recorded.
    pub trace: Option<TraceParent>,
}

/// What became of an intent.
#[derive(Clone, Debug)]
pub enum Accepted {
    /// It is durable: drive it.
    New,
    /// A saga answers this request already.
    Known(Known),
}

/// The saga that answers a request already.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number.
    pub saga_id: SagaId,
    /// Whether the request id came with the same payload before, or for the first time (it joins then).
    pub same_payload: bool,
    /// Whether it came before.
    pub replayed: bool,
}

type Key = (String, String, Uuid);

impl Intent {
    fn key(&self) -> Key {
        (self.caller.clone(), self.kind.to_owned(), self.request_id)
    }
}

#[derive(Default)]
pub(super) struct Intents {
    caution: Mutex<Caution>,
}

impl Intents {
    fn caution(&self) -> MutexGuard<'_, Caution> {
        self.caution.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Intents {
    type Item = Intent;
    type Answer = Accepted;
    /// Orders that come one by one would make the most batches of all, and the smallest, and their steps after them.
    const SPACING: Duration = Duration::from_millis(5);

    /// The INSERT. If it comes up short, what is read afterwards can be read again: own rows are known as such.
    fn way(&self, items: &[Intent], _: u32) -> Way {
        if items.iter().all(|item| item.conflict_key.is_none()) { Way::Statements } else { Way::Transaction }
    }

    async fn run(&self, tx: &mut PgConnection, items: &[Intent], _: Way) -> Result<Vec<Accepted>, LaneError> {
        if items.iter().all(|item| item.conflict_key.is_none()) && !self.caution().looks_first() {
            // A request id that is known makes all of it fail, and the lane runs the batch again.
            let inserted = insert_new(tx, items).await;
            match &inserted {
                Ok(()) => self.caution().was_right(),
                Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                    self.caution().was_wrong();
                }
                Err(_) => {}
            }
            return Ok(inserted.map(|()| vec![Accepted::New; items.len()])?);
        }
        let claimed = claim_requests(tx, items).await?;
        let candidates: Vec<&Intent> = items
            .iter()
            .filter(|item| item.conflict_key.is_none() || claimed.contains(&item.saga_id))
            .collect();
        let inserted = insert(tx, &candidates).await?;
        if inserted.len() == items.len() {
            return Ok(vec![Accepted::New; items.len()]);
        }
        let lost: Vec<&Intent> = items.iter().filter(|item| !inserted.contains(&item.saga_id)).collect();
        let stored = stored(tx, &lost).await?;
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            answers.push(if inserted.contains(&item.saga_id) {
                Accepted::New
            } else if let Some((saga_id, hash)) = stored.get(&item.key()) {
                // Our own row: an earlier commit of this batch succeeded, though nobody heard of it.
                if *saga_id == item.saga_id {
                    Accepted::New
                } else {
                    let same_payload =
                        *hash == item.request_hash || defect::is_seeded("reused_request_id_answered");
                    Accepted::Known(Known { saga_id: *saga_id, same_payload, replayed: true })
                }
            } else {
                join(tx, item).await?
            });
        }
        database::confirm(tx).await?;
        Ok(answers)
    }
}

/// Takes the request ids of kinds that share sagas. These are the items that got theirs.
async fn claim_requests(tx: &mut PgConnection, items: &[Intent]) -> Result<HashSet<SagaId>, LaneError> {
    let sharing: Vec<&Intent> = items.iter().filter(|item| item.conflict_key.is_some()).collect();
    if sharing.is_empty() {
        return Ok(HashSet::new());
    }
    let keys = Keys::of(&sharing);
    let hashes: Vec<Vec<u8>> = sharing.iter().map(|item| item.request_hash.to_vec()).collect();
    let saga_ids: Vec<Uuid> = sharing.iter().map(|item| item.saga_id.uuid()).collect();
    let claimed = sqlx::query_scalar!(
        "INSERT INTO saga_requests (caller, kind, request_id, request_hash, saga_id)
         SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[], $5::uuid[])
         ON CONFLICT DO NOTHING RETURNING saga_id",
        &keys.callers,
        &keys.kinds,
        &keys.request_ids,
        &hashes,
        &saga_ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(claimed.into_iter().map(SagaId::from).collect())
}

/// The statement that inserts intents, with `$end` behind it.
macro_rules! insert {
    ($query:ident, $items:expr, $end:literal) => {{
        let items: Vec<&Intent> = $items;
        let keys = Keys::of(&items);
        let saga_ids: Vec<Uuid> = items.iter().map(|item| item.saga_id.uuid()).collect();
        let versions: Vec<i16> = items.iter().map(|item| item.version).collect();
        let hashes: Vec<Vec<u8>> = items.iter().map(|item| item.request_hash.to_vec()).collect();
        let inputs: Vec<String> = items.iter().map(|item| item.input.clone()).collect();
        let orders: Vec<Option<Uuid>> = items.iter().map(|item| item.orders[0]).collect();
        let other_orders: Vec<Option<Uuid>> = items.iter().map(|item| item.orders[1]).collect();
        let conflicts: Vec<Option<String>> = items.iter().map(|item| item.conflict_key.clone()).collect();
        let owners: Vec<Uuid> = items.iter().map(|item| item.owner).collect();
        let traces: Vec<Option<String>> =
            items.iter().map(|item| item.trace.map(|trace| trace.to_string())).collect();
        sqlx::$query!(
            "INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, order_id,
                                other_order_id, conflict_key, owner, traceparent)
             SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::int2[]), unnest($4::text[]),
                    unnest($5::uuid[]), unnest($6::bytea[]), unnest($7::text[])::jsonb, unnest($8::uuid[]),
                    unnest($9::uuid[]), unnest($10::text[]), unnest($11::uuid[]), unnest($12::text[]) "
                + $end,
            &saga_ids,
            &keys.kinds,
            &versions,
            &keys.callers,
            &keys.request_ids,
            &hashes,
            &inputs,
            &orders as &[Option<Uuid>],
            &other_orders as &[Option<Uuid>],
            &conflicts as &[Option<String>],
            &owners,
            &traces as &[Option<String>],
        )
    }};
}

/// All of them, or none.
async fn insert_new(tx: &mut PgConnection, items: &[Intent]) -> Result<(), sqlx::Error> {
    insert!(query, items.iter().collect(), "").execute(tx).await?;
    Ok(())
}

/// Those whose place is free.
async fn insert(tx: &mut PgConnection, items: &[&Intent]) -> Result<HashSet<SagaId>, LaneError> {
    if items.is_empty() {
        return Ok(HashSet::new());
    }
    let inserted =
        insert!(query_scalar, items.to_vec(), "ON CONFLICT DO NOTHING RETURNING saga_id").fetch_all(tx);
    Ok(inserted.await?.into_iter().map(SagaId::from).collect())
}

/// The sagas that have these request ids, and what they were asked with.
async fn stored(
    tx: &mut PgConnection,
    items: &[&Intent],
) -> Result<HashMap<Key, (SagaId, Vec<u8>)>, LaneError> {
    let keys = Keys::of(items);
    let own = sqlx::query!(
        "SELECT s.caller, s.kind, s.request_id, s.request_hash, s.saga_id
         FROM unnest($1::text[], $2::text[], $3::uuid[]) AS k (caller, kind, request_id)
         JOIN sagas s ON s.caller = k.caller AND s.kind = k.kind AND s.request_id = k.request_id
         WHERE s.caller = ANY($1) AND s.kind = ANY($2) AND s.request_id = ANY($3)",
        &keys.callers,
        &keys.kinds,
        &keys.request_ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut found: HashMap<Key, (SagaId, Vec<u8>)> = HashMap::new();
    for row in own {
        found.insert((row.caller, row.kind, row.request_id), (row.saga_id.into(), row.request_hash));
    }
    if items.iter().all(|item| item.conflict_key.is_none()) {
        return Ok(found);
    }
    // A request that joined a saga, or is about to: its row may point to a saga that does not exist (yet).
    let joined = sqlx::query!(
        "SELECT r.caller, r.kind, r.request_id, r.request_hash, r.saga_id
         FROM unnest($1::text[], $2::text[], $3::uuid[]) AS k (caller, kind, request_id)
         JOIN saga_requests r ON r.caller = k.caller AND r.kind = k.kind AND r.request_id = k.request_id
         JOIN sagas s ON s.saga_id = r.saga_id
         WHERE r.caller = ANY($1) AND r.kind = ANY($2) AND r.request_id = ANY($3)",
        &keys.callers,
        &keys.kinds,
        &keys.request_ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in joined {
        found.insert((row.caller, row.kind, row.request_id), (row.saga_id.into(), row.request_hash));
    }
    Ok(found)
}

/// A first request whose place is taken: it gets the running saga's handle.
async fn join(tx: &mut PgConnection, item: &Intent) -> Result<Accepted, LaneError> {
    let Some(conflict_key) = &item.conflict_key else {
        // Whoever won the key has not committed what we could read: look again.
        return Err(LaneError::Conflict);
    };
    let joined = sqlx::query_scalar!(
        "UPDATE saga_requests SET saga_id = s.saga_id
         FROM sagas s
         WHERE s.conflict_key = $1 AND s.ended_at IS NULL
           AND saga_requests.caller = $2 AND saga_requests.kind = $3 AND saga_requests.request_id = $4
         RETURNING s.saga_id",
        conflict_key,
        item.caller,
        item.kind,
        item.request_id,
    )
    .fetch_optional(tx)
    .await?;
    // The saga that was in the way has just ended.
    let saga_id = joined.ok_or(LaneError::Conflict)?;
    Ok(Accepted::Known(Known { saga_id: saga_id.into(), same_payload: true, replayed: false }))
}

/// Request keys as columns.
struct Keys {
    callers: Vec<String>,
    kinds: Vec<String>,
    request_ids: Vec<Uuid>,
}

impl Keys {
    fn of(items: &[&Intent]) -> Self {
        Self {
            callers: items.iter().map(|item| item.caller.clone()).collect(),
            kinds: items.iter().map(|item| item.kind.to_owned()).collect(),
            request_ids: items.iter().map(|item| item.request_id).collect(),
        }
    }
}
