//! Explores every interleaving of drivers, participants and a faulty network, over the very functions that the
//! service runs, and shows that weaker rules break.
//!
//! Two drivers at once, each may forget everything at any time; every message may be lost, its reply may be lost, and
//! it may arrive again at any later time. Not here: time; it decides nothing.

use std::collections::{HashSet, VecDeque};

use brokerage_types::{Reason, Side};
use uuid::Uuid;

use super::decide::{self, Next};
use super::definition::{Patience, Role, Shape, StepNo, StepShape};
use super::log::{Event, Log};
use crate::sagas::command::Participant;
use crate::sagas::{cancel_order, create_order, match_orders};

/// One inbox row, or the stable answer of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    Nothing,
    Done,
    Rejected,
    Compensated,
    Tombstone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    inbox: Vec<Row>,
    drivers: Vec<Log>,
    /// Messages that were sent at least once: (step, is a compensation). Each may arrive again.
    sent: Vec<(StepNo, bool)>,
    completed: bool,
    rolled_back: bool,
}

/// What is varied to see whether the exploration would notice.
struct Rules {
    next: fn(&Shape, &Log) -> Next,
    tombstones: bool,
    pivot_refuses: bool,
}

const OURS: Rules = Rules { next: decide::next, tombstones: true, pivot_refuses: true };

fn shape(stages: &[&[Role]], retriable: usize) -> Shape {
    let mut steps = Vec::new();
    let mut add = |role, stage| {
        let participant = Participant::Order;
        steps.push(StepShape { name: "step", role, participant, stage, patience: Patience::Budget });
    };
    for (stage, roles) in stages.iter().enumerate() {
        roles.iter().for_each(|&role| add(role, stage));
    }
    add(Role::Pivot, stages.len());
    (0..retriable).for_each(|place| add(Role::Retriable, stages.len() + 1 + place));
    let pivot = stages.iter().map(|roles| roles.len()).sum();
    Shape { kind: "explored", version: 1, steps, pivot }
}

fn create() -> Shape {
    create_order::SAGA
        .script(&create_order::Input {
            order_id: Uuid::from_u128(1).into(),
            customer_id: "alice".parse().unwrap(),
            client_order_id: "mine".parse().unwrap(),
            instrument: "THYAO".parse().unwrap(),
            base_asset: "THYAO".parse().unwrap(),
            quote_asset: "TRY".parse().unwrap(),
            side: Side::Buy,
            limit_price: "100".parse().unwrap(),
            quantity: "10".parse().unwrap(),
            created_by: "alice".parse().unwrap(),
        })
        .shape
}

fn create_with_one_stage() -> Shape {
    shape(&[&[Role::Compensatable, Role::Compensatable]], 0)
}

fn cancel() -> Shape {
    let requested_by = "alice".parse().unwrap();
    cancel_order::SAGA
        .script(&cancel_order::Input { order_id: Uuid::from_u128(1).into(), requested_by })
        .shape
}

fn matching() -> Shape {
    match_orders::SAGA
        .script(&match_orders::Input {
            trade_id: Uuid::from_u128(3).into(),
            instrument: "THYAO".parse().unwrap(),
            base_asset: "THYAO".parse().unwrap(),
            quote_asset: "TRY".parse().unwrap(),
            buy_order_id: Uuid::from_u128(1).into(),
            sell_order_id: Uuid::from_u128(2).into(),
            buyer_id: "alice".parse().unwrap(),
            seller_id: "bob".parse().unwrap(),
            quantity: "10".parse().unwrap(),
            price: "100".parse().unwrap(),
        })
        .shape
}

/// Delivers one message: every world and answer that may follow.
fn deliver(shape: &Shape, rules: &Rules, inbox: &[Row], message: (StepNo, bool)) -> Vec<(Vec<Row>, Event)> {
    let (step, is_undo) = message;
    let role = shape.role(step).unwrap();
    let with = |row, event| {
        let mut inbox = inbox.to_vec();
        inbox[step] = row;
        (inbox, event)
    };
    let refusal = Reason::InsufficientUsable;
    if is_undo {
        return vec![match inbox[step] {
            Row::Nothing if rules.tombstones => with(Row::Tombstone, Event::Undone(step)),
            Row::Nothing => with(Row::Nothing, Event::Undone(step)),
            Row::Done if role == Role::Pivot && rules.pivot_refuses => with(Row::Done, Event::Refused(step)),
            Row::Done => with(Row::Compensated, Event::Undone(step)),
            row @ (Row::Rejected | Row::Compensated | Row::Tombstone) => with(row, Event::Undone(step)),
        }];
    }
    match inbox[step] {
        Row::Nothing => {
            let mut ways = vec![with(Row::Done, Event::Done(step))];
            if role != Role::Retriable {
                ways.push(with(Row::Rejected, Event::Rejected(step, refusal)));
            }
            ways
        }
        Row::Done => vec![with(Row::Done, Event::Done(step))],
        Row::Rejected => vec![with(Row::Rejected, Event::Rejected(step, refusal))],
        row @ (Row::Compensated | Row::Tombstone) => vec![with(row, Event::Tombstone(step, Reason::GaveUp))],
    }
}

fn successors(shape: &Shape, rules: &Rules, world: &World) -> Result<Vec<World>, String> {
    let mut found = Vec::new();
    for &message in &world.sent {
        for (inbox, _reply_is_lost) in deliver(shape, rules, &world.inbox, message) {
            found.push(World { inbox, ..world.clone() });
        }
    }
    for (number, log) in world.drivers.iter().enumerate() {
        let with = |log: Log, world: &World| {
            let mut next = world.clone();
            next.drivers[number] = log;
            next
        };
        // Crash: everything it knew is gone.
        found.push(with(Log::new(shape), world));
        let mut gave_up = log.clone();
        if gave_up.record(shape, Event::GaveUp(Reason::GaveUp)).is_ok() {
            found.push(with(gave_up, world));
        }
        let (steps, is_undo) = match (rules.next)(shape, log) {
            Next::Call(steps) => (steps, false),
            Next::Compensate(steps) => (steps, true),
            Next::Completed => {
                found.push(World { completed: true, ..world.clone() });
                continue;
            }
            Next::RolledBack(..) => {
                found.push(World { rolled_back: true, ..world.clone() });
                continue;
            }
            Next::Parked(_) => continue,
        };
        let mut sent = world.clone();
        for &step in &steps {
            if !sent.sent.contains(&(step, is_undo)) {
                sent.sent.push((step, is_undo));
            }
        }
        sent.sent.sort_unstable();
        for step in steps {
            for (inbox, event) in deliver(shape, rules, &world.inbox, (step, is_undo)) {
                let mut told = log.clone();
                told.record(shape, event).map_err(|impossible| impossible.to_string())?;
                found.push(with(told, &World { inbox, ..sent.clone() }));
            }
        }
        found.push(sent);
    }
    Ok(found)
}

fn check(shape: &Shape, world: &World) -> Result<(), String> {
    let has_effect = |row: Row| row == Row::Done;
    let effects = || {
        let rows = shape.steps.iter().zip(&world.inbox);
        rows.filter(|(step, _)| step.role != Role::Check).map(|(_, &row)| row)
    };
    if world.completed && !effects().all(has_effect) {
        return Err(format!("completed without every effect: {world:?}"));
    }
    if world.rolled_back && effects().any(has_effect) {
        return Err(format!("rolled back with an effect: {world:?}"));
    }
    Ok(())
}

/// A driver that knows nothing, on a network that works, ends the saga.
fn can_finish(shape: &Shape, rules: &Rules, world: &World) -> Result<(), String> {
    let (mut log, mut inbox) = (Log::new(shape), world.inbox.clone());
    for _ in 0..50 {
        let (steps, is_undo) = match (rules.next)(shape, &log) {
            Next::Call(steps) => (steps, false),
            Next::Compensate(steps) => (steps, true),
            Next::Completed | Next::RolledBack(..) => return Ok(()),
            Next::Parked(_) => return Err("parked".to_owned()),
        };
        for step in steps {
            let (next, event) = deliver(shape, rules, &inbox, (step, is_undo)).swap_remove(0);
            inbox = next;
            log.record(shape, event).map_err(|impossible| impossible.to_string())?;
        }
    }
    Err(format!("cannot finish: {world:?}"))
}

/// The number of different states, or the first thing that must not be.
fn explore(shape: &Shape, rules: &Rules, drivers: usize) -> Result<usize, String> {
    let first = World {
        inbox: vec![Row::Nothing; shape.steps.len()],
        drivers: vec![Log::new(shape); drivers],
        sent: Vec::new(),
        completed: false,
        rolled_back: false,
    };
    let mut seen = HashSet::from([first.clone()]);
    let mut finishable = HashSet::new();
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        check(shape, &world)?;
        if finishable.insert(world.inbox.clone()) {
            can_finish(shape, rules, &world)?;
        }
        for mut next in successors(shape, rules, &world)? {
            // Drivers are alike: which is which does not matter.
            next.drivers.sort_by_cached_key(|log| format!("{log:?}"));
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    Ok(seen.len())
}

#[test]
fn every_end_is_all_or_nothing_whatever_the_network_and_one_driver_do() {
    for shape in [create(), create_with_one_stage(), cancel(), matching()] {
        let states = explore(&shape, &OURS, 1).unwrap();
        assert!(states > 100, "{states}");
    }
}

#[test]
fn two_drivers_at_once_do_no_harm() {
    for shape in [create(), create_with_one_stage(), cancel(), matching()] {
        let states = explore(&shape, &OURS, 2).unwrap();
        assert!(states > 1_000, "{states}");
    }
}

#[test]
fn without_tombstones_a_late_message_breaks_a_rolled_back_saga() {
    let rules = Rules { tombstones: false, ..OURS };
    assert!(explore(&create(), &rules, 1).is_err());
}

#[test]
fn a_pivot_that_can_be_undone_breaks_a_completed_saga() {
    let rules = Rules { pivot_refuses: false, ..OURS };
    assert!(explore(&create(), &rules, 1).is_err());
}

#[test]
fn compensating_in_plain_reverse_order_breaks_sagas() {
    fn next(shape: &Shape, log: &Log) -> Next {
        match (decide::next(shape, log), log.giving_up()) {
            // The steps before the pivot first, the pivot never.
            (Next::Compensate(steps), Some(reason)) if steps == [shape.pivot] => {
                let open = |step: &StepNo| log.step(*step).backward == super::log::Backward::Unknown;
                (0..shape.pivot)
                    .rfind(open)
                    .map_or(Next::RolledBack(reason, None), |step| Next::Compensate(vec![step]))
            }
            (next, _) => next,
        }
    }
    assert!(explore(&create(), &Rules { next, ..OURS }, 1).is_err());
}

#[test]
fn skipping_the_siblings_of_a_refused_step_breaks_sagas() {
    fn next(shape: &Shape, log: &Log) -> Next {
        match decide::next(shape, log) {
            Next::Compensate(steps) if log.refusal(shape).is_some() => {
                let done = |step: &StepNo| log.step(*step).forward == super::log::Forward::Done;
                let known: Vec<StepNo> = steps.into_iter().filter(done).collect();
                if known.is_empty() {
                    Next::RolledBack(Reason::GaveUp, None)
                } else {
                    Next::Compensate(known)
                }
            }
            next => next,
        }
    }
    assert!(explore(&create_with_one_stage(), &Rules { next, ..OURS }, 1).is_err());
}
