//! Our protocol, explored: a million states, and nothing that must not be.

use std::time::Instant;

use protocol_model::model::{Explored, explore};
use protocol_model::mutant::Rules;
use protocol_model::scenarios::{SHORT, alone, meetings, solos, wide_stage};

/// So many at least, or the exploration has lost something ("The model and the simulator", docs/reliability.md).
const STATES_MIN: usize = 1_000_000;

#[test]
fn a_million_states_keep_every_promise() {
    let started = Instant::now();
    let mut all: Vec<Explored> = Vec::new();
    let mut keep = |explored: Result<Explored, _>| match explored {
        Ok(explored) => {
            println!("{explored} [{:.1} s]", started.elapsed().as_secs_f64());
            all.push(explored);
        }
        Err(counterexample) => panic!("{counterexample}"),
    };
    solos(SHORT).iter().for_each(|scenario| keep(explore(scenario)));
    meetings(SHORT).iter().for_each(|scenario| keep(explore(scenario)));
    let states: usize = all.iter().map(|explored| explored.states).sum();
    println!("{states} distinct states in {:.1} s", started.elapsed().as_secs_f64());
    assert!(states >= STATES_MIN, "only {states} states were explored");
}

#[test]
fn a_durable_latch_is_safe_too_if_nothing_else_decides() {
    let mut scenario = alone(wide_stage(2), 1, SHORT.states);
    scenario.rules = Rules::Latch;
    match explore(&scenario) {
        Ok(explored) => println!("latch: {explored}"),
        Err(counterexample) => panic!("{counterexample}"),
    }
}
