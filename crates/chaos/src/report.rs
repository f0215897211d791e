//! The report: a table for people, JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::findings::Findings;
use crate::rows::Row;
use crate::stage::{Form, Stage};

/// One run of one row.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    row: &'static str,
    claim: &'static str,
    counts: String,
    seed: u64,
    seconds: f64,
    verdict: &'static str,
    /// Why it is red.
    objections: Vec<String>,
    #[serde(flatten)]
    findings: Findings,
}

/// Every run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    form: &'static str,
    runs: Vec<Run>,
}

impl Run {
    /// Judges a run.
    pub fn new(stage: &Stage, findings: Findings, error: Option<String>, took: Duration) -> Self {
        let objections = match error {
            Some(error) => vec![error],
            None => findings.objections(),
        };
        Self {
            row: stage.row.id,
            claim: stage.row.claim,
            counts: counts(stage.row, stage.form),
            seed: stage.seed,
            seconds: took.as_secs_f64(),
            verdict: if objections.is_empty() { "green" } else { "RED" },
            objections,
            findings,
        }
    }

    /// The run in some lines, for whoever watches.
    #[must_use]
    pub fn told(&self) -> String {
        let found = &self.findings;
        let mut text = format!(
            "{} {}: {} faults, {} acknowledged, {} refused, {} unknown, {} contradictions, healed in {} ms, {:.1} s",
            self.row,
            self.verdict,
            found.faults,
            found.acknowledged,
            found.refused,
            found.unknown,
            found.contradictions,
            found.heal_ms_max,
            self.seconds
        );
        for note in &found.notes {
            let _ = write!(text, "\n    {note}");
        }
        for objection in &self.objections {
            let _ = write!(text, "\n    RED: {objection}");
        }
        if !self.objections.is_empty() {
            let _ = write!(text, "\n    again: cargo xtask chaos --only {} --seed {}", self.row, self.seed);
        }
        text
    }
}

impl Report {
    /// Nothing has run yet.
    #[must_use]
    pub fn new(form: Form) -> Self {
        let form = match form {
            Form::Short => "short",
            Form::Long => "long",
        };
        Self { form, runs: Vec::new() }
    }

    /// One more run.
    pub fn add(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// Whether every run was green, and there was one.
    #[must_use]
    pub fn is_green(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| run.objections.is_empty())
    }

    /// For people: a line for each run, then what is red.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut table = framed(&[
            "row",
            "claim",
            "counts",
            "faults",
            "acknowledged",
            "contradictions",
            "time to heal",
            "seconds",
            "seed",
            "verdict",
        ]);
        for run in &self.runs {
            table.add_row([
                run.row.to_owned(),
                run.claim.to_owned(),
                run.counts.clone(),
                run.findings.faults.to_string(),
                run.findings.acknowledged.to_string(),
                run.findings.contradictions.to_string(),
                format!("{} ms", run.findings.heal_ms_max),
                format!("{:.1}", run.seconds),
                run.seed.to_string(),
                run.verdict.to_owned(),
            ]);
        }
        let mut text = table.to_string();
        for run in self.runs.iter().filter(|run| !run.objections.is_empty()) {
            let _ = write!(text, "\n{}", run.told());
        }
        let seconds: f64 = self.runs.iter().map(|run| run.seconds).sum();
        let verdict = if self.is_green() { "green" } else { "RED" };
        let _ = write!(text, "\n{verdict}: {} runs, {} form, {seconds:.0} s", self.runs.len(), self.form);
        text
    }
}

/// The rows with their counts.
#[must_use]
pub fn list(rows: &[&Row], form: Form) -> String {
    let mut table = framed(&["row", "claim", "counts"]);
    for row in rows {
        table.add_row([row.id.to_owned(), row.claim.to_owned(), counts(row, form)]);
    }
    table.to_string()
}

fn counts(row: &Row, form: Form) -> String {
    let told: Vec<String> =
        row.counts.iter().map(|count| format!("{} {}", count.in_form(form), count.what)).collect();
    told.join(", ")
}

fn framed(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(170).set_header(columns);
    table
}
