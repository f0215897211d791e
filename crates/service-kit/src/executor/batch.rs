//! One transaction of the executor: what is known, what must be decided, and the answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use brokerage_types::{Class, Reason};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::books::{At, Books, Command, Undo};
use super::inbox::{Inbox, Key, Row, Verdict};
use super::outbox;
use crate::fault::Fault;
use crate::lane::{LaneError, Work};

/// Do a step, or undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Do,
    Compensate(Reason),
}

/// What a handler submits.
pub(super) struct Request<C> {
    pub key: Key,
    pub epoch: i64,
    pub not_after: Option<DateTime<Utc>>,
    pub operation: Operation,
    pub command: C,
    pub hash: Vec<u8>,
    pub traceparent: Option<String>,
}

/// What is known afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Done { answer: Vec<u8>, replayed: bool },
    Rejected { reason: Reason, message: String, replayed: bool },
    Tombstone { reason: Reason },
    Refused,
    Expired,
    StaleEpoch { highest: i64 },
    Mismatch,
}

/// A reply with the database's time.
#[derive(Debug)]
pub(super) struct Decided {
    pub reply: Reply,
    pub database_time: DateTime<Utc>,
}

/// What the inbox says about a request before any row is looked at.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// The answer stands already, or nothing may be done.
    Answer(Reply),
    /// The step must be decided for the first time.
    Undecided,
    /// The step is done and must be undone.
    Undo,
}

/// The executor's work on a lane.
pub(super) struct BookWork<B: Books> {
    books: Arc<B>,
}

impl<B: Books> BookWork<B> {
    pub fn new(books: Arc<B>) -> Self {
        Self { books }
    }

    /// Decides one request. `Err` only for what is broken; it fails the batch.
    fn decide(
        &self,
        inbox: &mut Inbox,
        world: &mut B::World,
        request: &Request<B::Command>,
    ) -> Result<Reply, LaneError> {
        let at = request.at(inbox);
        match (known(inbox, request), request.operation) {
            (Known::Answer(reply), _) => Ok(reply),
            (Known::Undecided, Operation::Do) => {
                let decided = guarded(&request.command, || self.books.execute(world, &at, &request.command))?;
                let (row, reply) = match decided {
                    Ok(done) => {
                        let reply = Reply::Done { answer: done.answer.clone(), replayed: false };
                        let row =
                            Row { effect: done.effect, answer: done.answer, ..request.row(Verdict::Done) };
                        (row, reply)
                    }
                    // A broken row or rule is ours: remembered, it would pass for a business answer for ever.
                    Err(rejection) if rejection.reason.class() == Class::Internal => {
                        return Err(LaneError::Fault(rejection.message));
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
            (Known::Undecided | Known::Undo, Operation::Compensate(reason)) => {
                self.undo(inbox, world, request, reason)?;
                Ok(Reply::Done { answer: Vec::new(), replayed: false })
            }
            (Known::Undo, Operation::Do) => {
                Err(LaneError::Fault("a step to do cannot be one to undo".to_owned()))
            }
        }
    }

    fn undo(
        &self,
        inbox: &mut Inbox,
        world: &mut B::World,
        request: &Request<B::Command>,
        reason: Reason,
    ) -> Result<(), LaneError> {
        let at = request.at(inbox);
        let effect = inbox.row(request.key).map(|row| row.effect.clone());
        let outcome = guarded(&request.command, || match &effect {
            Some(effect) => self.books.compensate(world, &at, &request.command, Undo { effect, reason }),
            None => self.books.tombstone(world, &at, &request.command, reason),
        })?;
        outcome.map_err(|fault: Fault| LaneError::Fault(fault.chain()))?;
        if effect.is_some() {
            inbox.compensate(request.key, reason);
        } else {
            inbox.decide(request.key, Row { reason: Some(reason), ..request.row(Verdict::Tombstone) });
        }
        Ok(())
    }
}

impl<C: Command> Request<C> {
    fn at(&self, inbox: &Inbox) -> At {
        At { saga_id: self.key.saga_id, step: self.key.step, now: inbox.now }
    }

    fn row(&self, verdict: Verdict) -> Row {
        Row {
            verdict,
            reason: None,
            detail: String::new(),
            hash: self.hash.clone(),
            epoch: self.epoch,
            command: self.command.name(),
            effect: serde_json::Value::Null,
            answer: Vec::new(),
        }
    }
}

impl<B: Books> Work for BookWork<B> {
    type Item = Request<B::Command>;
    type Answer = Decided;

    async fn run(&self, tx: &mut PgConnection, items: &[Self::Item]) -> Result<Vec<Decided>, LaneError> {
        let mut sagas: Vec<Uuid> = items.iter().map(|request| request.key.saga_id).collect();
        sagas.sort_unstable();
        sagas.dedup();
        let mut inbox = Inbox::read(tx, &sagas).await?;
        let open: Vec<&B::Command> = items
            .iter()
            .filter(|request| !matches!(known(&inbox, request), Known::Answer(_)))
            .map(|request| &request.command)
            .collect();
        let database_time = inbox.now;
        if open.is_empty() {
            let answer = |request| match known(&inbox, request) {
                Known::Answer(reply) => Ok(Decided { reply, database_time }),
                Known::Undecided | Known::Undo => {
                    Err(LaneError::Fault("an open request was left out".to_owned()))
                }
            };
            return items.iter().map(answer).collect();
        }
        let mut world = self.books.load(tx, &open).await?;
        let mut decided = Vec::with_capacity(items.len());
        for request in items {
            let reply = self.decide(&mut inbox, &mut world, request)?;
            decided.push(Decided { reply, database_time });
        }
        if !inbox.is_unchanged() {
            let events = outbox::Columns::of(self.books.save(tx, world).await?);
            let traceparent = items.iter().find_map(|request| request.traceparent.clone());
            inbox.write(tx, events, traceparent).await?;
        }
        Ok(decided)
    }
}

/// What the inbox alone says about a request.
fn known<C: Command>(inbox: &Inbox, request: &Request<C>) -> Known {
    let Some(row) = inbox.row(request.key) else {
        let highest = inbox.highest_epoch(request.key.saga_id);
        return if request.not_after.is_some_and(|not_after| not_after < inbox.now) {
            Known::Answer(Reply::Expired)
        } else if request.epoch < highest {
            Known::Answer(Reply::StaleEpoch { highest })
        } else {
            Known::Undecided
        };
    };
    let reason = row.reason.unwrap_or(Reason::GaveUp);
    match (request.operation, row.verdict) {
        (Operation::Do, Verdict::Compensated | Verdict::Tombstone) => {
            Known::Answer(Reply::Tombstone { reason })
        }
        (_, Verdict::Done | Verdict::Rejected) if row.hash != request.hash => Known::Answer(Reply::Mismatch),
        (Operation::Do, Verdict::Done) => {
            Known::Answer(Reply::Done { answer: row.answer.clone(), replayed: true })
        }
        (Operation::Do, Verdict::Rejected) => {
            Known::Answer(Reply::Rejected { reason, message: row.detail.clone(), replayed: true })
        }
        (Operation::Compensate(_), Verdict::Done) if request.command.is_pivot() => {
            Known::Answer(Reply::Refused)
        }
        (Operation::Compensate(_), Verdict::Done) => Known::Undo,
        (Operation::Compensate(_), Verdict::Rejected | Verdict::Compensated | Verdict::Tombstone) => {
            Known::Answer(Reply::Done { answer: Vec::new(), replayed: true })
        }
    }
}

/// Runs a decision so that a panic in it fails its batch, not the lane.
fn guarded<C: Command, T>(command: &C, decide: impl FnOnce() -> T) -> Result<T, LaneError> {
    catch_unwind(AssertUnwindSafe(decide))
        .map_err(|_| LaneError::Fault(format!("deciding `{}` panicked", command.name())))
}
