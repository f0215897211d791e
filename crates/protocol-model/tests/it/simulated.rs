//! Seeds, played: a hundred in every test run, and those that were red once.

use std::time::Instant;

use protocol_model::mutant::{Mutant, Rules};
use protocol_model::simulator::{Kept, REGRESSIONS, Run, Tally, play};

const SEEDS: u64 = 100;
const SAGAS: usize = 50;
/// Seeds are independent, so they share the cores.
const THREADS: u64 = 2;

/// P7: twice the lease. What is at rest by then has no backlog to speak of.
const HEALED_MS_MAX: u64 = 10_000;

/// Mutants that change what participants do, so that the simulator can play them.
const MUTANTS: [Mutant; 7] = [
    Mutant::NoTombstones,
    Mutant::NoInbox,
    Mutant::LateActionSucceeds,
    Mutant::StoredReasonUntold,
    Mutant::PivotCanBeUndone,
    Mutant::NoDrain,
    Mutant::NoSemanticLock,
];

fn kept(seed: u64) -> Kept {
    play(Run { seed, sagas: SAGAS, rules: Rules::Ours }).unwrap_or_else(|red| panic!("{red}"))
}

#[test]
fn a_hundred_seeds_keep_every_promise_and_end() {
    let started = Instant::now();
    let tally = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let seeds = (0..SEEDS).filter(move |seed| seed % THREADS == thread);
                scope.spawn(move || seeds.map(|seed| kept(seed).tally).fold(Tally::default(), Tally::plus))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Tally::default(), Tally::plus)
    });
    println!("{tally:?} in {:.1} s", started.elapsed().as_secs_f64());
    let faults = [
        tally.lost,
        tally.replayed,
        tally.late,
        tally.unknown_commits,
        tally.outages,
        tally.crashes,
        tally.pauses,
        tally.adoptions,
        tally.aborts,
    ];
    assert!(faults.iter().all(|count| *count > 0), "a fault did not happen: {tally:?}");
    assert!(tally.healed_ms <= HEALED_MS_MAX, "P7: it took {} ms to heal", tally.healed_ms);
    assert!(tally.completed > 0 && tally.rolled_back > 0, "{tally:?}");
}

#[test]
fn what_was_red_once_stays_green() {
    for &seed in REGRESSIONS {
        kept(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        assert_eq!(kept(seed), kept(seed), "seed {seed}");
    }
    assert_ne!(kept(0).trace, kept(1).trace);
}

#[test]
fn every_mutant_turns_some_seed_red() {
    for mutant in MUTANTS {
        let rules = Rules::Broken(mutant);
        let red = (0..SEEDS).find_map(|seed| play(Run { seed, sagas: SAGAS, rules }).err());
        match red {
            Some(red) => println!("{mutant:?}, seed {}: {}", red.run.seed, red.broken),
            None => panic!("{mutant:?} was not noticed"),
        }
    }
}
