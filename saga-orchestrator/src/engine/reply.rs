//! What a participant is asked, and what can come back.
//!
//! Anything a participant *knows* is a verdict; everything else is unknown, and unknown is not failed. Not here: how
//! statuses of the wire become these values (`participants/`).

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, Utc};

use super::breaker::Heard;
use super::definition::StepNo;
use crate::sagas::command::Command;

/// Do a step, or undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Do it.
    Do,
    /// Undo it, or make sure that it never runs; and why.
    Undo(Reason),
}

impl Direction {
    /// Whether it is a compensation.
    #[must_use]
    pub fn is_undo(self) -> bool {
        match self {
            Direction::Do => false,
            Direction::Undo(_) => true,
        }
    }
}

/// One attempt of one step.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// With the step: the idempotency key.
    pub saga_id: SagaId,
    /// Position in the saga.
    pub step: StepNo,
    /// Do or undo.
    pub direction: Direction,
    /// The step's command, the same for both directions and every attempt.
    pub command: &'a Command,
    /// How often the saga changed its driver.
    pub epoch: u64,
    /// Past this instant of the participant's database clock the attempt is void.
    pub not_after: DateTime<Utc>,
    /// Counts the attempts of this step in this direction, from 1.
    pub attempt: u32,
    /// With a step of the first stage: what the saga can be rebuilt from. Empty otherwise.
    pub intent: &'a [u8],
}

/// What came back from one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done (now or earlier). To a compensation, from a participant that does not say why: see [`Reply::Undone`].
    Done,
    /// A business rule refuses it, for ever.
    Rejected(Reason),
    /// It can never run (again), and why.
    Tombstone(Reason),
    /// To a compensation: nothing of it remains, and it can never run. Why, as its row says: the same for all who ask.
    Undone(Reason),
    /// To a compensation: the pivot has run.
    Refused,
    /// From a check: ask again later.
    NotNow,
    /// The attempt came too late; nothing was done.
    Expired,
    /// A higher epoch was seen; nothing was done.
    StaleEpoch(u64),
    /// Nothing is known.
    Unknown(Trouble),
    /// It cannot be answered, now or later: asking again is pointless.
    Poison(String),
}

impl Reply {
    /// One word, for logs and operators.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Reply::Done | Reply::Undone(_) => "DONE",
            Reply::Rejected(_) => "REJECTED",
            Reply::Tombstone(_) => "TOMBSTONE",
            Reply::Refused => "REFUSED",
            Reply::NotNow => "NOT_NOW",
            Reply::Expired => "EXPIRED",
            Reply::StaleEpoch(_) => "STALE_EPOCH",
            Reply::Unknown(_) => "UNKNOWN",
            Reply::Poison(_) => "POISON",
        }
    }

    /// What it tells about the participant. Only no answer at all is silence.
    #[must_use]
    pub fn heard(&self) -> Heard {
        match self {
            Reply::Unknown(trouble) => match trouble.kind {
                TroubleKind::NoAnswer => Heard::Silence,
                TroubleKind::Busy | TroubleKind::Forbidden => Heard::Unserved,
                TroubleKind::Faulted => Heard::Answer,
            },
            Reply::Done
            | Reply::Rejected(_)
            | Reply::Tombstone(_)
            | Reply::Undone(_)
            | Reply::Refused
            | Reply::NotNow
            | Reply::Expired
            | Reply::StaleEpoch(_)
            | Reply::Poison(_) => Heard::Answer,
        }
    }

    /// Why, if the reply says so; empty otherwise.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Reply::Done | Reply::Refused | Reply::NotNow | Reply::Expired => String::new(),
            Reply::Rejected(reason) | Reply::Tombstone(reason) | Reply::Undone(reason) => {
                reason.as_str().to_owned()
            }
            Reply::StaleEpoch(highest) => format!("the highest epoch seen is {highest}"),
            Reply::Unknown(trouble) => trouble.detail.clone(),
            Reply::Poison(detail) => detail.clone(),
        }
    }
}

/// Why nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub kind: TroubleKind,
    /// For operators.
    pub detail: String,
}

/// What kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TroubleKind {
    /// Nobody answered, or nothing that tells what happened.
    NoAnswer,
    /// The participant sheds load.
    Busy,
    /// We are not let in; certificates and secrets rotate, so it may pass.
    Forbidden,
    /// The participant is there, and this command made it fail.
    Faulted,
}

/// A reply, and the participant's database clock if it came along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What came back.
    pub reply: Reply,
    /// When, on the participant's database clock.
    pub database_time: Option<DateTime<Utc>>,
}

/// Whoever does steps: the services over gRPC, or a model of them.
pub trait Participants: Send + Sync + 'static {
    /// Sends one attempt and waits for its reply. It may be dropped at any time; the outcome is unknown then.
    fn send(&self, request: &Request<'_>) -> impl Future<Output = Answer> + Send;
}
