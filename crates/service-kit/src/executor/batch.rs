//! One transaction of the executor: what is known, what must be decided, and the answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokerage_types::Class;
use sqlx::PgConnection;

use super::books::{Books, Command, Rejection, Undo};
use super::inbox::{Inbox, Row, Sagas};
use super::memory::Memory;
use super::outbox;
use super::recollection::Recollection;
use super::request::{Decided, Reply, Request};
use super::rule::{Due, Verdict};
use crate::database;
use crate::defect;
use crate::fault::Fault;
use crate::lane::{LaneError, Way, Work};
use crate::metrics::Metrics;

/// Where rows are contended by other processes, so many batches wait in order before one tries the short way again.
const WARY_BATCHES: u32 = 32;

/// The executor's work on a lane.
pub(super) struct BookWork<B: Books> {
    pub books: Arc<B>,
    pub metrics: Metrics,
    memory: Memory,
    /// How many batches still go the long way, after one that met a conflict on the short one.
    wary: AtomicU32,
    recollection: Mutex<Recollection<B>>,
}

impl<B: Books> BookWork<B> {
    pub fn new(books: Arc<B>, memory: Memory, metrics: &Metrics) -> Self {
        Self {
            books,
            memory,
            metrics: metrics.clone(),
            wary: AtomicU32::new(0),
            recollection: Mutex::default(),
        }
    }

    /// What this lane remembers. Its own task alone asks, so nobody waits.
    pub(super) fn recollection(&self) -> MutexGuard<'_, Recollection<B>> {
        self.recollection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides one request, on rows that may have been read after the inbox: what makes no sense then is a conflict.
    pub async fn decide_or_conflict(
        &self,
        connection: &mut PgConnection,
        inbox: &mut Inbox,
        world: &mut B::World,
        request: &Request<B::Command>,
    ) -> Result<Reply, LaneError> {
        match self.decide(inbox, world, request) {
            Err(error) if inbox.is_behind(connection, request.key).await? => {
                tracing::debug!(%error, "what was read of the inbox is behind the rows that were read after it");
                Err(LaneError::Conflict)
            }
            decided => decided,
        }
    }

    /// Decides one request. `Err` only for what is broken; it fails the batch.
    pub(super) fn decide(
        &self,
        inbox: &mut Inbox,
        world: &mut B::World,
        request: &Request<B::Command>,
    ) -> Result<Reply, LaneError> {
        let due = request.due(inbox);
        match due {
            Due::Answer(standing) => Ok(request.answer(inbox, standing)),
            Due::Decide | Due::Forestall if !self.memory.reaches(request.key.saga_id, inbox.now) => {
                Ok(Reply::TooOld)
            }
            Due::Decide => self.decide_first(inbox, world, request),
            Due::Forestall | Due::Undo => {
                self.undo(inbox, world, request, due)?;
                Ok(Reply::Undone { reason: request.reason(), replayed: false })
            }
        }
    }

    fn decide_first(
        &self,
        inbox: &mut Inbox,
        world: &mut B::World,
        request: &Request<B::Command>,
    ) -> Result<Reply, LaneError> {
        let at = request.at(inbox);
        let (row, reply) =
            match guarded(&request.command, || self.books.execute(world, &at, &request.command))? {
                Ok(done) => {
                    let reply = Reply::Done { answer: done.answer.clone(), replayed: false };
                    let (effect, answer) = (done.effect, done.answer);
                    // Only what has an effect can be left behind.
                    let intent = request.intent.clone();
                    let row = Row { effect, answer, intent, ..request.row(Verdict::Done) };
                    (row, reply)
                }
                // A broken row or rule is ours: remembered, it would pass for a business answer for ever.
                Err(rejection)
                    if rejection.reason.class() == Class::Internal
                        && !defect::is_seeded("fault_remembered_as_rejection") =>
                {
                    return Err(LaneError::Fault(rejection.message));
                }
                Err(Rejection { reason, message }) if defect::is_seeded("rejection_forgotten") => {
                    return Ok(Reply::Rejected { reason, message, replayed: false });
                }
                Err(rejection) => {
                    let row = Row {
                        reason: Some(rejection.reason),
                        detail: rejection.message.clone(),
                        ..request.row(Verdict::Rejected)
                    };
                    let (reason, message) = (rejection.reason, rejection.message);
                    (row, Reply::Rejected { reason, message, replayed: false })
                }
            };
        inbox.decide(request.key, row);
        Ok(reply)
    }

    /// Applies the inverse of what is done, or notes that it can never run.
    fn undo(
        &self,
        inbox: &mut Inbox,
        world: &mut B::World,
        request: &Request<B::Command>,
        due: Due,
    ) -> Result<(), LaneError> {
        let at = request.at(inbox);
        let reason = request.reason();
        let effect = inbox.row(request.key).map(|row| row.effect.clone());
        let outcome = guarded(&request.command, || match &effect {
            Some(effect) => self.books.compensate(world, &at, &request.command, Undo { effect, reason }),
            None => self.books.tombstone(world, &at, &request.command, reason),
        })?;
        outcome.map_err(|fault: Fault| LaneError::Fault(fault.chain()))?;
        match due.verdict(true) {
            Some(Verdict::Compensated) => inbox.compensate(request.key, reason),
            Some(Verdict::Tombstone) if defect::is_seeded("tombstone_forgotten") => {}
            Some(verdict @ (Verdict::Done | Verdict::Rejected | Verdict::Tombstone)) => {
                inbox.decide(request.key, Row { reason: Some(reason), ..request.row(verdict) });
            }
            None => {}
        }
        Ok(())
    }
}

impl<B: Books> Work for BookWork<B> {
    type Item = Request<B::Command>;
    type Answer = Decided;

    fn way(&self, items: &[Self::Item], tried: u32) -> Way {
        let is_optimistic = |request: &Request<B::Command>| self.books.is_optimistic(request.wish());
        if tried > 0 || !items.iter().all(is_optimistic) {
            return Way::Transaction;
        }
        let is_wary = |left: u32| left.checked_sub(1);
        match self.wary.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_wary) {
            Ok(_) => Way::Transaction,
            Err(_) => Way::Statements,
        }
    }

    async fn run(
        &self,
        connection: &mut PgConnection,
        items: &[Self::Item],
        way: Way,
    ) -> Result<Vec<Decided>, LaneError> {
        self.recollection().begin();
        let done = match way {
            Way::Transaction => self.run_locked(connection, items).await,
            Way::Statements => {
                let done = self.run_optimistic(connection, items).await;
                if matches!(done, Err(LaneError::Conflict)) {
                    self.wary.store(WARY_BATCHES, Ordering::Relaxed);
                }
                done
            }
        };
        if let Ok(decided) = &done {
            self.recollection().done(decided, items.iter().map(|request| request.key));
        }
        done
    }

    fn connected(&self) {
        if !defect::is_seeded("memory_outlives_its_connection") {
            *self.recollection() = Recollection::default();
        }
    }

    fn committed(&self) {
        self.recollection().committed(&self.books);
    }
}

impl<B: Books> BookWork<B> {
    /// Runs a batch in a transaction that locks what it reads.
    async fn run_locked(
        &self,
        tx: &mut PgConnection,
        items: &[Request<B::Command>],
    ) -> Result<Vec<Decided>, LaneError> {
        let mut inbox = Inbox::read(tx, &Sagas::of(items.iter().map(|request| request.key.saga_id))).await?;
        let open: Vec<&B::Command> = items
            .iter()
            .filter(|request| !matches!(request.due(&inbox), Due::Answer(_)))
            .map(|request| &request.command)
            .collect();
        let database_time = inbox.now;
        if open.is_empty() {
            let answer = |request: &Request<B::Command>| match request.due(&inbox) {
                Due::Answer(standing) => {
                    Ok(Decided { reply: request.answer(&inbox, standing), database_time })
                }
                Due::Decide | Due::Forestall | Due::Undo => {
                    Err(LaneError::Fault("an open request was left out".to_owned()))
                }
            };
            let decided = items.iter().map(answer).collect();
            database::confirm(tx).await?;
            return decided;
        }
        let mut world = self.books.load(tx, &open).await?;
        let mut decided = Vec::with_capacity(items.len());
        let mut traces = Vec::new();
        for request in items {
            let reply = self.decide_or_conflict(tx, &mut inbox, &mut world, request).await?;
            // What has been noted since the last one is this one's.
            traces.resize(self.books.noted(&world), request.trace);
            decided.push(Decided { reply, database_time });
        }
        if !inbox.is_unchanged() {
            let events = outbox::Columns::of(self.books.events(&mut world), &traces);
            let aggregates = events.aggregates.clone();
            self.books.save(tx, &world).await?;
            inbox.write(tx, events).await?;
            outbox::count(&aggregates, &self.metrics);
            self.recollection().remember_if_committed(world);
        } else if items.iter().any(|request| inbox.row(request.key).is_some()) {
            database::confirm(tx).await?;
        }
        Ok(decided)
    }
}

/// Runs a decision so that a panic in it fails its batch, not the lane.
fn guarded<C: Command, T>(command: &C, decide: impl FnOnce() -> T) -> Result<T, LaneError> {
    catch_unwind(AssertUnwindSafe(decide))
        .map_err(|_| LaneError::Fault(format!("deciding `{}` panicked", command.name())))
}
