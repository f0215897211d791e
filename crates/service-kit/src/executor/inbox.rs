//! The inbox table: one row per (saga, step), read before deciding and written after, with the batch's events.

use std::collections::HashMap;

use brokerage_types::Reason;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::books::Command;
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
    fn code(self) -> i16 {
        match self {
            Verdict::Done => 1,
            Verdict::Rejected => 2,
            Verdict::Compensated => 3,
            Verdict::Tombstone => 4,
        }
    }

    fn from_code(code: i16) -> Option<Self> {
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
    inserted: Vec<Key>,
    compensated: Vec<Key>,
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
    /// Reads every row of these sagas, which are sorted, and the database's clock. The first and last saga tell
    /// Postgres which months to look at.
    pub async fn read(tx: &mut PgConnection, sagas: &[Uuid]) -> Result<Self, LaneError> {
        let stored = sqlx::query!(
            r#"SELECT clock.now AS "now!", i.saga_id AS "saga_id?", i.step AS "step?", i.verdict AS "verdict?",
                      i.reason, i.detail, i.request_hash AS "request_hash?", i.epoch AS "epoch?",
                      i.effect AS "effect?", i.answer AS "answer?"
               FROM (SELECT clock_timestamp() AS now) clock LEFT JOIN inbox i
                    ON i.saga_id = ANY($1) AND i.saga_id BETWEEN $2 AND $3"#,
            sagas,
            sagas.first().copied().unwrap_or_default(),
            sagas.last().copied().unwrap_or_default(),
        )
        .fetch_all(tx)
        .await?;
        let now = stored.first().map(|row| row.now).ok_or_else(|| LaneError::Fault("no clock".to_owned()))?;
        let mut inbox = Self {
            now,
            rows: HashMap::with_capacity(stored.len()),
            epochs: HashMap::new(),
            inserted: Vec::new(),
            compensated: Vec::new(),
        };
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

    /// Records a first verdict.
    pub fn decide(&mut self, key: Key, row: Row) {
        let highest = self.epochs.entry(key.saga_id).or_insert(row.epoch);
        *highest = row.epoch.max(*highest);
        self.inserted.push(key);
        self.rows.insert(key, row);
    }

    /// Turns DONE into COMPENSATED.
    pub fn compensate(&mut self, key: Key, reason: Reason) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.verdict = Verdict::Compensated;
            row.reason = Some(reason);
            if !self.inserted.contains(&key) {
                self.compensated.push(key);
            }
        }
    }

    /// Whether this batch decided anything.
    pub fn is_unchanged(&self) -> bool {
        self.inserted.is_empty() && self.compensated.is_empty()
    }

    /// Writes what the batch decided, and its events. A conflict means that another transaction decided one of the
    /// keys first.
    pub async fn write(mut self, tx: &mut PgConnection, events: outbox::Columns) -> Result<(), LaneError> {
        // One order for all writers, so that two batches with common keys wait for each other and never in a circle.
        self.inserted.sort_unstable();
        self.compensated.sort_unstable();
        self.insert(tx, events).await?;
        if !self.compensated.is_empty() {
            self.mark_compensated(tx).await?;
        }
        Ok(())
    }

    /// One statement for both tables: a round trip is a large part of what a small batch costs.
    async fn insert(&self, tx: &mut PgConnection, events: outbox::Columns) -> Result<(), LaneError> {
        let count = self.inserted.len();
        let (mut sagas, mut steps, mut verdicts) = (Vec::with_capacity(count), Vec::new(), Vec::new());
        let (mut reasons, mut details, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut epochs, mut commands) = (Vec::new(), Vec::new());
        let (mut effects, mut answers) = (Vec::new(), Vec::new());
        let (mut intents, mut traces) = (Vec::new(), Vec::new());
        for key in &self.inserted {
            let Some(row) = self.rows.get(key) else { continue };
            sagas.push(key.saga_id);
            steps.push(key.step);
            verdicts.push(row.verdict.code());
            reasons.push(row.reason.map(|reason| reason.as_str().to_owned()));
            details.push(row.detail.clone());
            hashes.push(row.hash.clone());
            epochs.push(row.epoch);
            commands.push(row.command.to_owned());
            effects.push(row.effect.clone());
            answers.push(row.answer.clone());
            intents.push(row.intent.clone());
            traces.push(row.trace.map(|trace| trace.to_string()));
        }
        let written = sqlx::query_scalar!(
            r#"WITH events AS (
                   INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, traceparent)
                   SELECT u.id, u.aggregatetype, u.aggregateid, u.type, u.payload, u.seq, u.traceparent
                   FROM unnest($11::uuid[], $12::text[], $13::text[], $14::text[], $15::jsonb[], $16::bigint[],
                               $17::text[])
                        AS u(id, aggregatetype, aggregateid, type, payload, seq, traceparent)
               ), decided AS (
                   INSERT INTO inbox (saga_id, step, verdict, reason, detail, request_hash, epoch, command, effect,
                                      answer, intent, traceparent)
                   SELECT u.saga_id, u.step, u.verdict, u.reason, u.detail, u.request_hash, u.epoch, u.command,
                          u.effect, u.answer, u.intent, u.traceparent
                   FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::text[], $6::bytea[],
                               $7::bigint[], $8::text[], $9::jsonb[], $10::bytea[], $18::bytea[], $19::text[])
                        AS u(saga_id, step, verdict, reason, detail, request_hash, epoch, command, effect, answer,
                             intent, traceparent)
                   ON CONFLICT DO NOTHING RETURNING 1
               )
               SELECT count(*) AS "count!" FROM decided"#,
            &sagas,
            &steps,
            &verdicts,
            &reasons as &[Option<String>],
            &details,
            &hashes,
            &epochs,
            &commands,
            &effects,
            &answers,
            &events.ids,
            &events.aggregates,
            &events.aggregate_ids,
            &events.kinds,
            &events.payloads,
            &events.seqs,
            &events.traceparents as &[Option<String>],
            &intents as &[Option<Vec<u8>>],
            &traces as &[Option<String>],
        )
        .fetch_one(tx)
        .await?;
        same_count(u64::try_from(written).unwrap_or_default(), count)
    }

    async fn mark_compensated(&self, tx: &mut PgConnection) -> Result<(), LaneError> {
        let sagas: Vec<Uuid> = self.compensated.iter().map(|key| key.saga_id).collect();
        let steps: Vec<i16> = self.compensated.iter().map(|key| key.step).collect();
        let reasons: Vec<String> = self
            .compensated
            .iter()
            .filter_map(|key| self.rows.get(key).and_then(|row| row.reason))
            .map(|reason| reason.as_str().to_owned())
            .collect();
        let written = sqlx::query!(
            "UPDATE inbox SET verdict = 3, reason = u.reason
             FROM unnest($1::uuid[], $2::smallint[], $3::text[]) AS u(saga_id, step, reason)
             WHERE inbox.saga_id = ANY($1) AND inbox.saga_id BETWEEN $4 AND $5
               AND inbox.saga_id = u.saga_id AND inbox.step = u.step AND inbox.verdict = 1",
            &sagas,
            &steps,
            &reasons,
            sagas.first().copied().unwrap_or_default(),
            sagas.last().copied().unwrap_or_default(),
        )
        .execute(tx)
        .await?;
        same_count(written.rows_affected(), self.compensated.len())
    }
}

fn same_count(written: u64, wanted: usize) -> Result<(), LaneError> {
    let is_ours = usize::try_from(written) == Ok(wanted) || defect::is_seeded("lost_race_kept");
    if is_ours { Ok(()) } else { Err(LaneError::Conflict) }
}
