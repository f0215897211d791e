//! Writes what was found into a document, between its markers: `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
//!
//! Only what was measured in this run is replaced; the rest of the document, and what other runs wrote, stays.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bar::bars;
use crate::case::Case;
use crate::history::Point;
use crate::open_loop::OpenSample;
use crate::peers::Compared;
use crate::report::{Report, shown_ms};
use crate::row::Side;
use crate::{Options, collector, cpu};

/// `cargo xtask` says it to the compiler.
const BUILT_WITH_PROFILE: bool = option_env!("BUILT_WITH_PROFILE").is_some();

/// Replaces every section that was measured.
///
/// # Errors
/// When the document cannot be read or written, or lacks a marker.
pub fn write(path: &Path, report: &Report, options: &Options) -> Result<()> {
    let mut document = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let run = run_line(options);
    let sections = [
        ("clients", !report.rows.is_empty(), clients(report)),
        ("open-loop", !report.open.is_empty(), open_loop(report)),
        ("memory", report.memory.is_some(), memory(report)),
        ("history", !report.history.is_empty(), history(report)),
        ("peers", !report.peers.is_empty(), peers(report)),
        (
            if options.before { "profile-before" } else { "profile" },
            !report.profile.is_empty(),
            profile(report),
        ),
    ];
    for (name, _, content) in sections.into_iter().filter(|(_, is_measured, _)| *is_measured) {
        let content = content.context("write a section")?;
        document = replaced(&document, name, &format!("{run}\n{content}"))?;
    }
    let old = between(&document, "bars")?.to_owned();
    document = replaced(&document, "bars", &bar_table(report, &old))?;
    document = replaced(&document, "machine", &machine(report))?;
    fs::write(path, document).with_context(|| format!("write {}", path.display()))?;
    eprintln!("written into {}", path.display());
    Ok(())
}

fn between<'a>(document: &'a str, name: &str) -> Result<&'a str> {
    let (open, close) = (format!("<!-- bench:{name} -->"), format!("<!-- /bench:{name} -->"));
    let inside = document.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    inside.map(|(inside, _)| inside).with_context(|| format!("there is no `{open}` … `{close}`"))
}

fn replaced(document: &str, name: &str, content: &str) -> Result<String> {
    let old = between(document, name)?;
    let (open, close) = (format!("<!-- bench:{name} -->"), format!("<!-- /bench:{name} -->"));
    let new =
        document.replacen(&format!("{open}{old}{close}"), &format!("{open}\n{}\n{close}", content.trim()), 1);
    ensure!(between(&new, name).is_ok(), "the content of {name} hides its markers");
    Ok(new)
}

/// The command that does this again, and how long each measurement was.
fn run_line(options: &Options) -> String {
    let cases: Vec<String> = options.cases().iter().map(Case::to_string).collect();
    let Options { rounds, seconds, customers, .. } = options;
    let history: Vec<String> = options.history.iter().map(ToString::to_string).collect();
    let history = if options.cases().contains(&Case::History) {
        format!(" --history {}", history.join(","))
    } else {
        String::new()
    };
    let peers = if options.peers.is_some() { " --peers" } else { "" };
    let drop_caches = if options.drop_caches { " --drop-caches" } else { "" };
    format!(
        "`cargo xtask bench --only {} --rounds {rounds} --seconds {seconds} --customers {customers}{history}{drop_caches}{peers}`\n",
        cases.join(",")
    )
}

fn machine(report: &Report) -> String {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|said| !said.is_empty())
    };
    let cpu = cpu::model().unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = said("uname", &["-sr"]).unwrap_or_default();
    let memory = cpu::memory_gb().map_or_else(String::new, |gigabytes| format!(", {gigabytes:.0} GB"));
    let commit = said("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let postgres = &report.postgres;
    let stolen = report.stolen.map_or_else(String::new, |share| {
        format!(" A hypervisor gave {:.0} % of their time to others meanwhile.", share * 100.0)
    });
    let built = if BUILT_WITH_PROFILE { "with a profile (PGO)" } else { "without a profile (`--plain`)" };
    format!(
        "{cores} × {cpu}{memory}, {kernel}, commit `{commit}`, compiled {built}. The load shares the cores with what it measures.{stolen}\n\n\
         {postgres}. The mesh runs one process of each service, with the settings of its development profile; it traces, \
         sampled at {} %, and sent {} spans to a collector in the load generator.",
        collector::SAMPLED * 100.0,
        report.spans
    )
}

/// A bar that was not measured in this run keeps the line that an earlier run wrote.
fn bar_table(report: &Report, old: &str) -> String {
    let mut text = String::from("| bar | figure | must | aim | |\n|---|---:|---:|---:|---|\n");
    for bar in bars(report) {
        let begin = format!("| {} |", bar.name);
        let kept = old.lines().find(|line| line.starts_with(&begin) && bar.figure.is_none());
        let figure = bar.figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.2}"));
        let (sign, verdict) = (bar.sign(), bar.verdict().as_str());
        let line = format!("{begin} {figure} | {sign} {} | {sign} {} | {verdict} |", bar.must, bar.aim);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", kept.unwrap_or(&line));
    }
    text
}

fn clients(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "| medians | sagas/s | p50 ms | p99 ms | p99.9 ms | CPU µs a saga |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for (row, s) in &report.rows {
        let [p50, p99, p999] = [s.p50_ms, s.p99_ms, s.p999_ms].map(shown_ms);
        let used: f64 = s.cpu_us.values().sum();
        let used = if matches!(row.side, Side::Mesh(_)) { format!("{used:.0}") } else { "–".to_owned() };
        writeln!(text, "| {row} | {:.0} | {p50} | {p99} | {p999} | {used} |", s.rate)?;
    }
    writeln!(
        text,
        "\n| sagas/s, mesh to | naive floor | monolith floor | bare floor |\n|---|---:|---:|---:|"
    )?;
    for (row, ratios) in report.ratios() {
        let [naive, monolith, bare] =
            ratios.map(|ratio| ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")));
        writeln!(text, "| {row} | {naive} | {monolith} | {bare} |")?;
    }
    Ok(text)
}

fn open_loop(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "| of the most | offered/s | p50 ms | p99 ms | p99.9 ms | refused | checkpoint ms |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (row, OpenSample { offered, seen: s, checkpoint_ms }) in &report.open {
        let [p50, p99, p999, checkpoint] = [s.p50_ms, s.p99_ms, s.p999_ms, *checkpoint_ms].map(shown_ms);
        writeln!(text, "| {row} | {offered:.0} | {p50} | {p99} | {p999} | {} | {checkpoint} |", s.errors)?;
    }
    Ok(text)
}

fn memory(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let Some(memory) = &report.memory else { return Ok(text) };
    writeln!(
        text,
        "| service | MB before | MB with {} sagas in flight |\n|---|---:|---:|",
        memory.in_flight
    )?;
    for (service, most) in &memory.in_flight_mb {
        let before = memory.before_mb.get(service).copied().unwrap_or_default();
        writeln!(text, "| {service} | {before:.0} | {most:.0} |")?;
    }
    let before: f64 = memory.before_mb.values().sum();
    writeln!(text, "| together | {before:.0} | {:.0} |", memory.total_mb())?;
    writeln!(text, "\nAll of them had ended {:.1} s after asset-svc was back.", memory.ended_after_s)?;
    Ok(text)
}

fn history(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "| finished sagas before | MB | cold, sagas/s | p50 ms | p99 ms | warm, sagas/s | p50 ms | p99 ms |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for Point { sagas, size_mb, cold, warm } in &report.history {
        write!(text, "| {sagas} | {size_mb:.0} |")?;
        for s in [cold, warm] {
            write!(text, " {:.0} | {:.2} | {:.2} |", s.rate, s.p50_ms, s.p99_ms)?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

fn peers(report: &Report) -> Result<String, fmt::Error> {
    let mut text =
        String::from("| medians | clients | sagas/s | p50 ms | p99 ms |\n|---|---:|---:|---:|---:|\n");
    for Compared { side, clients, median: s } in &report.peers {
        writeln!(text, "| {side} | {clients} | {:.0} | {:.2} | {:.2} |", s.rate, s.p50_ms, s.p99_ms)?;
    }
    Ok(text)
}

fn profile(report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::new();
    for profile in &report.profile {
        profile.write(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n";

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let new = replaced(DOCUMENT, "x", "new").unwrap();
        assert_eq!(new, "a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nb\n");
        assert!(replaced(DOCUMENT, "y", "new").is_err());
    }

    #[test]
    fn a_bar_that_was_not_measured_keeps_its_line() {
        let old = "| one hot account to uniform, sagas/s | 0.99 | ≥ 0.8 | ≥ 0.95 | met, and the aim |\n";
        assert!(bar_table(&Report::default(), old).contains(old));
        assert!(bar_table(&Report::default(), "").contains("not measured"));
    }

    #[test]
    fn the_document_has_every_marker() {
        let document = include_str!("../../../docs/benchmarks.md");
        for name in [
            "machine",
            "bars",
            "clients",
            "open-loop",
            "memory",
            "history",
            "peers",
            "profile",
            "profile-before",
        ] {
            assert!(between(document, name).is_ok(), "{name}");
        }
    }
}
