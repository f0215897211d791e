//! Visits every state of a scenario, breadth first, so the first counterexample is a shortest one.
//!
//! Read `plan` (what a driver does next), `moves` (what may happen next) and `settle` (the saga can always finish).
//! Floors, drivers and messages are numbered as they are met, and everything that the services' functions say is
//! remembered by those numbers, so each is asked once however many states share it.

mod memory;
mod moves;
mod plan;
mod settle;
mod state;

use std::collections::HashSet;
use std::fmt;

use brokerage_types::Reason;

use crate::cast::Cast;
use crate::floor::Floor;
use crate::mutant::Rules;
use memory::Memory;
use state::State;

pub use plan::Plan;
pub use state::Latch;

/// What is explored.
#[derive(Clone, Debug)]
pub struct Scenario<F> {
    /// For people.
    pub name: String,
    /// The sagas and how many drivers each has.
    pub casts: Vec<Cast>,
    /// What the participants have before.
    pub floor: F,
    /// Drivers have epochs 1 to this; a driver that lost its row may have any of them.
    pub epochs: u64,
    /// What drivers may give up for.
    pub wishes: &'static [Reason],
    /// Ours, or broken.
    pub rules: Rules,
    /// Stop after so many states; a scenario that ends before is explored completely.
    pub limit: usize,
}

/// What was explored without finding anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// For people.
    pub name: String,
    /// Distinct states.
    pub states: usize,
    /// Distinct states of the participants among them.
    pub floors: usize,
    /// Whether there was nothing left to visit.
    pub is_complete: bool,
}

impl fmt::Display for Explored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explored { name, states, floors, is_complete } = self;
        let how = if *is_complete { "complete" } else { "bounded" };
        write!(out, "{name}: {states} states ({floors} of the participants), {how}")
    }
}

/// The shortest way into a state that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The scenario.
    pub name: String,
    /// What happens, one line each.
    pub actions: Vec<String>,
    /// The promise that is broken.
    pub broken: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}, after {} actions:", self.name, self.actions.len())?;
        for (number, action) in self.actions.iter().enumerate() {
            writeln!(out, "  {:>2}. {action}", number + 1)?;
        }
        write!(out, "  {}", self.broken)
    }
}

/// Explores a scenario.
///
/// # Errors
/// The shortest counterexample.
pub fn explore<F: Floor>(scenario: &Scenario<F>) -> Result<Explored, Box<Counterexample>> {
    let mut memory = Memory::new(scenario);
    let fail = |actions, broken| Box::new(Counterexample { name: scenario.name.clone(), actions, broken });
    let first = memory.first().map_err(|broken| fail(Vec::new(), broken))?;
    let mut seen = HashSet::from([first]);
    let (mut order, mut parents) = (vec![first], vec![0_u32]);
    let mut at = 0;
    let mut found = Vec::new();
    while let Some(&state) = order.get(at) {
        let way = |memory: &mut Memory<'_, F>| way(memory, &order, &parents, at);
        if let Err(broken) = memory.check(&state) {
            return Err(fail(way(&mut memory), broken));
        }
        found.clear();
        if let Err((action, broken)) = memory.moves(&state, &mut found) {
            let mut actions = way(&mut memory);
            actions.push(memory.tell(action));
            return Err(fail(actions, broken));
        }
        for &(_, next) in &found {
            if order.len() < scenario.limit && seen.insert(next) {
                order.push(next);
                parents.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
        at += 1;
    }
    Ok(Explored {
        name: scenario.name.clone(),
        states: order.len(),
        floors: memory.floors(),
        is_complete: order.len() < scenario.limit,
    })
}

/// How the state was reached.
fn way<F: Floor>(memory: &mut Memory<'_, F>, order: &[State], parents: &[u32], mut at: usize) -> Vec<String> {
    let mut actions = Vec::new();
    while at != 0 {
        let parent = parents[at] as usize;
        let mut found = Vec::new();
        let _ = memory.moves(&order[parent], &mut found);
        let action = found.iter().find(|(_, next)| *next == order[at]).map(|(action, _)| *action);
        actions.extend(action.map(|action| memory.tell(action)));
        at = parent;
    }
    actions.reverse();
    actions
}
