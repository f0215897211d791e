//! `cargo run -p protocol-model -- model | simulate`: the long forms of what every test run does.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::{Parser, Subcommand};
use protocol_model::floor::Floor;
use protocol_model::model::{Scenario, explore};
use protocol_model::mutant::{Mutant, Rules};
use protocol_model::scenarios::{DEEP, Depth, Hunt, SHORT, hunt, meetings, solos};
use protocol_model::simulator::{Run, Tally, play};

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
    /// Plays seeds.
    Simulate {
        /// Only this one.
        #[arg(long)]
        seed: Option<u64>,
        /// So many, from 0.
        #[arg(long, default_value_t = 2_000)]
        seeds: u64,
        /// How many sagas clients ask for in each.
        #[arg(long, default_value_t = 200)]
        sagas: usize,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Model { short: true, .. } => model(SHORT),
        What::Model { drivers, states, short: false } => model(Depth { drivers, states }),
        What::Simulate { seed: Some(seed), sagas, .. } => simulate(seed..seed + 1, sagas),
        What::Simulate { seed: None, seeds, sagas } => simulate(0..seeds, sagas),
    }
}

/// Seeds are independent, so they share the cores. The first red one ends it.
fn simulate(seeds: Range<u64>, sagas: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    let (next, count) = (AtomicU64::new(seeds.start), seeds.end - seeds.start);
    let play_on = || -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(tally);
            }
            let run = Run { seed, sagas, rules: Rules::Ours };
            let kept = play(run).map_err(|red| {
                next.store(seeds.end, Ordering::Relaxed);
                anyhow::anyhow!("{red}")
            })?;
            if count == 1 {
                println!("trace {:016x}", kept.trace);
            }
            tally = tally.plus(kept.tally);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let tally = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(play_on)).collect();
        threads.into_iter().try_fold(Tally::default(), |tally, thread| {
            let played = thread.join().map_err(|_| anyhow::anyhow!("a run panicked"))?;
            anyhow::Ok(tally.plus(played?))
        })
    })?;
    println!("{count} seeds, 0 violations, {:.1} s: {tally:?}", started.elapsed().as_secs_f64());
    Ok(())
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
