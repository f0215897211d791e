//! The inbox table: one row per (saga, step), read before deciding and written after, with the batch's events.

use std::collections::HashMap;

use brokerage_types::Reason;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::books::Command;
use super::optimistic::{Glimpse, Verdicts, decided};
use super::outbox;
use super::rule::Verdict;
use crate::defect;
use crate::lane::LaneError;
use crate::telemetry::TraceParent;

/// The idempotency key of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The saga.
    pub saga_id: Uuid,
    /// The step within it.
    pub step: i16,
}

impl Verdict {
    pub(super) fn code(self) -> i16 {
        match self {
            Verdict::Done => 1,
            Verdict::Rejected => 2,
            Verdict::Compensated => 3,
            Verdict::Tombstone => 4,
        }
    }

    pub(super) fn from_code(code: i16) -> Option<Self> {
        Verdict::ALL.into_iter().find(|verdict| verdict.code() == code)
    }
}

/// One row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub detail: String,
    pub hash: Vec<u8>,
    pub epoch: i64,
    pub command: &'static str,
    pub effect: serde_json::Value,
    pub answer: Vec<u8>,
    /// What came with a first step; written, never read back here.
    pub intent: Option<Vec<u8>>,
    /// The trace that it was decided in, if that is recorded; written, never read back here.
    pub trace: Option<TraceParent>,
}

/// What a batch knows of the inbox: rows as stored, and what the batch itself adds.
pub(super) struct Inbox {
    pub now: DateTime<Utc>,
    rows: HashMap<Key, Row>,
    epochs: HashMap<Uuid, i64>,
    /// What the batch decided or compensated, each key once.
    pub decided: Vec<Key>,
}

/// The sagas of a batch, each once and in order. The first and the last tell Postgres which months to look at.
#[derive(Debug, Clone)]
pub struct Sagas(Vec<Uuid>);

impl Sagas {
    /// These.
    pub fn of(sagas: impl IntoIterator<Item = Uuid>) -> Self {
        let mut sagas: Vec<Uuid> = sagas.into_iter().collect();
        sagas.sort_unstable();
        sagas.dedup();
        Self(sagas)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Uuid] {
        &self.0
    }

    /// The smallest; nil if there is none.
    #[must_use]
    pub fn first(&self) -> Uuid {
        self.0.first().copied().unwrap_or_default()
    }

    /// The largest; nil if there is none.
    #[must_use]
    pub fn last(&self) -> Uuid {
        self.0.last().copied().unwrap_or_default()
    }
}

/// The request hash covers the command and nothing of the attempt.
pub(super) fn request_hash<C: Command>(command: &C) -> Result<Vec<u8>, serde_json::Error> {
    let mut hasher = Sha256::new();
    hasher.update(command.name().as_bytes());
    hasher.update([0]);
    hasher.update(serde_json::to_vec(command)?);
    Ok(hasher.finalize().to_vec())
}

impl Inbox {
    /// What a glance saw: the epochs of its sagas, and the rows that it asked about.
    pub fn glimpsed(glimpse: Glimpse) -> Self {
        let mut inbox = Self { rows: glimpse.rows, ..Self::empty(glimpse.now) };
        for (key, epoch) in glimpse.known {
            let highest = inbox.epochs.entry(key.saga_id).or_insert(epoch);
            *highest = epoch.max(*highest);
        }
        inbox
    }

    /// Nothing is known, or taken to be known.
    pub fn empty(now: DateTime<Utc>) -> Self {
        Self { now, rows: HashMap::new(), epochs: HashMap::new(), decided: Vec::new() }
    }

    /// Reads every row of these sagas, and the database's clock.
    pub async fn read(tx: &mut PgConnection, sagas: &Sagas) -> Result<Self, LaneError> {
        let stored = sqlx::query!(
            r#"SELECT clock.now AS "now!", i.saga_id AS "saga_id?", i.step AS "step?", i.verdict AS "verdict?",
                      i.reason, i.detail, i.request_hash AS "request_hash?", i.epoch AS "epoch?",
                      i.effect AS "effect?", i.answer AS "answer?"
               FROM (SELECT clock_timestamp() AS now) clock LEFT JOIN inbox i
                    ON i.saga_id = ANY($1) AND i.saga_id BETWEEN $2 AND $3"#,
            sagas.all(),
            sagas.first(),
            sagas.last(),
        )
        .fetch_all(tx)
        .await?;
        let now = stored.first().map(|row| row.now).ok_or_else(|| LaneError::Fault("no clock".to_owned()))?;
        let mut inbox = Self::empty(now);
        for row in stored {
            let (Some(saga_id), Some(step), Some(code)) = (row.saga_id, row.step, row.verdict) else {
                continue;
            };
            let broken = |what: &str| LaneError::Fault(format!("inbox row {saga_id}/{step}: {what}"));
            let reason = match row.reason {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| broken("unknown reason"))?),
            };
            let epoch = row.epoch.unwrap_or_default();
            let row = Row {
                verdict: Verdict::from_code(code).ok_or_else(|| broken("unknown verdict"))?,
                reason,
                detail: row.detail.unwrap_or_default(),
                hash: row.request_hash.unwrap_or_default(),
                epoch,
                command: "",
                effect: row.effect.unwrap_or_default(),
                answer: row.answer.unwrap_or_default(),
                intent: None,
                trace: None,
            };
            inbox.rows.insert(Key { saga_id, step }, row);
            let highest = inbox.epochs.entry(saga_id).or_insert(epoch);
            *highest = epoch.max(*highest);
        }
        Ok(inbox)
    }

    /// What is decided about a step, stored or in this batch.
    pub fn row(&self, key: Key) -> Option<&Row> {
        self.rows.get(&key)
    }

    /// The highest epoch that any step of the saga came with.
    pub fn highest_epoch(&self, saga_id: Uuid) -> i64 {
        self.epochs.get(&saga_id).copied().unwrap_or_default()
    }

    /// Whether another transaction has decided about this step since the inbox was read. What it did may be seen in rows
    /// that were read afterwards, and make no sense beside the inbox as it was.
    pub async fn is_behind(&self, tx: &mut PgConnection, key: Key) -> Result<bool, LaneError> {
        if self.decided.contains(&key) || defect::is_seeded("stale_inbox_is_a_fault") {
            return Ok(false);
        }
        let now = Self::read(tx, &Sagas::of([key.saga_id])).await?;
        Ok(now.row(key).map(|row| row.verdict) != self.row(key).map(|row| row.verdict))
    }

    /// Records a first verdict.
    pub fn decide(&mut self, key: Key, row: Row) {
        let highest = self.epochs.entry(key.saga_id).or_insert(row.epoch);
        *highest = row.epoch.max(*highest);
        self.decided.push(key);
        self.rows.insert(key, row);
    }

    /// Turns DONE into COMPENSATED.
    pub fn compensate(&mut self, key: Key, reason: Reason) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.verdict = Verdict::Compensated;
            row.reason = Some(reason);
            if !self.decided.contains(&key) {
                self.decided.push(key);
            }
        }
    }

    /// Whether this batch decided anything.
    pub fn is_unchanged(&self) -> bool {
        self.decided.is_empty()
    }

    /// Writes what the batch decided, and its events. A conflict means that another transaction decided one of the
    /// keys first.
    pub async fn write(self, tx: &mut PgConnection, events: outbox::Columns) -> Result<(), LaneError> {
        let decided = self.decided.len();
        let verdicts = self.into_verdicts(events);
        let written =
            decided!(verdicts, r#"SELECT count(*) AS "count!" FROM decided"#).fetch_one(&mut *tx).await?;
        let is_ours = usize::try_from(written) == Ok(decided) || defect::is_seeded("lost_race_kept");
        if is_ours { Ok(()) } else { Err(LaneError::Conflict) }
    }

    /// What the batch decided, and its events, as columns for the statement that writes them. In one order for all
    /// writers, so that two batches with common keys wait for each other and never in a circle.
    pub fn into_verdicts(mut self, events: outbox::Columns) -> Verdicts {
        self.decided.sort_unstable();
        Verdicts::of(&self, events)
    }
}
