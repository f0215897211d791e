//! The table of rows, as far as it is about running processes; docs/reliability.md tells what each is.

mod steps;
mod strays;
pub mod v05_crash_points;
pub mod v06_random_kill;
pub mod v06_takeover;
pub mod v07_network;
pub mod v08_postgres;
pub mod v09_pauses;
pub mod v10_redis;
pub mod v11_bank;
pub mod v12_storm;
pub mod v13_cancel;
pub mod v14_hot;
pub mod v15_fuzz;
pub mod v16_overload;
pub mod v18_rolling;
pub mod v19_poison;
pub mod v20_deadlines;

use anyhow::Result;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::findings::Findings;
use crate::stage::{Form, Stage};

/// One row.
#[derive(Debug)]
pub struct Row {
    /// Its number in the protocol's table.
    pub id: &'static str,
    /// What it proves.
    pub claim: &'static str,
    /// How much it does.
    pub counts: &'static [Count],
    /// Runs it once.
    pub run: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Result<Findings>>,
}

/// A stated number.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// Of what.
    pub what: &'static str,
    /// In the short form.
    pub short: usize,
    /// In the long form.
    pub long: usize,
}

impl Count {
    /// The number in this form.
    #[must_use]
    pub fn in_form(self, form: Form) -> usize {
        match form {
            Form::Short => self.short,
            Form::Long => self.long,
        }
    }
}

const fn count(what: &'static str, short: usize, long: usize) -> Count {
    Count { what, short, long }
}

/// Every row, in the order of the protocol's table.
pub const ROWS: &[Row] = &[
    Row {
        id: "V5",
        claim: "a process may end at every boundary of a saga, be restarted or taken over from",
        counts: &[count("hits per point", 1, 5), count("sets of replicas", 1, 2)],
        run: |stage| v05_crash_points::run(stage).boxed_local(),
    },
    Row {
        id: "V6",
        claim: "random kill -9 of any process under load loses nothing that was acknowledged",
        counts: &[count("kills", 12, 200), count("clients", 8, 16), count("in-flight sagas", 1_000, 1_000)],
        run: |stage| v06_random_kill::run(stage).boxed_local(),
    },
    Row {
        id: "V7",
        claim: "every link may lose, delay, repeat, cut or hold what it carries, at every step",
        counts: &[count("cases", 30, 226)],
        run: |stage| v07_network::run(stage).boxed_local(),
    },
    Row {
        id: "V8",
        claim: "Postgres crashes, cuts, locks, refuses writes, dies in COMMIT: nothing acknowledged is lost",
        counts: &[
            count("crashes", 3, 60),
            count("kills in COMMIT", 2, 60),
            count("terminations", 6, 200),
            count("held locks", 2, 20),
            count("read-only phases", 1, 20),
            count("clients", 8, 16),
        ],
        run: |stage| v08_postgres::run(stage).boxed_local(),
    },
    Row {
        id: "V9",
        claim: "an orchestrator may pause for 1, 3 or 10 leases and come back, or never: no effect is doubled",
        counts: &[count("pauses", 6, 50), count("owners gone", 1, 5)],
        run: |stage| v09_pauses::run(stage).boxed_local(),
    },
    Row {
        id: "V10",
        claim: "Redis down, killed, wiped, slow or replaced by something mad changes no error rate by more than 1 %",
        counts: &[count("clients", 8, 16), count("commands of each client", 12, 500)],
        run: |stage| v10_redis::run(stage).boxed_local(),
    },
    Row {
        id: "V11",
        claim: "the bank: with all faults at once every snapshot adds up, and clients read what they wrote",
        counts: &[count("operations", 1_600, 20_000), count("clients", 16, 16)],
        run: |stage| v11_bank::run(stage).boxed_local(),
    },
    Row {
        id: "V12",
        claim: "the same request many times over two replicas, altered, and after a restart: one effect, one answer",
        counts: &[count("rounds", 1, 20), count("copies", 50, 50)],
        run: |stage| v12_storm::run(stage).boxed_local(),
    },
    Row {
        id: "V13",
        claim: "cancel against match and create: only legal transitions, and each side wins often",
        counts: &[count("orders", 480, 10_000), count("at once", 8, 16)],
        run: |stage| v13_cancel::run(stage).boxed_local(),
    },
    Row {
        id: "V14",
        claim: "no deadlock where everybody meets; one hot account nearly as fast as plain SQL",
        counts: &[
            count("opposing commands", 600, 20_000),
            count("clients", 24, 32),
            count("seconds on the hot account", 4, 30),
        ],
        run: |stage| v14_hot::run(stage).boxed_local(),
    },
    Row {
        id: "V15",
        claim: "messages and bytes that nobody meant, for every RPC: no panic, no INTERNAL, no effect",
        counts: &[count("messages for each RPC", 100, 2_000), count("noisy connections", 5, 200)],
        run: |stage| v15_fuzz::run(stage).boxed_local(),
    },
    Row {
        id: "V16",
        claim: "at twice the load the excess is refused at once, the rest is served, and calm returns",
        counts: &[count("seconds of overload", 6, 60)],
        run: |stage| v16_overload::run(stage).boxed_local(),
    },
    Row {
        id: "V18",
        claim: "rolling restarts, new columns and sagas of another version disturb nobody",
        counts: &[count("rounds of restarts", 1, 10), count("strange sagas", 3, 30)],
        run: |stage| v18_rolling::run(stage).boxed_local(),
    },
    Row {
        id: "V19",
        claim: "poison sagas are parked, and delay nobody",
        counts: &[
            count("rounds", 3, 5),
            count("poison sagas a round", 4, 20),
            count("commands per client", 8, 300),
        ],
        run: |stage| v19_poison::run(stage).boxed_local(),
    },
    Row {
        id: "V20",
        claim: "clients that hang up after 3 ms neither slow an honest one down nor lose what he was told",
        counts: &[count("seconds for each company", 6, 60)],
        run: |stage| v20_deadlines::run(stage).boxed_local(),
    },
];

/// The row with this id.
#[must_use]
pub fn named(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id.eq_ignore_ascii_case(id))
}

/// Seeds that were red once, a row and its seed to a line: they run before any other seed, for ever.
pub fn regressions(id: &str) -> impl Iterator<Item = u64> {
    let lines = include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .filter_map(move |(row, seed)| (row == id).then(|| seed.trim().parse().ok()).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_own_id_and_states_its_counts() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS.iter().skip(at + 1).all(|other| other.id != row.id), "{}", row.id);
            assert!(!row.counts.is_empty(), "{}", row.id);
            assert!(
                row.counts.iter().all(|count| 0 < count.short && count.short <= count.long),
                "{}",
                row.id
            );
        }
    }

    #[test]
    fn every_regression_names_a_row_and_a_seed() {
        let lines = include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let (row, seed) = line.split_once(' ').unwrap();
            assert!(named(row).is_some() && seed.trim().parse::<u64>().is_ok(), "{line}");
        }
    }
}
