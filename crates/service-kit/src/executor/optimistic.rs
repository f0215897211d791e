//! The short way through the write path: *glance → decide → write, if nothing changed*. From memory it is shorter yet
//! ([`super::recollection`]).
//!
//! A transaction that locks what it reads takes seven round trips, and each wakes two processes: most of what a small
//! batch costs. Commands that are frequent and touch few rows need two statements. The first reads without locks what
//! is known of their sagas and the rows that they need. The second is its own transaction and writes everything:
//! verdicts, events and rows, each row only if it is as it was read. If one is not, the statement fails as a whole, and
//! the batch is run again the long way. A rejection stands as of the glance; nothing but its verdict is written. What is
//! known of the batch's own keys comes with the glance, so repeated steps and compensations need no other one for that; a batch that
//! only tells again has one more, for a standby that commits may wait for ([`database::confirm`]).
//!
//! A statement of this kind skips rows that are locked, and then fails. Where it waits for one (a hold that goes), that
//! comes before all else, in the order of the long way, so it takes part in no deadlock of rows. It may also wait for a
//! row that another one is inserting; it inserts in the order of the long way, verdicts last.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::BookWork;
use super::books::{Books, Wish};
use super::inbox::{Inbox, Key, Row, Sagas};
use super::outbox;
use super::recollection::Unread;
use super::request::{Decided, Request};
use super::rule::Verdict;
use crate::database;
use crate::lane::LaneError;
use crate::page::from_hex;

/// What a glance asks of the inbox: all about these keys, and the epochs of all else of their sagas.
#[derive(Debug, Clone)]
pub struct Asked {
    sagas: Sagas,
    keys: Vec<String>,
}

impl Asked {
    /// About these.
    pub fn of(keys: impl IntoIterator<Item = Key> + Clone) -> Self {
        let sagas = Sagas::of(keys.clone().into_iter().map(|key| key.saga_id));
        Self { sagas, keys: keys.into_iter().map(|key| format!("{}/{}", key.saga_id, key.step)).collect() }
    }

    /// The sagas of the keys.
    #[must_use]
    pub fn sagas(&self) -> &Sagas {
        &self.sagas
    }

    /// The keys, as the statement compares them.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// What a glance tells of the inbox.
#[derive(Debug, Clone)]
pub struct Glimpse {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Each step of the batch's sagas that is decided, with its epoch.
    pub known: HashMap<Key, i64>,
    /// Of these, the rows of the keys that were asked about.
    pub(super) rows: HashMap<Key, Row>,
}

impl Glimpse {
    /// Reads the first row of [`glance!`](crate::glance).
    ///
    /// # Errors
    /// When it is not that row.
    pub fn read(now: Option<DateTime<Utc>>, known: Option<Vec<String>>) -> Result<Self, sqlx::Error> {
        let broken = || sqlx::Error::Decode("a glance at the inbox".into());
        let mut glimpse = Self { now: now.ok_or_else(broken)?, known: HashMap::new(), rows: HashMap::new() };
        for text in known.ok_or_else(broken)? {
            glimpse.learn(&text).ok_or_else(broken)?;
        }
        Ok(glimpse)
    }

    /// A saga, a step, an epoch, and the rest of the row if it was asked about.
    fn learn(&mut self, text: &str) -> Option<()> {
        let mut parts = text.splitn(4, '/');
        let key = Key { saga_id: parts.next()?.parse().ok()?, step: parts.next()?.parse().ok()? };
        let epoch = parts.next()?.parse().ok()?;
        self.known.insert(key, epoch);
        if let Some(rest) = parts.next() {
            let (verdict, reason, detail, hash, answer, effect): Rest = serde_json::from_str(rest).ok()?;
            let row = Row {
                verdict: Verdict::from_code(verdict)?,
                reason: reason.map(|reason| reason.parse()).transpose().ok()?,
                detail: detail.unwrap_or_default(),
                hash: from_hex(&hash)?,
                epoch,
                command: "",
                effect,
                answer: from_hex(&answer)?,
                intent: None,
                trace: None,
            };
            self.rows.insert(key, row);
        }
        Some(())
    }
}

/// Verdict, reason, detail, request hash, answer, effect.
type Rest = (i16, Option<String>, Option<String>, String, String, serde_json::Value);

/// What a batch decided, as columns of the inbox and of the outbox. Written by [`decided!`](crate::decided).
#[derive(Debug, Default)]
pub struct Verdicts {
    /// `inbox.saga_id`.
    pub sagas: Vec<Uuid>,
    /// `inbox.step`.
    pub steps: Vec<i16>,
    /// `inbox.verdict`.
    pub verdicts: Vec<i16>,
    /// `inbox.reason`.
    pub reasons: Vec<Option<&'static str>>,
    /// `inbox.detail`.
    pub details: Vec<String>,
    /// `inbox.request_hash`.
    pub hashes: Vec<Vec<u8>>,
    /// `inbox.epoch`.
    pub epochs: Vec<i64>,
    /// `inbox.command`.
    pub commands: Vec<&'static str>,
    /// `inbox.effect`.
    pub effects: Vec<serde_json::Value>,
    /// `inbox.answer`.
    pub answers: Vec<Vec<u8>>,
    /// `inbox.intent`.
    pub intents: Vec<Option<Vec<u8>>>,
    /// `inbox.traceparent`.
    pub traces: Vec<Option<String>>,
    /// The batch's events.
    pub events: outbox::Columns,
    /// What was not looked at before.
    pub unread: Unread,
}

impl Verdicts {
    /// The rows that the batch adds to the inbox, or changes.
    pub(super) fn of(inbox: &Inbox, events: outbox::Columns) -> Self {
        let mut columns = Self { events, ..Self::default() };
        for key in &inbox.decided {
            if let Some(row) = inbox.row(*key) {
                columns.push(*key, row);
            }
        }
        columns
    }

    fn push(&mut self, key: Key, row: &Row) {
        self.sagas.push(key.saga_id);
        self.steps.push(key.step);
        self.verdicts.push(row.verdict.code());
        self.reasons.push(row.reason.map(|reason| reason.as_str()));
        self.details.push(row.detail.clone());
        self.hashes.push(row.hash.clone());
        self.epochs.push(row.epoch);
        self.commands.push(row.command);
        self.effects.push(row.effect.clone());
        self.answers.push(row.answer.clone());
        self.intents.push(row.intent.clone());
        self.traces.push(row.trace.map(|trace| trace.to_string()));
    }

    /// Whether each adds a row: none takes back what was done.
    #[must_use]
    pub fn are_new(&self) -> bool {
        !self.verdicts.contains(&Verdict::Compensated.code())
    }

    /// How many rows a statement must write that writes these verdicts and so many rows that can be lost to others.
    #[must_use]
    pub fn wanted(&self, rows: usize) -> i64 {
        i64::try_from(self.sagas.len() + rows).unwrap_or(i64::MAX)
    }
}

impl<B: Books> BookWork<B> {
    /// Runs a batch the short way. A conflict means: the long way.
    pub(super) async fn run_optimistic(
        &self,
        connection: &mut PgConnection,
        items: &[Request<B::Command>],
    ) -> Result<Vec<Decided>, LaneError> {
        if let Some(decided) = self.run_recalled(connection, items).await? {
            return Ok(decided);
        }
        let wishes: Vec<Wish<'_, B::Command>> = items.iter().map(Request::wish).collect();
        let asked = Asked::of(items.iter().map(|request| request.key));
        let asked_at = Instant::now();
        let glanced = self.books.glance(&mut *connection, &asked, &wishes).await?;
        let Some((glimpse, mut world)) = glanced else { return Err(LaneError::Conflict) };
        let database_time = glimpse.now;
        self.recollection().saw_clock(asked_at, database_time);
        let mut inbox = Inbox::glimpsed(glimpse);
        let (mut decided, mut traces) = (Vec::with_capacity(items.len()), Vec::new());
        for request in items {
            let reply = self.decide_or_conflict(connection, &mut inbox, &mut world, request).await?;
            // What has been noted since the last one is this one's.
            traces.resize(self.books.noted(&world), request.trace);
            decided.push(Decided { reply, database_time });
        }
        if !inbox.is_unchanged() {
            let events = outbox::Columns::of(self.books.events(&mut world), &traces);
            let aggregates = events.aggregates.clone();
            self.books.save_unchanged(&mut *connection, &world, &inbox.into_verdicts(events)).await?;
            outbox::count(&aggregates, &self.metrics);
            self.recollection().remember(&self.books, world);
        } else if items.iter().any(|request| inbox.row(request.key).is_some()) {
            database::confirm(connection).await?;
        }
        Ok(decided)
    }
}

/// A statement that reads, without locks, what is known of a batch's sagas, and whatever the service adds. Its rows are
/// the service's business; `glimpse` is a table of one row, with `now` and `known`, for [`Glimpse::read`]. The service's
/// parameters begin with `$5`.
#[macro_export]
macro_rules! glance {
    ($asked:expr, $sql:literal, $($args:tt)*) => {
        ::sqlx::query!(
            "WITH glimpse AS MATERIALIZED (
                 SELECT clock_timestamp() AS now,
                        ARRAY(SELECT k.key || '/' || k.epoch
                                     || CASE WHEN k.key IN (SELECT unnest($4::text[]))
                                             THEN '/' || jsonb_build_array(k.verdict, k.reason, k.detail,
                                                                           encode(k.request_hash, 'hex'),
                                                                           encode(k.answer, 'hex'), k.effect)::text
                                             ELSE '' END
                              FROM (SELECT i.saga_id || '/' || i.step AS key, i.epoch, i.verdict, i.reason, i.detail,
                                           i.request_hash, i.answer, i.effect
                                    FROM inbox i
                                    WHERE i.saga_id = ANY($1) AND i.saga_id BETWEEN $2 AND $3) k) AS known
             ) "
                + $sql,
            $asked.sagas().all(),
            $asked.sagas().first(),
            $asked.sagas().last(),
            $asked.keys(),
            $($args)*
        )
    };
}

/// A statement that writes a batch's verdicts and events, and whatever the service adds: `decided` has one row for each
/// verdict that was new, or took back what was done, and `mistakes` one for each thing that is not as a batch from memory
/// took it to be ([`Unread`]). The service's SQL begins with a comma and more tables, or with the `SELECT` of one value;
/// its parameters begin with `$25`. Its `SELECT` must count `decided` last: that is when the verdicts are inserted.
///
/// One statement for all tables: a round trip is a large part of what a small batch costs. Columns come out of `unnest` in
/// a `SELECT` list, side by side: in `FROM` each would fill a table of its own first, which costs about 1 µs a column
/// and as much again for each dozen rows.
#[macro_export]
macro_rules! decided {
    ($verdicts:expr, $sql:literal $(+ $more:literal)* $(, $($args:tt)*)?) => {
        $crate::decided!(
            @or "ON CONFLICT (saga_id, step) DO UPDATE SET verdict = excluded.verdict, reason = excluded.reason
                 WHERE excluded.verdict = 3 AND inbox.verdict = 1",
            $verdicts, $sql $(+ $more)* $(, $($args)*)?
        )
    };
    (@or $conflict:literal, $verdicts:expr, $sql:literal $(+ $more:literal)* $(, $($args:tt)*)?) => {
        ::sqlx::query_scalar!(
            "WITH events AS (
                 INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, traceparent)
                 SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]),
                        unnest($5::jsonb[]), unnest($6::bigint[]), unnest($7::text[])
             ), decided AS (
                 INSERT INTO inbox (saga_id, step, verdict, reason, detail, request_hash, epoch, command, effect,
                                    answer, intent, traceparent)
                 SELECT unnest($8::uuid[]), unnest($9::smallint[]), unnest($10::smallint[]), unnest($11::text[]),
                        unnest($12::text[]), unnest($13::bytea[]), unnest($14::bigint[]), unnest($15::text[]),
                        unnest($16::jsonb[]), unnest($17::bytea[]), unnest($18::bytea[]), unnest($19::text[])
                 "
                + $conflict
                + " RETURNING 1
             ), mistakes AS (
                 SELECT 1 FROM (SELECT unnest($20::uuid[]) AS saga_id, unnest($21::bigint[]) AS epoch) AS u
                 WHERE EXISTS (SELECT 1 FROM inbox i
                               WHERE i.saga_id = u.saga_id AND i.saga_id BETWEEN $22 AND $23 AND i.epoch > u.epoch)
                 UNION ALL
                 SELECT 1 WHERE clock_timestamp() > $24
             ) "
                + $sql
                $(+ $more)*,
            &$verdicts.events.ids,
            &$verdicts.events.aggregates as _,
            &$verdicts.events.aggregate_ids,
            &$verdicts.events.kinds as _,
            &$verdicts.events.payloads,
            &$verdicts.events.seqs,
            &$verdicts.events.traceparents as _,
            &$verdicts.sagas,
            &$verdicts.steps,
            &$verdicts.verdicts,
            &$verdicts.reasons as _,
            &$verdicts.details,
            &$verdicts.hashes,
            &$verdicts.epochs,
            &$verdicts.commands as _,
            &$verdicts.effects,
            &$verdicts.answers,
            &$verdicts.intents as _,
            &$verdicts.traces as _,
            &$verdicts.unread.sagas,
            &$verdicts.unread.epochs,
            $verdicts.unread.first,
            $verdicts.unread.last,
            $verdicts.unread.not_after,
            $($($args)*)?
        )
    };
}
pub(super) use decided;

/// Runs [`decided!`](crate::decided) on a connection, and where every verdict is new without looking first for rows that
/// are there: in a table of months that look costs some 35 µs a batch and 2 µs a row. A row that is there all the same
/// makes the statement fail by its key.
#[macro_export]
macro_rules! save_decided {
    ($connection:expr, $verdicts:expr, $($statement:tt)*) => {
        if $verdicts.are_new() {
            $crate::decided!(@or "", $verdicts, $($statement)*).fetch_one($connection).await
        } else {
            $crate::decided!($verdicts, $($statement)*).fetch_one($connection).await
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_adds_rows_only_unless_it_takes_something_back() {
        let of = |verdicts: &[Verdict]| Verdicts {
            verdicts: verdicts.iter().map(|verdict| verdict.code()).collect(),
            ..Verdicts::default()
        };
        assert!(of(&[]).are_new());
        assert!(of(&[Verdict::Done, Verdict::Rejected, Verdict::Tombstone]).are_new());
        assert!(!of(&[Verdict::Done, Verdict::Compensated]).are_new());
    }
}
