//! One attempt on its way, and what fate has in store for it.

use std::time::Duration;

use brokerage_types::SagaId;
use chrono::{DateTime, Utc};
use saga_orchestrator::engine::definition::StepNo;
use saga_orchestrator::engine::reply::{Direction, Request};
use saga_orchestrator::sagas::command::Command;

/// One attempt, as it travels.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub saga_id: SagaId,
    pub step: StepNo,
    pub direction: Direction,
    pub command: Command,
    pub epoch: u64,
    pub not_after: DateTime<Utc>,
}

impl Envelope {
    /// What the engine sends.
    pub fn of(request: &Request<'_>) -> Self {
        Self {
            saga_id: request.saga_id,
            step: request.step,
            direction: request.direction,
            command: request.command.clone(),
            epoch: request.epoch,
            not_after: request.not_after,
        }
    }
}

/// What a participant's commit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Everybody knows.
    Known,
    /// It is durable, and the client is told nothing.
    UnknownButDone,
    /// It is not, and the client is told nothing.
    UnknownAndNot,
}

/// What becomes of one attempt.
#[derive(Clone, Debug)]
pub struct Fate {
    /// It arrives after this; none: never.
    pub request: Option<Duration>,
    /// Copies of it arrive after these, whoever waits or not.
    pub copies: Vec<Duration>,
    /// At the participant.
    pub commit: Commit,
    /// The reply arrives after this; none: never.
    pub reply: Option<Duration>,
    /// Whether the sender of something lost hears of it.
    pub is_reset: bool,
}

/// How often what goes wrong: drawn once for a run.
#[derive(Clone, Copy, Debug)]
pub struct Odds {
    /// A message is lost, each way.
    pub loss: f64,
    /// It arrives again.
    pub replay: f64,
    /// It takes long.
    pub delay: f64,
    /// A commit's outcome is not told.
    pub unknown: f64,
    /// A process crashes within a second.
    pub crash: f64,
    /// A process pauses within a second.
    pub pause: f64,
    /// A service goes down within a second.
    pub outage: f64,
}

impl Odds {
    /// From calm to rough.
    pub fn drawn(rng: &mut fastrand::Rng) -> Self {
        Self {
            loss: 0.3 * rng.f64(),
            replay: 0.5 * rng.f64(),
            delay: 0.3 * rng.f64(),
            unknown: 0.1 * rng.f64(),
            crash: 0.15 * rng.f64(),
            pause: 0.15 * rng.f64(),
            outage: 0.1 * rng.f64(),
        }
    }
}
