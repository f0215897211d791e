//! The bars: figures that have to be reached, all of them ratios within one run, or bounds of latency and memory.

use crate::case::{BUSY, REDELIVERED};
use crate::client::Workload;
use crate::floor::Floor;
use crate::memory::Memory;
use crate::open_loop::{BAR_PART, Of, OpenRow};
use crate::peers;
use crate::report::Report;
use crate::row::{Row, Side};

/// A figure that has to be reached.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is about.
    pub name: String,
    /// `None`: not measured in this run.
    pub figure: Option<f64>,
    /// Missing this fails the run.
    pub must: f64,
    /// What would be good.
    pub aim: f64,
    /// More is better.
    pub at_least: bool,
}

/// How a bar was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not in this run.
    NotMeasured,
    /// Not even the must.
    Missed,
    /// The must.
    Met,
    /// The aim too.
    MetWell,
}

impl Verdict {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotMeasured => "not measured",
            Self::Missed => "MISSED",
            Self::Met => "met",
            Self::MetWell => "met, and the aim",
        }
    }
}

impl Bar {
    /// More is better.
    pub fn at_least(name: impl Into<String>, figure: Option<f64>, must: f64, aim: f64) -> Self {
        Self { name: name.into(), figure, must, aim, at_least: true }
    }

    fn at_most(name: impl Into<String>, figure: Option<f64>, must: f64, aim: f64) -> Self {
        Self { name: name.into(), figure, must, aim, at_least: false }
    }

    /// How it was met.
    pub fn verdict(&self) -> Verdict {
        let Some(figure) = self.figure else { return Verdict::NotMeasured };
        let reaches = |bound: f64| if self.at_least { figure >= bound } else { figure <= bound };
        match (reaches(self.must), reaches(self.aim)) {
            (false, _) => Verdict::Missed,
            (true, false) => Verdict::Met,
            (true, true) => Verdict::MetWell,
        }
    }

    /// `≥` or `≤`.
    pub fn sign(&self) -> &'static str {
        if self.at_least { "≥" } else { "≤" }
    }
}

/// Every bar, measured or not.
pub fn bars(report: &Report) -> Vec<Bar> {
    let mut bars = against_floors(report);
    bars.extend(among_mesh(report));
    bars.extend(special(report));
    bars.extend(peers::bars(&report.peers));
    bars
}

fn against_floors(report: &Report) -> Vec<Bar> {
    let create = |clients| report.rate(Row::mesh(Workload::Create, clients));
    let floor = |floor, clients| report.rate(Row::floor(floor, clients));
    let p50 = |row: Row| report.rows.get(&row).map(|sample| sample.p50_ms);
    let mut bars = vec![Bar::at_most(
        "1 client: p50 to naive floor's",
        ratio(p50(Row::mesh(Workload::Create, 1)), p50(Row::floor(Floor::Naive, 1))),
        2.2,
        1.6,
    )];
    for (clients, naive, monolith) in [(16, (1.8, 2.6), (0.8, 1.1)), (64, (4.0, 6.0), (1.8, 2.7))] {
        for (name, side, (must, aim)) in
            [("naive", Floor::Naive, naive), ("monolith", Floor::Monolith, monolith)]
        {
            let figure = ratio(create(clients), floor(side, clients));
            bars.push(Bar::at_least(
                format!("{clients} clients: sagas/s to {name} floor's"),
                figure,
                must,
                aim,
            ));
        }
    }
    for (name, side, must, aim) in
        [("naive", Floor::Naive, 3.5, 5.5), ("monolith", Floor::Monolith, 1.5, 2.4)]
    {
        let name = format!("256 clients: sagas/s to {name} floor's best");
        bars.push(Bar::at_least(name, ratio(create(256), best(report, side)), must, aim));
    }
    let mixed = report.rate(Row::mesh(Workload::Mixed, BUSY));
    let figure = ratio(mixed, floor(Floor::Mixed, BUSY));
    bars.push(Bar::at_least("mixed run: sagas/s to its naive floor's", figure, 3.0, 5.0));
    bars
}

fn among_mesh(report: &Report) -> Vec<Bar> {
    let to_create = |workload| {
        ratio(report.rate(Row::mesh(workload, BUSY)), report.rate(Row::mesh(Workload::Create, BUSY)))
    };
    let mut bars =
        vec![Bar::at_least("one hot account to uniform, sagas/s", to_create(Workload::Hot), 0.8, 0.95)];
    for (name, workload) in
        [("hold refused", Workload::Unaffordable), ("draft refused", Workload::TakenLabel)]
    {
        let name = format!("creates with the {name} to successful ones, sagas/s");
        bars.push(Bar::at_least(name, to_create(workload), 0.7, 1.0));
    }
    for of_hundred in REDELIVERED {
        let figure = to_create(Workload::Redelivered(of_hundred));
        let name = format!("{of_hundred} % of steps redelivered to none, sagas/s");
        bars.push(Bar::at_least(name, figure, 0.8, 0.9));
    }
    let spread = |clients: usize| {
        let sample = report.rows.get(&Row::mesh(Workload::Create, clients))?;
        Some(sample.p99_ms / sample.p50_ms)
    };
    let worst = [16, 64, 256].into_iter().filter_map(spread).max_by(f64::total_cmp);
    bars.push(Bar::at_most("16 to 256 clients: p99 to p50, at worst", worst, 3.0, 2.0));
    bars
}

fn special(report: &Report) -> Vec<Bar> {
    let bar = OpenRow { of: Of::Mesh, checkpoint: false, part: BAR_PART };
    let open = report.open.iter().find(|(row, _)| *row == bar);
    let in_flight = report.memory.as_ref().map(Memory::total_mb);
    #[expect(clippy::cast_precision_loss, reason = "a printed figure needs no more than 52 bits")]
    let errors = report.rows.values().map(|sample| sample.errors).sum::<u64>() as f64;
    let measured = (!report.rows.is_empty()).then_some(errors);
    vec![
        grown(report),
        Bar::at_most(
            format!("open loop at {BAR_PART} % of the most: p99, ms"),
            open.map(|(_, sample)| sample.seen.p99_ms),
            25.0,
            10.0,
        ),
        Bar::at_most("three services with 10,000 sagas in flight, MB", in_flight, 300.0, 150.0),
        Bar::at_most("commands that were answered wrongly or not at all", measured, 0.0, 0.0),
    ]
}

/// The largest tables against the smallest, warm. With one size there is nothing to compare.
fn grown(report: &Report) -> Bar {
    let figure = match report.history.as_slice() {
        [first, .., last] => Some(last.warm.rate / first.warm.rate),
        [] | [_] => None,
    };
    Bar::at_least("after the longest history to after the shortest, sagas/s", figure, 0.8, 0.95)
}

fn best(report: &Report, floor: Floor) -> Option<f64> {
    let of_floor = report.rows.iter().filter(|(row, _)| row.side == Side::Floor(floor) && !row.hot);
    of_floor.map(|(_, sample)| sample.rate).max_by(f64::total_cmp)
}

fn ratio(top: Option<f64>, bottom: Option<f64>) -> Option<f64> {
    Some(top? / bottom?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn verdict(mesh: f64, naive: f64) -> Verdict {
        let mut report = Report::default();
        for (row, rate) in
            [(Row::mesh(Workload::Create, BUSY), mesh), (Row::floor(Floor::Naive, BUSY), naive)]
        {
            report.rows.insert(row, Sample { rate, p50_ms: 10.0, p99_ms: 20.0, ..Sample::default() });
        }
        let bars = bars(&report);
        bars.iter().find(|bar| bar.name == "64 clients: sagas/s to naive floor's").unwrap().verdict()
    }

    #[test]
    fn a_bar_is_missed_on_its_wrong_side_only() {
        assert_eq!(verdict(3_900.0, 1_000.0), Verdict::Missed);
        assert_eq!(verdict(4_000.0, 1_000.0), Verdict::Met);
        assert_eq!(verdict(6_000.0, 1_000.0), Verdict::MetWell);
    }

    #[test]
    fn what_was_not_measured_is_not_missed() {
        assert!(bars(&Report::default()).iter().all(|bar| bar.verdict() == Verdict::NotMeasured));
    }

    #[test]
    fn the_floors_best_is_over_all_numbers_of_clients() {
        let mut report = Report::default();
        for (clients, rate) in [(16, 1_300.0), (256, 300.0)] {
            report.rows.insert(Row::floor(Floor::Naive, clients), Sample { rate, ..Sample::default() });
        }
        report.rows.insert(Row::hot_floor(Floor::Naive, 64), Sample { rate: 9e9, ..Sample::default() });
        assert_eq!(best(&report, Floor::Naive), Some(1_300.0));
    }
}
