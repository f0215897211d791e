//! What was found: a table to read, the bars, and the same as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::control::Floor;
use crate::load::Workload;
use crate::rounds::BUSY;
use crate::sample::Sample;

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The mesh under a load.
    Mesh(Workload),
    /// A control.
    Floor(Floor),
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Who.
    pub side: Side,
    /// How many clients at a time.
    pub clients: usize,
    /// Everything on one account.
    pub hot: bool,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.side {
            Side::Mesh(Workload::Create) => "mesh, create",
            Side::Mesh(Workload::Hot) => "mesh, create, one hot account",
            Side::Mesh(Workload::Mixed) => "mesh, create/match/cancel",
            Side::Floor(Floor::Naive) if self.hot => "naive floor, one hot account",
            Side::Floor(Floor::Naive) => "naive floor",
            Side::Floor(Floor::Monolith) if self.hot => "monolith floor, one hot account",
            Side::Floor(Floor::Monolith) => "monolith floor",
            Side::Floor(Floor::Bare) if self.hot => "bare floor, one hot account",
            Side::Floor(Floor::Bare) => "bare floor",
        };
        write!(f, "{name}, {} clients", self.clients)
    }
}

/// A figure that has to be reached.
struct Bar {
    name: &'static str,
    /// `None`: not measured in this run.
    figure: Option<f64>,
    bound: f64,
    at_least: bool,
}

impl Bar {
    fn is_missed(&self) -> bool {
        self.figure
            .is_some_and(|figure| if self.at_least { figure < self.bound } else { figure > self.bound })
    }
}

/// Everything that was found.
#[derive(Debug)]
pub struct Report {
    /// Medians.
    pub rows: BTreeMap<Row, Sample>,
    /// Megabytes resident after the load, by service.
    pub resident_mb: BTreeMap<String, f64>,
    /// What the auditor said.
    pub audit: Result<String, String>,
}

impl Default for Report {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), resident_mb: BTreeMap::new(), audit: Err("not run".to_owned()) }
    }
}

impl Report {
    /// The names of the bars that were missed.
    pub fn missed(&self) -> Vec<&'static str> {
        self.bars().iter().filter(|bar| bar.is_missed()).map(|bar| bar.name).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::from("\n");
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> fmt::Result {
        writeln!(
            text,
            "{:<44} {:>9} {:>9} {:>9} {:>9}",
            "medians", "sagas/s", "p50 ms", "p99 ms", "p99.9 ms"
        )?;
        for (row, sample) in &self.rows {
            let (name, s) = (row.to_string(), sample);
            writeln!(
                text,
                "{name:<44} {:>9.0} {:>9.2} {:>9.2} {:>9.2}",
                s.rate, s.p50_ms, s.p99_ms, s.p999_ms
            )?;
        }
        writeln!(text, "\nmesh to naive floor, to monolith floor, and to bare floor (sagas/s)")?;
        for (row, ratios) in self.ratios() {
            write!(text, "{:<44}", row.to_string())?;
            for ratio in ratios {
                match ratio {
                    Some(ratio) => write!(text, " {ratio:>8.2}x")?,
                    None => write!(text, " {:>9}", "–")?,
                }
            }
            writeln!(text)?;
        }
        writeln!(text, "\nCPU µs per saga")?;
        for (row, sample) in self.rows.iter().filter(|(row, _)| matches!(row.side, Side::Mesh(_))) {
            let total: f64 = sample.cpu_us.values().sum();
            let parts: Vec<String> =
                sample.cpu_us.iter().map(|(group, used)| format!("{group} {used:.0}")).collect();
            writeln!(text, "{row}: {total:.0} = {}", parts.join(" + "))?;
        }
        writeln!(text, "\nresident after the load")?;
        for (service, megabytes) in &self.resident_mb {
            writeln!(text, "{service:<44} {megabytes:>9.0} MB")?;
        }
        writeln!(text, "\nbars")?;
        for bar in self.bars() {
            let verdict = match (bar.figure, bar.is_missed()) {
                (None, _) => "not measured",
                (Some(_), true) => "MISSED",
                (Some(_), false) => "met",
            };
            let sign = if bar.at_least { "≥" } else { "≤" };
            let figure = bar.figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.2}"));
            writeln!(text, "{:<44} {figure:>9} {sign} {:<6} {verdict}", bar.name, bar.bound)?;
        }
        match &self.audit {
            Ok(said) => writeln!(text, "\naudit: {said}"),
            Err(said) => writeln!(text, "\naudit: BROKEN: {said}"),
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(&self.json()).context("write the report as JSON")?;
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        fs::write(path, json + "\n").with_context(|| format!("write {}", path.display()))?;
        eprintln!("the same as JSON: {}", path.display());
        Ok(())
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(row, sample)| json!({"what": row.to_string(), "clients": row.clients, "median": sample}))
            .collect();
        let bars: Vec<Value> = self
            .bars()
            .iter()
            .map(|bar| json!({"name": bar.name, "figure": bar.figure, "bound": bar.bound, "missed": bar.is_missed()}))
            .collect();
        json!({"rows": rows, "bars": bars, "resident_mb": self.resident_mb, "audit_passed": self.audit.is_ok()})
    }

    fn ratios(&self) -> Vec<(Row, [Option<f64>; 3])> {
        let of = |row: &Row, floor| {
            let control = self.rows.get(&Row { side: Side::Floor(floor), ..*row })?;
            Some(self.rows.get(row)?.rate / control.rate)
        };
        self.rows
            .keys()
            .filter(|row| matches!(row.side, Side::Mesh(Workload::Create | Workload::Hot)))
            .map(|row| (*row, [Floor::Naive, Floor::Monolith, Floor::Bare].map(|floor| of(row, floor))))
            .collect()
    }

    fn row(&self, side: Side, clients: usize, hot: bool) -> Option<&Sample> {
        self.rows.get(&Row { side, clients, hot })
    }

    fn bars(&self) -> Vec<Bar> {
        let ratio = |top: Option<f64>, bottom: Option<f64>| Some(top? / bottom?);
        let create = |clients| self.row(Side::Mesh(Workload::Create), clients, false);
        let naive = |clients| self.row(Side::Floor(Floor::Naive), clients, false);
        let busy = create(BUSY).map(|sample| sample.rate);
        let hot = self.row(Side::Mesh(Workload::Hot), BUSY, true).map(|sample| sample.rate);
        #[expect(clippy::cast_precision_loss, reason = "a printed figure needs no more than 52 bits")]
        let errors = self.rows.values().map(|sample| sample.errors).sum::<u64>() as f64;
        let resident: f64 = self.resident_mb.values().sum();
        vec![
            Bar {
                name: "64 clients: sagas/s to naive floor",
                figure: ratio(busy, naive(BUSY).map(|sample| sample.rate)),
                bound: 2.0,
                at_least: true,
            },
            Bar {
                name: "64 clients: p99 to p50",
                figure: create(BUSY).map(|sample| sample.p99_ms / sample.p50_ms),
                bound: 3.0,
                at_least: false,
            },
            Bar {
                name: "one hot account to uniform, sagas/s",
                figure: ratio(hot, busy),
                bound: 0.8,
                at_least: true,
            },
            Bar {
                name: "1 client: p50 to naive floor's",
                figure: ratio(create(1).map(|s| s.p50_ms), naive(1).map(|s| s.p50_ms)),
                bound: 3.0,
                at_least: false,
            },
            Bar {
                name: "commands refused or unanswered",
                figure: (!self.rows.is_empty()).then_some(errors),
                bound: 0.0,
                at_least: false,
            },
            Bar {
                name: "three services resident, MB",
                figure: (resident > 0.0).then_some(resident),
                bound: 300.0,
                at_least: false,
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: f64, p50_ms: f64, p99_ms: f64) -> Sample {
        Sample { rate, p50_ms, p99_ms, ..Sample::default() }
    }

    fn report(mesh_rate: f64, hot_rate: f64) -> Report {
        let mut report = Report::default();
        let mut row = |side, clients, hot, sample| report.rows.insert(Row { side, clients, hot }, sample);
        row(Side::Mesh(Workload::Create), BUSY, false, sample(mesh_rate, 10.0, 20.0));
        row(Side::Mesh(Workload::Hot), BUSY, true, sample(hot_rate, 10.0, 20.0));
        row(Side::Floor(Floor::Naive), BUSY, false, sample(1_000.0, 60.0, 90.0));
        report
    }

    #[test]
    fn a_bar_is_missed_on_its_wrong_side_only() {
        assert_eq!(report(2_000.0, 1_600.0).missed(), Vec::<&str>::new());
        assert_eq!(report(1_900.0, 1_900.0).missed(), ["64 clients: sagas/s to naive floor"]);
        assert_eq!(report(2_000.0, 1_500.0).missed(), ["one hot account to uniform, sagas/s"]);
    }

    #[test]
    fn what_was_not_measured_is_not_missed() {
        assert_eq!(Report::default().missed(), Vec::<&str>::new());
        assert!(Report::default().text().contains("not measured"));
    }
}
