//! The shortest way through the write path: *recall → decide → write, if that was right*.
//!
//! A glance ([`super::optimistic`]) is a round trip, and mostly tells what the lane knows anyway: the rows that it read or
//! wrote itself a moment ago, and that a step is new. So a lane remembers rows, and decides on them where it remembers
//! all that a batch needs. The one statement that writes looks after everything that a glance would have told: rows that
//! are changed or were read are as they are remembered, no verdict is there yet, none of the sagas was seen with a later
//! epoch, and no deadline has passed. What it finds otherwise makes it fail as a whole, and the batch goes on with a
//! glance. So memory is never trusted, and who shares rows with other processes loses time only.
//!
//! Only what is done is answered from memory. A refusal is decided by a glance, and so is what an earlier batch decided.
//!
//! What is remembered of rows belongs to a connection. Behind the next one there may be another server, which lacks the last
//! transactions of this one: versions are given out a second time there, to other rows.

use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use hashlink::LruCache;
use sqlx::PgConnection;
use uuid::Uuid;

use super::batch::BookWork;
use super::books::{Books, SaveError, Wish};
use super::inbox::{Inbox, Key, Sagas};
use super::outbox;
use super::request::{Decided, Operation, Reply, Request};
use crate::defect;
use crate::lane::{Caution, LaneError};

/// How long the database's clock is reckoned from when it was last read. After that a glance reads it again.
const CLOCK_AGE_MAX: Duration = Duration::from_secs(1);
/// A clock that came later than this after it was asked for is not reckoned from: it would be behind by as much.
const CLOCK_DELAY_MAX: Duration = Duration::from_millis(20);
/// How many steps are remembered to be decided.
const KEYS_MAX: usize = 4096;
/// What a lane remembers of the database.
pub(super) struct Recollection<B: Books> {
    rows: B::Recollection,
    /// When the database's clock was read, and what it said.
    clock: Option<(Instant, DateTime<Utc>)>,
    /// The time of the last batch. None has an earlier one, whichever way it goes.
    latest: DateTime<Utc>,
    /// Steps that were answered here. To find them by a statement that fails would be dear.
    decided: LruCache<Key, ()>,
    /// What a transaction has written that is not committed yet.
    uncommitted: Option<B::World>,
    /// Whether a batch begins with a glance.
    caution: Caution,
}

impl<B: Books> Default for Recollection<B> {
    fn default() -> Self {
        Self {
            rows: B::Recollection::default(),
            clock: None,
            latest: DateTime::UNIX_EPOCH,
            decided: LruCache::new(KEYS_MAX),
            uncommitted: None,
            caution: Caution::default(),
        }
    }
}

impl<B: Books> Recollection<B> {
    /// A batch begins: of what came before, nothing will be committed any more.
    pub fn begin(&mut self) {
        self.uncommitted = None;
    }

    /// The database said what time it is, to who asked then.
    pub fn saw_clock(&mut self, asked: Instant, now: DateTime<Utc>) {
        let answered = Instant::now();
        if answered.saturating_duration_since(asked) <= CLOCK_DELAY_MAX {
            self.clock = Some((answered, now));
        }
    }

    /// A batch has been done.
    pub fn done(&mut self, decided: &[Decided], keys: impl IntoIterator<Item = Key>) {
        self.latest = decided.iter().map(|decided| decided.database_time).fold(self.latest, DateTime::max);
        for key in keys {
            self.decided.insert(key, ());
        }
    }

    /// Rows as they are in the database now.
    pub fn remember(&mut self, books: &B, world: B::World) {
        books.remember(&mut self.rows, world);
    }

    /// Rows as they will be once a transaction is committed.
    pub fn remember_if_committed(&mut self, world: B::World) {
        self.uncommitted = Some(world);
    }

    /// It is committed.
    pub fn committed(&mut self, books: &B) {
        if let Some(world) = self.uncommitted.take() {
            self.remember(books, world);
        }
    }

    /// What is needed for this batch: the time, and a world. `None`: a glance is needed.
    fn recall(&mut self, books: &B, items: &[Request<B::Command>]) -> Option<(DateTime<Utc>, B::World)> {
        let (read_at, read) = self.clock?;
        let age = read_at.elapsed();
        let is_new = |request: &Request<B::Command>| {
            request.operation == Operation::Do && !self.decided.contains_key(&request.key)
        };
        if age > CLOCK_AGE_MAX || !items.iter().all(is_new) {
            return None;
        }
        if self.caution.looks_first() {
            return None;
        }
        let wishes: Vec<Wish<'_, B::Command>> = items.iter().map(Request::wish).collect();
        let world = books.recall(&mut self.rows, &wishes)?;
        // What the database keeps of an instant.
        let now = (read + TimeDelta::from_std(age).ok()?).trunc_subsecs(6);
        Some((now.max(self.latest), world))
    }
}

/// What a batch takes for granted of the inbox, because it did not look: that none of these sagas was seen with a later
/// epoch, and that it is not too late. Nothing, if it looked. [`decided!`](crate::decided) has a row in `mistakes` for
/// what is not so.
#[derive(Debug, Default)]
pub struct Unread {
    /// The sagas of the steps.
    pub sagas: Vec<Uuid>,
    /// The epoch that each step came with.
    pub epochs: Vec<i64>,
    /// The smallest of the sagas.
    pub first: Uuid,
    /// The largest.
    pub last: Uuid,
    /// When the first of the steps is void.
    pub not_after: Option<DateTime<Utc>>,
}

impl Unread {
    fn of<C>(items: &[Request<C>]) -> Self {
        let sagas = Sagas::of(items.iter().map(|request| request.key.saga_id));
        let asked = if defect::is_seeded("recalled_inbox_unread") { &[] } else { items };
        Self {
            sagas: asked.iter().map(|request| request.key.saga_id).collect(),
            epochs: asked.iter().map(|request| request.epoch).collect(),
            first: sagas.first(),
            last: sagas.last(),
            not_after: asked.iter().filter_map(|request| request.not_after).min(),
        }
    }
}

impl<B: Books> BookWork<B> {
    /// Runs a batch from memory. `None`: nothing was done, and a glance is needed.
    pub(super) async fn run_recalled(
        &self,
        connection: &mut PgConnection,
        items: &[Request<B::Command>],
    ) -> Result<Option<Vec<Decided>>, LaneError> {
        let Some((database_time, mut world)) = self.recollection().recall(&self.books, items) else {
            return Ok(None);
        };
        let mut inbox = Inbox::empty(database_time);
        let (mut decided, mut traces) = (Vec::with_capacity(items.len()), Vec::new());
        for request in items {
            let Ok(reply @ Reply::Done { .. }) = self.decide(&mut inbox, &mut world, request) else {
                return Ok(None);
            };
            // What has been noted since the last one is this one's.
            traces.resize(self.books.noted(&world), request.trace);
            decided.push(Decided { reply, database_time });
        }
        let events = outbox::Columns::of(self.books.events(&mut world), &traces);
        let aggregates = events.aggregates.clone();
        let mut verdicts = inbox.into_verdicts(events);
        verdicts.unread = Unread::of(items);
        match self.books.save_unchanged(connection, &world, &verdicts).await {
            Ok(()) => {
                outbox::count(&aggregates, &self.metrics);
                let mut recollection = self.recollection();
                recollection.caution.was_right();
                recollection.remember(&self.books, world);
                Ok(Some(decided))
            }
            Err(SaveError::Conflict) => {
                self.recollection().caution.was_wrong();
                self.metrics.kit.lane.retries.with_label_values(&["executor", "recollection"]).inc();
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
