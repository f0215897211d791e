//! The participants without I/O: what they store, and what they answer.
//!
//! A [`Sheet`] keeps verdicts only and lets every step be done or rejected, so it covers every business rule that
//! could be. [`Books`] runs the services' own books, so it covers what sagas do to each other. Both ask the inbox
//! rule of the executor.

mod books;
mod ledger;
mod sheet;
mod translate;

pub use books::{Arrival, Books};
pub use sheet::Sheet;

use brokerage_types::Reason;
use saga_orchestrator::engine::definition::{Role, StepNo};
use saga_orchestrator::engine::reply::{Direction, Reply};
use service_kit::executor::rule::{Asked, Operation, Standing};

use crate::cast::Cast;
use crate::mutant::{Mutant, Rules};

/// One attempt of one step, as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Which saga of the scenario.
    pub saga: usize,
    /// Which step.
    pub step: StepNo,
    /// Do or undo.
    pub direction: Direction,
    /// The sender's epoch.
    pub epoch: u64,
}

/// Both participants.
pub trait Floor: Clone {
    /// Equal for equal floors, and for no others.
    fn key(&self) -> String;

    /// A message arrives: every floor and answer that may follow.
    ///
    /// # Errors
    /// What a service could only answer with a fault.
    fn deliver(&self, casts: &[Cast], rules: Rules, message: &Message) -> Result<Vec<(Self, Reply)>, String>;

    /// How often the step's effect is in force: 0 or 1, if the protocol holds.
    fn effects(&self, casts: &[Cast], saga: usize, step: StepNo) -> i8;

    /// What must hold in every state.
    ///
    /// # Errors
    /// The promise that is broken.
    fn check(&self) -> Result<(), String>;

    /// What must hold when every saga has ended.
    ///
    /// # Errors
    /// The promise that is broken.
    fn check_at_rest(&self) -> Result<(), String>;
}

/// The rule's question about a message.
fn asked(role: Option<Role>, direction: Direction, epoch: u64, is_void: bool) -> Asked {
    Asked {
        operation: if direction.is_undo() { Operation::Compensate } else { Operation::Do },
        is_pivot: matches!(role, Some(Role::Pivot | Role::Retriable)),
        epoch: i64::try_from(epoch).unwrap_or(i64::MAX),
        is_void,
    }
}

/// An answer that stands, as the engine hears it.
fn standing(standing: Standing, reason: Option<Reason>, direction: Direction, rules: Rules) -> Reply {
    let reason = reason.filter(|_| !(direction.is_undo() && rules.is(Mutant::StoredReasonUntold)));
    let reason = reason.unwrap_or(why(direction));
    match standing {
        Standing::Done => Reply::Done,
        Standing::Rejected => Reply::Rejected(reason),
        Standing::Tombstone => Reply::Tombstone(reason),
        Standing::Undone => Reply::Undone(reason),
        Standing::Refused => Reply::Refused,
        Standing::Expired => Reply::Expired,
        Standing::StaleEpoch(highest) => Reply::StaleEpoch(u64::try_from(highest).unwrap_or_default()),
        Standing::Mismatch => Reply::Poison("the key was used for another command".to_owned()),
    }
}

/// Why a step is undone.
fn why(direction: Direction) -> Reason {
    match direction {
        Direction::Do => Reason::GaveUp,
        Direction::Undo(reason) => reason,
    }
}
