//! What was found: a table to read, the bars, and the same as JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bar::{Bar, Verdict, bars};
use crate::client::Workload;
use crate::floor::Floor;
use crate::history::Point;
use crate::memory::Memory;
use crate::open_loop::{OpenRow, OpenSample};
use crate::peers::Compared;
use crate::profile::Profile;
use crate::row::{Row, Side};
use crate::sample::Sample;

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Medians.
    pub rows: BTreeMap<Row, Sample>,
    /// Load that does not wait for answers: medians.
    pub open: Vec<(OpenRow, OpenSample)>,
    /// Memory with many sagas in flight.
    pub memory: Option<Memory>,
    /// Throughput by size of the tables, smallest first.
    pub history: Vec<Point>,
    /// The mesh beside other people's libraries.
    pub peers: Vec<Compared>,
    /// Where the CPU of a saga goes.
    pub profile: Vec<Profile>,
    /// Megabytes resident after the load, by service.
    pub resident_mb: BTreeMap<String, f64>,
    /// Spans that the services sent.
    pub spans: u64,
    /// The share of the cores' time that a hypervisor gave to others meanwhile.
    pub stolen: Option<f64>,
    /// Postgres's version and settings.
    pub postgres: String,
    /// What the auditor said of each mesh: which, and what was proved or is broken.
    pub audits: Vec<(&'static str, Result<String, String>)>,
}

impl Report {
    /// The names of the bars that were missed.
    pub fn missed(&self) -> Vec<String> {
        let missed = bars(self).into_iter().filter(|bar| bar.verdict() == Verdict::Missed);
        missed.map(|bar| bar.name).collect()
    }

    /// Sagas a second of a row.
    pub fn rate(&self, row: Row) -> Option<f64> {
        self.rows.get(&row).map(|sample| sample.rate)
    }

    /// Whether every mesh kept its books.
    pub fn is_clean(&self) -> bool {
        self.audits.iter().all(|(_, said)| said.is_ok())
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::from("\n");
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) -> fmt::Result {
        self.write_rows(text)?;
        self.write_open(text)?;
        self.write_history(text)?;
        self.write_memory(text)?;
        self.write_peers(text)?;
        for profile in &self.profile {
            profile.write(text)?;
        }
        writeln!(text, "\nbars")?;
        for bar in bars(self) {
            let Bar { name, must, aim, .. } = &bar;
            let figure = bar.figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.2}"));
            let (sign, verdict) = (bar.sign(), bar.verdict().as_str());
            writeln!(text, "{name:<56} {figure:>8}  {sign} {must:<4} (aim {sign} {aim:<4})  {verdict}")?;
        }
        for (mesh, said) in &self.audits {
            match said {
                Ok(said) => writeln!(text, "\naudit, {mesh}: {said}")?,
                Err(said) => writeln!(text, "\naudit, {mesh}: BROKEN: {said}")?,
            }
        }
        Ok(())
    }

    fn write_rows(&self, text: &mut String) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "{:<44} {:>9} {:>9} {:>9} {:>9}",
            "medians", "sagas/s", "p50 ms", "p99 ms", "p99.9 ms"
        )?;
        for (row, s) in &self.rows {
            let [p50, p99, p999] = [s.p50_ms, s.p99_ms, s.p999_ms].map(shown_ms);
            writeln!(text, "{:<44} {:>9.0} {p50:>9} {p99:>9} {p999:>9}", row.to_string(), s.rate)?;
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
        Ok(())
    }

    fn write_open(&self, text: &mut String) -> fmt::Result {
        if self.open.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n{:<44} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "open loop, latency from when it was due", "offered/s", "p50 ms", "p99 ms", "p99.9 ms", "refused"
        )?;
        for (row, OpenSample { offered, seen: s, checkpoint_ms }) in &self.open {
            let [p50, p99, p999] = [s.p50_ms, s.p99_ms, s.p999_ms].map(shown_ms);
            write!(
                text,
                "{:<44} {offered:>9.0} {p50:>9} {p99:>9} {p999:>9} {:>8}",
                row.to_string(),
                s.errors
            )?;
            let checkpoint =
                if row.checkpoint { format!("  checkpoint {checkpoint_ms:.0} ms") } else { String::new() };
            writeln!(text, "{checkpoint}")?;
        }
        Ok(())
    }

    fn write_history(&self, text: &mut String) -> fmt::Result {
        if self.history.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n{:<24} {:>9} {:>12} {:>9} {:>9} {:>12} {:>9} {:>9}",
            "finished sagas before", "MB", "cold, /s", "p50 ms", "p99 ms", "warm, /s", "p50 ms", "p99 ms"
        )?;
        for Point { sagas, size_mb, cold, warm } in &self.history {
            write!(text, "{sagas:<24} {size_mb:>9.0}")?;
            for s in [cold, warm] {
                write!(text, " {:>12.0} {:>9.2} {:>9.2}", s.rate, s.p50_ms, s.p99_ms)?;
            }
            writeln!(text)?;
        }
        Ok(())
    }

    fn write_memory(&self, text: &mut String) -> fmt::Result {
        let mut of = |when: &str, resident: &BTreeMap<String, f64>| {
            let parts: Vec<String> =
                resident.iter().map(|(service, megabytes)| format!("{service} {megabytes:.0}")).collect();
            let total: f64 = resident.values().sum();
            writeln!(text, "\nMB resident, {when}: {total:.0} = {}", parts.join(" + "))
        };
        if !self.resident_mb.is_empty() {
            of("after closed and open loop", &self.resident_mb)?;
        }
        if let Some(memory) = &self.memory {
            of("before the sagas", &memory.before_mb)?;
            of(&format!("{} sagas in flight", memory.in_flight), &memory.in_flight_mb)?;
            writeln!(text, "all of them had ended {:.1} s after asset-svc was back", memory.ended_after_s)?;
        }
        Ok(())
    }

    fn write_peers(&self, text: &mut String) -> fmt::Result {
        if self.peers.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n{:<44} {:>9} {:>9} {:>9} {:>9}",
            "peers, medians", "sagas/s", "p50 ms", "p99 ms", "p99.9 ms"
        )?;
        for Compared { side, clients, median: s } in &self.peers {
            let name = format!("{side}, {clients} clients");
            writeln!(
                text,
                "{name:<44} {:>9.0} {:>9.2} {:>9.2} {:>9.2}",
                s.rate, s.p50_ms, s.p99_ms, s.p999_ms
            )?;
        }
        Ok(())
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
        let bars: Vec<Value> = bars(self)
            .iter()
            .map(|bar| {
                json!({"name": bar.name, "figure": bar.figure, "must": bar.must, "aim": bar.aim,
                       "verdict": bar.verdict().as_str()})
            })
            .collect();
        let open: Vec<Value> =
            self.open.iter().map(|(row, sample)| json!({"what": row, "median": sample})).collect();
        json!({"rows": rows, "open_loop": open, "memory": self.memory, "history": self.history, "profile": self.profile,
               "peers": self.peers, "bars": bars, "resident_mb": self.resident_mb, "spans": self.spans, "stolen": self.stolen, "audit_passed": self.is_clean()})
    }

    /// Of creates, by number of clients: to each floor with as many.
    pub fn ratios(&self) -> Vec<(Row, [Option<f64>; 3])> {
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
}

/// A latency, if there is one.
pub fn shown_ms(latency: f64) -> String {
    if latency > 0.0 { format!("{latency:.2}") } else { "–".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_missed() {
        assert_eq!(Report::default().missed(), Vec::<String>::new());
        assert!(Report::default().text().contains("not measured"));
    }
}
