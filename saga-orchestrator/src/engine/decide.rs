//! What to do next: the rules of a saga as one pure function of what is known.
//!
//! The pivot decides a saga's fate, so giving up begins by forestalling the pivot. Only a recorded refusal makes that
//! unnecessary, because nobody can get past it. Not here: time, patience, counting of failures (`drive`).

use brokerage_types::Reason;
use service_kit::defect;

use super::definition::{Role, Shape, StepNo};
use super::log::{Forward, Log};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Do these steps, together.
    Call(Vec<StepNo>),
    /// Undo these steps, or make sure that they never run, together.
    Compensate(Vec<StepNo>),
    /// All effects are in place, for ever.
    Completed,
    /// No effect remains. Why, and at which step if one is known to be refused for that.
    RolledBack(Reason, Option<StepNo>),
    /// Nothing, until it is resumed.
    Parked(Reason),
}

/// Where a saga stands, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Going forward.
    Running,
    /// Undoing.
    Compensating,
    /// All effects are in place.
    Completed,
    /// No effect remains.
    RolledBack,
    /// Waits for an operator or for better times.
    Parked,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 5] =
        [Status::Running, Status::Compensating, Status::Completed, Status::RolledBack, Status::Parked];

    /// As stored.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Status::Running => 1,
            Status::Compensating => 2,
            Status::Completed => 3,
            Status::RolledBack => 4,
            Status::Parked => 5,
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Status::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Whether nothing will ever change again.
    #[must_use]
    pub fn has_ended(self) -> bool {
        match self {
            Status::Completed | Status::RolledBack => true,
            Status::Running | Status::Compensating | Status::Parked => false,
        }
    }
}

/// Decides what to do next from what is known. Same knowledge, same answer, whoever asks.
#[must_use]
pub fn next(shape: &Shape, log: &Log) -> Next {
    if let Some(reason) = log.parked() {
        return Next::Parked(reason);
    }
    // Rule 2: the pivot ran, so the saga has happened, whatever else anybody wanted.
    if log.pivot_ran(shape) {
        let waiting =
            (shape.pivot + 1..shape.steps.len()).find(|&step| log.step(step).forward != Forward::Done);
        return waiting.map_or(Next::Completed, |step| Next::Call(vec![step]));
    }
    if is_abandoned(shape, log) {
        let to_undo = roll_back(shape, log).filter(|_| !defect::is_seeded("ended_before_undone"));
        return to_undo.unwrap_or_else(|| rolled_back(shape, log));
    }
    // Rule 2: whoever wants to give up asks the pivot first.
    if log.giving_up().is_some() {
        return Next::Compensate(vec![shape.pivot]);
    }
    Next::Call(first_open_stage(shape, log))
}

/// Where the saga stands.
#[must_use]
pub fn status(shape: &Shape, log: &Log) -> Status {
    match next(shape, log) {
        Next::Call(_) => Status::Running,
        Next::Compensate(_) => Status::Compensating,
        Next::Completed => Status::Completed,
        Next::RolledBack(..) => Status::RolledBack,
        Next::Parked(_) => Status::Parked,
    }
}

/// Why the saga is given up: what a participant is told with a compensation, and in the end the client.
///
/// The row of the first step decides, once it is known: whoever rolls the saga back reads it, and it never changes. So
/// drivers that give up for different reasons, or learn of different refusals, tell one reason (P6).
#[must_use]
pub fn cause(shape: &Shape, log: &Log) -> Reason {
    let refused = || log.refusal(shape).map(|(_, reason)| reason);
    let wanted = || log.step(shape.pivot).barred().or(log.giving_up()).unwrap_or(Reason::GaveUp);
    let first = log.step(0).barred().filter(|_| !defect::is_seeded("own_reason_told"));
    first.or_else(refused).unwrap_or_else(wanted)
}

/// The end, and the step that was refused for this reason, if one is known.
fn rolled_back(shape: &Shape, log: &Log) -> Next {
    let reason = cause(shape, log);
    let step = (0..=shape.pivot).find(|&step| log.step(step).forward == Forward::Rejected(reason));
    Next::RolledBack(reason, step)
}

/// Whether nobody can get past what is recorded: a refusal (rule 3), or a pivot that can never run (rule 2).
fn is_abandoned(shape: &Shape, log: &Log) -> bool {
    log.refusal(shape).is_some()
        || log.step(shape.pivot).is_undone()
        || (log.giving_up().is_some() && defect::is_seeded("pivot_not_asked_first"))
}

/// The last stage that still may hold an effect: siblings of a refused step too, for their outcome may be unknown.
fn roll_back(shape: &Shape, log: &Log) -> Option<Next> {
    (0..shape.stages()).rev().find_map(|stage| {
        let open: Vec<StepNo> =
            shape.stage(stage).filter(|&step| may_hold_an_effect(shape, log, step)).collect();
        (!open.is_empty()).then_some(Next::Compensate(open))
    })
}

fn may_hold_an_effect(shape: &Shape, log: &Log, step: StepNo) -> bool {
    let known = log.step(step);
    let compensatable = match shape.role(step) {
        Some(Role::Compensatable) => true,
        Some(Role::Check | Role::Pivot | Role::Retriable) | None => false,
    };
    let may_have_run = match known.forward {
        Forward::Unknown if defect::is_seeded("unheard_sibling_forgotten") => false,
        Forward::Unknown | Forward::Done => true,
        Forward::Rejected(_) | Forward::Tombstone(_) => false,
    };
    compensatable && may_have_run && !known.is_undone()
}

fn first_open_stage(shape: &Shape, log: &Log) -> Vec<StepNo> {
    (0..shape.stages())
        .map(|stage| shape.stage(stage).filter(|&step| log.step(step).forward != Forward::Done).collect())
        .find(|open: &Vec<StepNo>| !open.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::definition::{Patience, StepShape};
    use super::super::log::Event::{
        Done, GaveUp, NotNow, Parked, Refused, Rejected, Resumed, Tombstone, Undone,
    };
    use super::super::log::{Event, may_follow};
    use super::*;
    use crate::sagas::command::Participant;

    /// Two steps together, a check, the pivot, a retriable step.
    fn shape() -> Shape {
        let roles = [
            (Role::Compensatable, 0),
            (Role::Compensatable, 0),
            (Role::Check, 1),
            (Role::Pivot, 2),
            (Role::Retriable, 3),
        ];
        let step = |(role, stage)| StepShape {
            name: "step",
            role,
            participant: Participant::Order,
            stage,
            patience: Patience::Budget,
        };
        Shape { kind: "example", version: 1, steps: roles.map(step).to_vec(), pivot: 3 }
    }

    const NO: Reason = Reason::InsufficientUsable;
    const GIVE_UP: Reason = Reason::GaveUp;
    const ABORT: Reason = Reason::AbortedByOperator;

    fn check(events: &[Event], expected: &Next) {
        let (shape, mut log) = (shape(), Log::new(&shape()));
        for &event in events {
            log.record(&shape, event).unwrap();
        }
        assert_eq!(&next(&shape, &log), expected, "after {events:?}");
    }

    #[test]
    fn a_saga_goes_forward_stage_by_stage() {
        check(&[], &Next::Call(vec![0, 1]));
        check(&[Done(1)], &Next::Call(vec![0]));
        check(&[Done(0), Done(1)], &Next::Call(vec![2]));
        check(&[Done(0), Done(1), NotNow(2)], &Next::Call(vec![2]));
        check(&[Done(0), Done(1), Done(2)], &Next::Call(vec![3]));
        check(&[Done(0), Done(1), Done(2), Done(3)], &Next::Call(vec![4]));
        check(&[Done(0), Done(1), Done(2), Done(3), Done(4)], &Next::Completed);
    }

    #[test]
    fn a_recorded_refusal_compensates_all_others_at_once() {
        check(&[Rejected(0, NO)], &Next::Compensate(vec![1]));
        check(&[Rejected(0, NO), Undone(1, NO)], &Next::RolledBack(NO, Some(0)));
        check(&[Tombstone(0, NO)], &Next::Compensate(vec![1]));
        check(&[Rejected(0, NO), Rejected(1, GIVE_UP)], &Next::RolledBack(NO, Some(0)));
        check(&[Tombstone(0, NO), Undone(1, NO)], &Next::RolledBack(NO, None));
        check(&[Done(0), Done(1), Rejected(2, NO)], &Next::Compensate(vec![0, 1]));
        check(&[Done(0), Done(1), Done(2), Rejected(3, NO)], &Next::Compensate(vec![0, 1]));
        check(&[Done(0), Done(1), Done(2), Rejected(3, NO), Undone(1, NO)], &Next::Compensate(vec![0]));
        check(&[GaveUp(GIVE_UP), Rejected(0, NO)], &Next::Compensate(vec![1]));
    }

    #[test]
    fn giving_up_begins_at_the_pivot() {
        check(&[GaveUp(GIVE_UP)], &Next::Compensate(vec![3]));
        check(&[Done(0), GaveUp(GIVE_UP)], &Next::Compensate(vec![3]));
        check(&[GaveUp(GIVE_UP), Undone(3, GIVE_UP)], &Next::Compensate(vec![0, 1]));
        let undone = |step| Undone(step, GIVE_UP);
        check(&[GaveUp(GIVE_UP), undone(3), undone(0), undone(1)], &Next::RolledBack(GIVE_UP, None));
        check(&[GaveUp(GIVE_UP), Refused(3)], &Next::Call(vec![4]));
        check(&[GaveUp(GIVE_UP), Refused(3), Done(4)], &Next::Completed);
    }

    #[test]
    fn the_row_of_the_first_step_says_why() {
        let cases: [(&[Event], Reason); 9] = [
            (&[], GIVE_UP),
            (&[GaveUp(ABORT)], ABORT),
            // Another driver forestalled the pivot before this one could.
            (&[GaveUp(ABORT), Undone(3, GIVE_UP)], GIVE_UP),
            (&[Rejected(1, NO)], NO),
            (&[Rejected(1, NO), Undone(0, GIVE_UP)], GIVE_UP),
            (&[Rejected(1, NO), Tombstone(0, GIVE_UP)], GIVE_UP),
            (&[Rejected(1, GIVE_UP), Rejected(0, NO)], NO),
            (&[Done(0), Done(1), Rejected(2, NO), Undone(0, ABORT)], ABORT),
            (&[GaveUp(GIVE_UP), Undone(3, GIVE_UP), Undone(0, NO)], NO),
        ];
        for (events, expected) in cases {
            let (shape, mut log) = (shape(), Log::new(&shape()));
            for &event in events {
                log.record(&shape, event).unwrap();
            }
            assert_eq!(cause(&shape, &log), expected, "after {events:?}");
        }
        // Which step was refused is told only where that is the reason.
        check(&[Rejected(1, NO), Undone(0, GIVE_UP)], &Next::RolledBack(GIVE_UP, None));
        check(&[Rejected(1, NO), Undone(0, NO)], &Next::RolledBack(NO, Some(1)));
    }

    #[test]
    fn a_parked_saga_waits_and_then_goes_on_where_it_was() {
        check(&[Done(0), Parked(NO)], &Next::Parked(NO));
        check(&[Done(0), Parked(NO), Resumed], &Next::Call(vec![1]));
    }

    #[test]
    fn what_contradicts_the_log_may_not_follow() {
        let cases: [(&[Event], Event, bool); 17] = [
            (&[], Done(0), true),
            (&[Done(0)], Done(0), true),
            (&[Rejected(0, NO)], Done(0), false),
            (&[Tombstone(0, NO)], Done(0), false),
            (&[Undone(0, NO)], Done(0), false),
            (&[Done(0)], Rejected(0, NO), false),
            (&[], Rejected(4, NO), false),
            (&[], Tombstone(2, NO), false),
            (&[], Tombstone(4, NO), false),
            (&[], NotNow(0), false),
            (&[], NotNow(2), true),
            (&[], Refused(0), false),
            (&[Undone(3, NO)], Refused(3), false),
            (&[Refused(3)], Undone(0, NO), false),
            (&[Done(3)], GaveUp(NO), false),
            (&[], Resumed, false),
            (&[], Done(9), false),
        ];
        for (before, event, expected) in cases {
            let (shape, mut log) = (shape(), Log::new(&shape()));
            for &event in before {
                log.record(&shape, event).unwrap();
            }
            assert_eq!(may_follow(&shape, &log, event), expected, "{event:?} after {before:?}");
        }
    }
}
