//! What a driver does next: `decide::next`, or what a mutant makes of it.

use brokerage_types::Reason;
use saga_orchestrator::engine::decide::{self, Next};
use saga_orchestrator::engine::definition::{Role, Shape, StepNo};
use saga_orchestrator::engine::log::{Backward, Forward, Log};
use saga_orchestrator::engine::reply::Direction;

use super::state::Latch;
use crate::mutant::{Mutant, Rules};

/// What a driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Ask for these steps, together.
    Ask(Vec<StepNo>, Direction),
    /// Tell the client that all effects are in place.
    Completed,
    /// Tell the client that no effect remains, and why.
    RolledBack(Reason),
    /// Set the durable latch, if it is open.
    Latch(Latch),
    /// Start anew: the latch says otherwise than what is known.
    Forget,
    /// There is nothing that could be done.
    Stuck,
}

/// What a driver that knows this does next.
pub fn plan(rules: Rules, shape: &Shape, log: &Log, latch: Latch) -> Plan {
    if rules.has_latch() {
        return latched(rules, shape, log, latch);
    }
    let next = decide::next(shape, log);
    let Rules::Broken(mutant) = rules else { return planned(shape, log, next) };
    match (mutant, &next) {
        (Mutant::PlainReverseOrder | Mutant::LeaseDecides, Next::Compensate(steps))
            if *steps == [shape.pivot] =>
        {
            match (last_open(shape, log), mutant) {
                (Some(step), _) => Plan::Ask(vec![step], Direction::Undo(decide::cause(shape, log))),
                (None, Mutant::LeaseDecides) => Plan::RolledBack(decide::cause(shape, log)),
                (None, _) => planned(shape, log, next),
            }
        }
        (Mutant::SiblingsSkipped, Next::Compensate(steps)) if log.refusal(shape).is_some() => {
            let known: Vec<StepNo> =
                steps.iter().copied().filter(|&step| log.step(step).forward == Forward::Done).collect();
            if known.is_empty() {
                Plan::RolledBack(decide::cause(shape, log))
            } else {
                Plan::Ask(known, Direction::Undo(decide::cause(shape, log)))
            }
        }
        _ => planned(shape, log, next),
    }
}

fn planned(shape: &Shape, log: &Log, next: Next) -> Plan {
    match next {
        Next::Call(steps) => Plan::Ask(steps, Direction::Do),
        Next::Compensate(steps) => Plan::Ask(steps, Direction::Undo(decide::cause(shape, log))),
        Next::Completed => Plan::Completed,
        Next::RolledBack(reason, _) => Plan::RolledBack(reason),
        Next::Parked(_) => Plan::Stuck,
    }
}

/// The last step before the pivot that may hold an effect.
fn last_open(shape: &Shape, log: &Log) -> Option<StepNo> {
    (0..shape.pivot).rfind(|&step| may_hold_an_effect(shape, log, step))
}

fn may_hold_an_effect(shape: &Shape, log: &Log, step: StepNo) -> bool {
    let known = log.step(step);
    let may_have_run = matches!(known.forward, Forward::Unknown | Forward::Done);
    let has_effect = matches!(shape.role(step), Some(Role::Compensatable | Role::Pivot));
    has_effect && may_have_run && !known.is_undone()
}

/// A durable latch decides; the pivot is a step like the others.
fn latched(rules: Rules, shape: &Shape, log: &Log, latch: Latch) -> Plan {
    let pivot = log.step(shape.pivot);
    if latch == Latch::Abort {
        if pivot.backward == Backward::Refused {
            return Plan::Stuck;
        }
        if pivot.forward == Forward::Done {
            return Plan::Forget;
        }
        let open = (0..=shape.pivot).rfind(|&step| may_hold_an_effect(shape, log, step));
        let undo = |step| Plan::Ask(vec![step], Direction::Undo(Reason::GaveUp));
        return open.map_or(Plan::RolledBack(Reason::GaveUp), undo);
    }
    if pivot.forward != Forward::Done {
        if latch == Latch::Open && (log.refusal(shape).is_some() || log.giving_up().is_some()) {
            return Plan::Latch(Latch::Abort);
        }
        let open = (0..shape.stages())
            .map(|stage| shape.stage(stage).filter(|&s| log.step(s).forward != Forward::Done).collect())
            .find(|open: &Vec<StepNo>| !open.is_empty());
        return open.map_or(Plan::Stuck, |open| Plan::Ask(open, Direction::Do));
    }
    if rules.is(Mutant::LatchAcknowledgesAtPivot) {
        return Plan::Completed;
    }
    if latch == Latch::Open {
        return Plan::Latch(Latch::Commit);
    }
    match decide::next(shape, log) {
        Next::Call(steps) => Plan::Ask(steps, Direction::Do),
        Next::Completed => Plan::Completed,
        Next::Compensate(_) | Next::RolledBack(..) | Next::Parked(_) => Plan::Stuck,
    }
}
