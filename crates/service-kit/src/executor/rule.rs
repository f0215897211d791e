//! The rule of the inbox: what a stored row says about a request, and what a fresh decision writes.
//!
//! Pure, so that the executor runs exactly what the protocol's model explores. One row per (saga, step), never per
//! direction: doing and undoing are operations on the same row. Not here: rows, SQL, and what a step means.

use crate::defect;

/// What is known of a step, for ever (but that DONE may become COMPENSATED).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It was done.
    Done,
    /// A business rule refused it.
    Rejected,
    /// It was done and then undone.
    Compensated,
    /// It was undone before it was done: it can never run.
    Tombstone,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 4] =
        [Verdict::Done, Verdict::Rejected, Verdict::Compensated, Verdict::Tombstone];
}

/// Do a step, or undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Do it.
    Do,
    /// Undo it, or make sure that it never runs.
    Compensate,
}

/// What the rule needs to know of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Do or undo.
    pub operation: Operation,
    /// Whether the step is its saga's pivot (or comes after it): done, it cannot be taken back.
    pub is_pivot: bool,
    /// The epoch that the request came with.
    pub epoch: i64,
    /// Whether the request came after its `not_after`, by the database's clock.
    pub is_void: bool,
}

/// What the rule needs to know of a stored row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether it was decided about the same command.
    pub same_command: bool,
}

/// An answer that needs no decision. Nothing is changed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// To do: it is done.
    Done,
    /// To do: it is refused, for ever.
    Rejected,
    /// To do: it can never run (again).
    Tombstone,
    /// To undo: nothing of it remains, and it can never run. The row says why: all who ask are told the same.
    Undone,
    /// To undo: it is a pivot and has run.
    Refused,
    /// The request came too late.
    Expired,
    /// A higher epoch was seen: this one.
    StaleEpoch(i64),
    /// The key was used for another command.
    Mismatch,
}

/// What is to be done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: the answer stands.
    Answer(Standing),
    /// Decide it for the first time.
    Decide,
    /// It never ran: make sure that it never will.
    Forestall,
    /// It is done: apply the inverse.
    Undo,
}

impl Due {
    /// The verdict to write, if one is due. `is_accepted` counts only for what is decided for the first time.
    #[must_use]
    pub fn verdict(self, is_accepted: bool) -> Option<Verdict> {
        match self {
            Due::Answer(_) => None,
            Due::Decide if is_accepted => Some(Verdict::Done),
            Due::Decide => Some(Verdict::Rejected),
            Due::Forestall => Some(Verdict::Tombstone),
            Due::Undo => Some(Verdict::Compensated),
        }
    }
}

/// What is to be done about a request, given the row of its step and the highest epoch that any stored step of its
/// saga came with. Stored verdicts are answered whatever the epoch and the hour: they are the truth.
#[must_use]
pub fn due(stored: Option<Stored>, asked: &Asked, highest_epoch: i64) -> Due {
    let Some(stored) = stored else {
        if asked.is_void && !defect::is_seeded("late_attempt_decided") {
            return Due::Answer(Standing::Expired);
        }
        if asked.epoch < highest_epoch && !defect::is_seeded("stale_epoch_decided") {
            return Due::Answer(Standing::StaleEpoch(highest_epoch));
        }
        return match asked.operation {
            Operation::Do => Due::Decide,
            Operation::Compensate => Due::Forestall,
        };
    };
    match (asked.operation, stored.verdict) {
        // A tombstone is about the step, whatever its command would have been.
        (Operation::Do, Verdict::Compensated | Verdict::Tombstone) => Due::Answer(Standing::Tombstone),
        (_, Verdict::Done | Verdict::Rejected) if !stored.same_command => Due::Answer(Standing::Mismatch),
        (Operation::Do, Verdict::Done) => Due::Answer(Standing::Done),
        (Operation::Do, Verdict::Rejected) => Due::Answer(Standing::Rejected),
        (Operation::Compensate, Verdict::Done) if asked.is_pivot && !defect::is_seeded("pivot_undone") => {
            Due::Answer(Standing::Refused)
        }
        (Operation::Compensate, Verdict::Done) => Due::Undo,
        (Operation::Compensate, Verdict::Rejected | Verdict::Compensated | Verdict::Tombstone) => {
            Due::Answer(Standing::Undone)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DO: Asked = Asked { operation: Operation::Do, is_pivot: false, epoch: 5, is_void: false };
    const UNDO: Asked = Asked { operation: Operation::Compensate, ..DO };

    #[test]
    fn a_step_without_a_row_is_decided_unless_it_comes_late() {
        assert_eq!(due(None, &DO, 5), Due::Decide);
        assert_eq!(due(None, &UNDO, 5), Due::Forestall);
        for asked in [DO, UNDO] {
            assert_eq!(due(None, &asked, 6), Due::Answer(Standing::StaleEpoch(6)));
            let void = Asked { is_void: true, ..asked };
            assert_eq!(due(None, &void, 6), Due::Answer(Standing::Expired));
        }
    }

    #[test]
    fn a_stored_verdict_is_answered_whatever_the_epoch_and_the_hour() {
        use Standing::{Done, Rejected, Tombstone, Undone};
        let expected = [
            (Verdict::Done, Due::Answer(Done), Due::Undo),
            (Verdict::Rejected, Due::Answer(Rejected), Due::Answer(Undone)),
            (Verdict::Compensated, Due::Answer(Tombstone), Due::Answer(Undone)),
            (Verdict::Tombstone, Due::Answer(Tombstone), Due::Answer(Undone)),
        ];
        for (verdict, to_do, to_undo) in expected {
            let stored = Some(Stored { verdict, same_command: true });
            for (highest_epoch, is_void) in [(0, false), (9, false), (0, true)] {
                assert_eq!(due(stored, &Asked { is_void, ..DO }, highest_epoch), to_do, "{verdict:?}");
                assert_eq!(due(stored, &Asked { is_void, ..UNDO }, highest_epoch), to_undo, "{verdict:?}");
            }
        }
    }

    #[test]
    fn a_pivot_that_ran_refuses_and_one_that_did_not_is_forestalled() {
        let pivot = Asked { is_pivot: true, ..UNDO };
        let stored = |verdict| Some(Stored { verdict, same_command: true });
        assert_eq!(due(stored(Verdict::Done), &pivot, 0), Due::Answer(Standing::Refused));
        assert_eq!(due(None, &pivot, 0), Due::Forestall);
        assert_eq!(due(stored(Verdict::Rejected), &pivot, 0), Due::Answer(Standing::Undone));
    }

    #[test]
    fn another_command_under_the_same_key_changes_nothing() {
        let other = |verdict| Some(Stored { verdict, same_command: false });
        for asked in [DO, UNDO] {
            assert_eq!(due(other(Verdict::Done), &asked, 0), Due::Answer(Standing::Mismatch));
            assert_eq!(due(other(Verdict::Rejected), &asked, 0), Due::Answer(Standing::Mismatch));
        }
        assert_eq!(due(other(Verdict::Tombstone), &DO, 0), Due::Answer(Standing::Tombstone));
    }

    #[test]
    fn what_is_written_follows_from_what_is_due() {
        assert_eq!(Due::Decide.verdict(true), Some(Verdict::Done));
        assert_eq!(Due::Decide.verdict(false), Some(Verdict::Rejected));
        assert_eq!(Due::Forestall.verdict(true), Some(Verdict::Tombstone));
        assert_eq!(Due::Undo.verdict(true), Some(Verdict::Compensated));
        assert_eq!(Due::Answer(Standing::Done).verdict(true), None);
    }
}
