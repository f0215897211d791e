//! What a driver tells the outside while it drives: notes for people, hints for the next driver.
//!
//! All of it may be lost: the next driver starts from the first step, and the participants tell it what they decided.

use std::time::Duration;

use brokerage_types::Reason;
use chrono::{DateTime, Utc};

use super::decide::Status;
use super::definition::StepNo;
use super::reply::{Direction, Reply};

/// One attempt and its reply.
#[derive(Clone, Debug)]
pub struct Note {
    /// Which step.
    pub step: StepNo,
    /// Done or undone.
    pub direction: Direction,
    /// Counts the attempts of this step in this direction, from 1.
    pub attempt: u32,
    /// What came back.
    pub reply: Reply,
    /// When.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
}

/// Where a saga stands that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Running, compensating or parked.
    pub status: Status,
    /// Why it is given up or parked.
    pub reason: Option<Reason>,
    /// For operators: what went wrong last.
    pub detail: Option<String>,
}

/// Where a driver writes. Nothing but `raise_epoch` waits for anything.
pub trait Recorder: Send {
    /// These steps are asked for next, to do or to undo them.
    fn asks(&mut self, _steps: &[StepNo], _is_undo: bool) {}

    /// Notes one attempt, lazily.
    fn note(&mut self, note: Note);

    /// Notes that the saga turned round, was parked, or goes on.
    fn stands(&mut self, standing: Standing);

    /// The driver is about to wait: a good moment to write down what was noted.
    fn pausing(&mut self, pause: Duration);

    /// A participant has seen a higher epoch: keeps the new one. False if another process owns the saga now. When that
    /// cannot be found out the answer is true: going on is always safe.
    fn raise_epoch(&mut self, epoch: u64) -> impl Future<Output = bool> + Send;
}
