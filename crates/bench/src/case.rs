//! What can be measured, and the rows that each of it needs.

use std::fmt;

use clap::ValueEnum;

use crate::client::Workload;
use crate::floor::Floor;
use crate::row::Row;

/// How many clients the hot account, the mixed run, refusals and redelivery have.
pub const BUSY: usize = 64;
/// The number of clients with which the floors do about their most.
const FLOORS_BEST: usize = 16;
/// So many clients that the machine is full, and batches are still small.
pub const FEW: usize = 16;
/// Percentages of steps that are delivered again.
pub const REDELIVERED: [u8; 2] = [1, 10];

/// Something to measure; `--only` names some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Creates with 1, 16, 64 and 256 clients, against the floors.
    Clients,
    /// Creates on one account.
    Hot,
    /// 70 % create, 15 % match, 15 % cancel.
    Mixed,
    /// Creates that are refused halfway and taken back.
    Refusals,
    /// Steps that are delivered again.
    Redelivery,
    /// Load that does not wait for answers, at parts of what is the most.
    OpenLoop,
    /// Resident memory with 10,000 sagas in flight.
    Memory,
    /// Where the CPU of a saga goes: by process, statement and RPC.
    Profile,
    /// Throughput over tables that have grown.
    History,
    /// Other people's libraries, with `--peers`.
    Peers,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}

/// The rows of a round, in order; rows that are compared stand near each other. `clients` are those of the table.
pub fn plan(cases: &[Case], clients: &[usize]) -> Vec<Row> {
    let mut plan = Vec::new();
    let mut add = |row| {
        if !plan.contains(&row) {
            plan.push(row);
        }
    };
    if cases.contains(&Case::Clients) {
        for clients in clients.iter().filter(|clients| **clients < BUSY) {
            against_floors(*clients).into_iter().for_each(&mut add);
        }
    }
    busy(cases).into_iter().for_each(&mut add);
    if cases.contains(&Case::Clients) {
        for clients in clients.iter().filter(|clients| **clients >= BUSY) {
            against_floors(*clients).into_iter().for_each(&mut add);
        }
    }
    if cases.contains(&Case::OpenLoop) {
        // The most that it can do is what the parts are parts of.
        add(Row::mesh(Workload::Create, clients.iter().copied().max().unwrap_or(BUSY)));
        [Floor::Naive, Floor::Monolith]
            .into_iter()
            .map(|floor| Row::floor(floor, FLOORS_BEST))
            .for_each(&mut add);
    }
    plan
}

fn against_floors(clients: usize) -> Vec<Row> {
    let floors = [Floor::Naive, Floor::Monolith, Floor::Bare].map(|floor| Row::floor(floor, clients));
    [Row::mesh(Workload::Create, clients)].into_iter().chain(floors).collect()
}

/// What is measured beside creates with as many clients.
fn busy(cases: &[Case]) -> Vec<Row> {
    let mesh = |workload| Row::mesh(workload, BUSY);
    let mut rows = Vec::new();
    if cases.contains(&Case::Hot) {
        let floors = [Floor::Naive, Floor::Monolith].map(|floor| Row::hot_floor(floor, BUSY));
        rows.extend([mesh(Workload::Create), mesh(Workload::Hot)].into_iter().chain(floors));
    }
    if cases.contains(&Case::Redelivery) {
        rows.push(mesh(Workload::Create));
        rows.extend(REDELIVERED.map(|of_hundred| mesh(Workload::Redelivered(of_hundred))));
    }
    if cases.contains(&Case::Refusals) {
        rows.extend([Workload::Create, Workload::Unaffordable, Workload::TakenLabel].map(mesh));
    }
    if cases.contains(&Case::Mixed) {
        rows.extend([mesh(Workload::Mixed), Row::floor(Floor::Mixed, BUSY)]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_measured_twice_in_a_round() {
        let mut plan = plan(Case::value_variants(), &[1, 16, 64, 256]);
        let all = plan.len();
        plan.sort();
        plan.dedup();
        assert_eq!(plan.len(), all);
    }

    #[test]
    fn what_is_compared_is_measured_in_the_same_round() {
        for (case, needed) in [
            (Case::Hot, Row::mesh(Workload::Create, BUSY)),
            (Case::Mixed, Row::floor(Floor::Mixed, BUSY)),
            (Case::Refusals, Row::mesh(Workload::Create, BUSY)),
            (Case::Redelivery, Row::mesh(Workload::Create, BUSY)),
            (Case::OpenLoop, Row::mesh(Workload::Create, 256)),
            (Case::OpenLoop, Row::floor(Floor::Naive, FLOORS_BEST)),
        ] {
            assert!(plan(&[case], &[1, 256]).contains(&needed), "{case:?}");
        }
    }
}
