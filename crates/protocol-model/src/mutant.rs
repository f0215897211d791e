//! Weaker protocols. The model must notice every one of them; the services never see them.
//!
//! What a mutant changes at a participant is here, around the real rule; what it
//! changes in a driver is in `model/plan.rs`.

use service_kit::executor::rule::{self, Asked, Due, Operation, Standing, Stored};

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// Compensating what never ran leaves no trace.
    NoTombstones,
    /// A step is done again whenever it arrives.
    NoInbox,
    /// A rejection is answered, but not kept.
    RejectionForgotten,
    /// A compensation that finds a row is not told why that row is there.
    StoredReasonUntold,
    /// A step that arrives after its tombstone is answered with success.
    LateActionSucceeds,
    /// The pivot is compensated like any other step.
    PivotCanBeUndone,
    /// Giving up starts with the first of the other steps, and ends at the pivot.
    PlainReverseOrder,
    /// The siblings of a rejected step are not compensated, if they are not known to have run.
    SiblingsSkipped,
    /// One driver at a time, so it gives up without asking the pivot: nobody else could have run it.
    LeaseDecides,
    /// A durable latch decides, but the client is answered as soon as the pivot is done.
    LatchAcknowledgesAtPivot,
    /// A durable latch decides, and the pivot refuses too.
    LatchAndRefusingPivot,
    /// Late messages are fenced off by epochs instead of tombstones, and the bump of the epoch may be lost.
    EpochBumpLost,
    /// A driver that is told of a higher epoch goes on with its own.
    StaleEpochIsFinal,
    /// `await_drain` waits for nothing.
    NoDrain,
    /// `begin_cancel` does not stop new matches, and `await_drain` does not look for it.
    NoSemanticLock,
    /// `open` does not see that a cancel was asked, and `await_drain` does not wait for it.
    CancelMarkIgnored,
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Mutant; 16] = [
        Mutant::NoTombstones,
        Mutant::NoInbox,
        Mutant::RejectionForgotten,
        Mutant::StoredReasonUntold,
        Mutant::LateActionSucceeds,
        Mutant::PivotCanBeUndone,
        Mutant::PlainReverseOrder,
        Mutant::SiblingsSkipped,
        Mutant::LeaseDecides,
        Mutant::LatchAcknowledgesAtPivot,
        Mutant::LatchAndRefusingPivot,
        Mutant::EpochBumpLost,
        Mutant::StaleEpochIsFinal,
        Mutant::NoDrain,
        Mutant::NoSemanticLock,
        Mutant::CancelMarkIgnored,
    ];
}

/// The rules that a scenario plays by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The pivot decides: what the services run.
    Ours,
    /// A durable latch in the orchestrator decides, and the pivot can be undone. Safe, but a second source of truth.
    Latch,
    /// Broken.
    Broken(Mutant),
}

impl Rules {
    /// Whether this mutant is at work.
    #[must_use]
    pub fn is(self, mutant: Mutant) -> bool {
        self == Rules::Broken(mutant)
    }

    /// Whether a durable latch decides.
    #[must_use]
    pub fn has_latch(self) -> bool {
        self == Rules::Latch
            || self.is(Mutant::LatchAcknowledgesAtPivot)
            || self.is(Mutant::LatchAndRefusingPivot)
    }

    fn pivot_can_be_undone(self) -> bool {
        self == Rules::Latch || self.is(Mutant::LatchAcknowledgesAtPivot) || self.is(Mutant::PivotCanBeUndone)
    }

    /// The rule of the inbox, as these rules have it.
    #[must_use]
    pub fn due(self, stored: Option<Stored>, asked: &Asked, highest_epoch: i64) -> Due {
        let asked = Asked { is_pivot: asked.is_pivot && !self.pivot_can_be_undone(), ..*asked };
        let due = rule::due(stored, &asked, highest_epoch);
        match due {
            Due::Forestall if self.is(Mutant::NoTombstones) => Due::Answer(Standing::Done),
            Due::Answer(Standing::Done | Standing::Rejected)
                if self.is(Mutant::NoInbox) && asked.operation == Operation::Do =>
            {
                Due::Decide
            }
            Due::Answer(Standing::Tombstone) if self.is(Mutant::LateActionSucceeds) => {
                Due::Answer(Standing::Done)
            }
            Due::Answer(_) | Due::Decide | Due::Forestall | Due::Undo => due,
        }
    }
}
