//! The short way through the write path: *glance → decide → write, if nothing changed*.
//!
//! A transaction that locks what it reads takes seven round trips, and each wakes two processes: most of what a small
//! batch costs. Commands that are frequent and touch few rows need two statements. The first reads without locks what
//! is known of their sagas and the rows that they need. The second is its own transaction and writes everything:
//! verdicts, events and rows, each row only if it is as it was read. If one is not, or is locked, the statement fails as
//! a whole, and the batch is run again the long way. A rejection stands as of the glance; nothing but its verdict is
//! written.
//!
//! A statement of this kind never waits for a row's lock, so it takes part in no deadlock of rows. It may wait for a row
//! that another one is inserting; it inserts in the order of the long way, verdicts last.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::{BookWork, Decided, Request};
use super::books::Books;
use super::inbox::{Inbox, Key, Row, Sagas};
use super::outbox;
use super::rule::Due;
use crate::lane::LaneError;

/// What a glance tells of the inbox.
#[derive(Debug, Clone)]
pub struct Glimpse {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Each step of the batch's sagas that is decided, with its epoch.
    pub known: HashMap<Key, i64>,
}

impl Glimpse {
    /// Reads the first row of [`glance!`](crate::glance).
    ///
    /// # Errors
    /// When it is not that row.
    pub fn read(now: Option<DateTime<Utc>>, known: Option<Vec<String>>) -> Result<Self, sqlx::Error> {
        let broken = || sqlx::Error::Decode("a glance at the inbox".into());
        let known = known.ok_or_else(broken)?;
        let known: Option<HashMap<Key, i64>> = known.iter().map(|text| read_known(text)).collect();
        Ok(Self { now: now.ok_or_else(broken)?, known: known.ok_or_else(broken)? })
    }
}

fn read_known(text: &str) -> Option<(Key, i64)> {
    let mut parts = text.split('/');
    let key = Key { saga_id: parts.next()?.parse().ok()?, step: parts.next()?.parse().ok()? };
    Some((key, parts.next()?.parse().ok()?))
}

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
}

impl Verdicts {
    /// The rows that the batch adds to the inbox.
    pub(super) fn of(inbox: &Inbox, events: outbox::Columns) -> Self {
        let mut columns = Self { events, ..Self::default() };
        for key in &inbox.inserted {
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
        let commands: Vec<&B::Command> = items.iter().map(|request| &request.command).collect();
        let sagas = Sagas::of(items.iter().map(|request| request.key.saga_id));
        let glanced = self.books.glance(&mut *connection, &sagas, &commands).await?;
        let Some((glimpse, mut world)) = glanced else { return Err(LaneError::Conflict) };
        let mut inbox = Inbox::glimpsed(&glimpse);
        let (mut decided, mut traces) = (Vec::with_capacity(items.len()), Vec::new());
        for request in items {
            if glimpse.known.contains_key(&request.key) {
                decided.push(None);
                continue;
            }
            let reply = self.decide(&mut inbox, &mut world, request)?;
            // What has been noted since the last one is this one's.
            traces.resize(self.books.noted(&world), request.trace);
            decided.push(Some(Decided { reply, database_time: glimpse.now }));
        }
        if !inbox.is_unchanged() {
            let events = outbox::Columns::of(self.books.events(&mut world), &traces);
            let aggregates = events.aggregates.clone();
            let verdicts = inbox.into_verdicts(events).ok_or(LaneError::Conflict)?;
            self.books.save_unchanged(&mut *connection, world, verdicts).await?;
            outbox::count(&aggregates, &self.metrics);
        }
        if decided.iter().all(Option::is_some) {
            return Ok(decided.into_iter().flatten().collect());
        }
        self.recall(connection, items, decided).await
    }

    /// Answers what was decided before. Only those sagas are read, and nothing is written.
    async fn recall(
        &self,
        connection: &mut PgConnection,
        items: &[Request<B::Command>],
        decided: Vec<Option<Decided>>,
    ) -> Result<Vec<Decided>, LaneError> {
        let pairs = items.iter().zip(&decided);
        let known = pairs.filter(|(_, decided)| decided.is_none()).map(|(request, _)| request.key.saga_id);
        let inbox = Inbox::read(connection, &Sagas::of(known)).await?;
        let database_time = inbox.now;
        let answer = |request: &Request<B::Command>| match request.due(&inbox) {
            Due::Answer(standing) => Ok(Decided { reply: request.answer(&inbox, standing), database_time }),
            // Its row is gone: the long way will tell.
            Due::Decide | Due::Forestall | Due::Undo => Err(LaneError::Conflict),
        };
        let answered = items.iter().zip(decided).map(|(request, decided)| match decided {
            Some(decided) => Ok(decided),
            None => answer(request),
        });
        answered.collect()
    }
}

/// A statement that reads, without locks, what is known of a batch's sagas, and whatever the service adds. Its rows are
/// the service's business; `glimpse` is a table of one row, with `now` and `known`, for [`Glimpse::read`]. The service's
/// parameters begin with `$4`.
#[macro_export]
macro_rules! glance {
    ($sagas:expr, $sql:literal, $($args:tt)*) => {
        ::sqlx::query!(
            "WITH glimpse AS MATERIALIZED (
                 SELECT clock_timestamp() AS now,
                        ARRAY(SELECT i.saga_id::text || '/' || i.step || '/' || i.epoch FROM inbox i
                              WHERE i.saga_id = ANY($1) AND i.saga_id BETWEEN $2 AND $3) AS known
             ) "
                + $sql,
            $sagas.all(),
            $sagas.first(),
            $sagas.last(),
            $($args)*
        )
    };
}

/// A statement that writes a batch's verdicts and events, and whatever the service adds: `decided` has one row for each
/// verdict that was new. The service's SQL begins with a comma and more tables, or with the `SELECT` of one value; its
/// parameters begin with `$20`. Its `SELECT` must count `decided` last: that is when the verdicts are inserted.
///
/// One statement for all tables: a round trip is a large part of what a small batch costs.
#[macro_export]
macro_rules! decided {
    ($verdicts:expr, $sql:literal $(, $($args:tt)*)?) => {
        ::sqlx::query_scalar!(
            "WITH events AS (
                 INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, traceparent)
                 SELECT u.id, u.aggregatetype, u.aggregateid, u.type, u.payload, u.seq, u.traceparent
                 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::bigint[], $7::text[])
                      AS u(id, aggregatetype, aggregateid, type, payload, seq, traceparent)
             ), decided AS (
                 INSERT INTO inbox (saga_id, step, verdict, reason, detail, request_hash, epoch, command, effect,
                                    answer, intent, traceparent)
                 SELECT u.saga_id, u.step, u.verdict, u.reason, u.detail, u.request_hash, u.epoch, u.command,
                        u.effect, u.answer, u.intent, u.traceparent
                 FROM unnest($8::uuid[], $9::smallint[], $10::smallint[], $11::text[], $12::text[], $13::bytea[],
                             $14::bigint[], $15::text[], $16::jsonb[], $17::bytea[], $18::bytea[], $19::text[])
                      AS u(saga_id, step, verdict, reason, detail, request_hash, epoch, command, effect, answer,
                           intent, traceparent)
                 ON CONFLICT DO NOTHING RETURNING 1
             ) "
                + $sql,
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
            $($($args)*)?
        )
    };
}
pub(super) use decided;
