//! `cargo run -p protocol-model -- model | simulate`: the long forms of what every test run does.

use std::time::Instant;

use clap::{Parser, Subcommand};
use protocol_model::floor::Floor;
use protocol_model::model::{Scenario, explore};
use protocol_model::mutant::Mutant;
use protocol_model::scenarios::{DEEP, Depth, Hunt, SHORT, hunt, meetings, solos};

/// The protocol, explored and simulated.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Explores every scenario, then hunts every mutant.
    Model {
        /// Drivers of a saga that is alone.
        #[arg(long, default_value_t = DEEP.drivers)]
        drivers: usize,
        /// Most states of one scenario.
        #[arg(long, default_value_t = DEEP.states)]
        states: usize,
        /// The bounds of a test run.
        #[arg(long)]
        short: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Model { short: true, .. } => model(SHORT),
        What::Model { drivers, states, short: false } => model(Depth { drivers, states }),
    }
}

fn model(depth: Depth) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut states = 0;
    for scenario in solos(depth) {
        states += explored(&scenario, started)?;
    }
    for scenario in meetings(depth) {
        states += explored(&scenario, started)?;
    }
    println!("{states} states, 0 violations\n");
    for mutant in Mutant::ALL {
        let caught = match hunt(mutant) {
            Hunt::Alone(scenario) => explore(&scenario).err(),
            Hunt::Meeting(scenario) => explore(&scenario).err(),
        };
        let caught = caught.ok_or_else(|| anyhow::anyhow!("{mutant:?} was not noticed"))?;
        println!("{mutant:?}\n{caught}\n");
    }
    Ok(())
}

fn explored<F: Floor>(scenario: &Scenario<F>, started: Instant) -> anyhow::Result<usize> {
    let explored = explore(scenario).map_err(|found| anyhow::anyhow!("{found}"))?;
    println!("{explored} [{:.1} s]", started.elapsed().as_secs_f64());
    Ok(explored.states)
}
