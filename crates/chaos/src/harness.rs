//! Runs rows, one after another, and judges them.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::findings::Findings;
use crate::options::Options;
use crate::report::{Report, Run};
use crate::rows::{self, ROWS, Row};
use crate::stage::{Form, Stage};

/// A row that takes longer than this hangs.
const SHORT_MAX: Duration = Duration::from_secs(300);
const LONG_MAX: Duration = Duration::from_secs(3_600);

/// Runs what the options ask for. True if every row was green.
///
/// # Errors
/// A row that does not exist; a report that cannot be written.
pub async fn run(options: &Options) -> Result<bool> {
    let rows = selected(&options.only)?;
    let form = if options.long { Form::Long } else { Form::Short };
    if options.list {
        println!("{}", crate::report::list(&rows, form));
        return Ok(true);
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000_000));
    eprintln!("chaos: seed {seed}, {} rows, {form:?} form", rows.len());
    let end = options.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let mut report = Report::new(form);
    for round in 0.. {
        for row in &rows {
            let known: Vec<u64> = if round == 0 { rows::regressions(row.id).collect() } else { Vec::new() };
            for seed in known.into_iter().chain([seed_of(seed, round)]) {
                let stage = Stage { row, form, seed, log: options.log.clone() };
                report.add(once(&stage).await);
            }
        }
        if end.is_none_or(|end| Instant::now() >= end) {
            break;
        }
    }
    println!("\n{}", report.to_table());
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&report).context("write the report as JSON")?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(report.is_green())
}

fn selected(only: &[String]) -> Result<Vec<&'static Row>> {
    if only.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    only.iter().map(|id| rows::named(id).with_context(|| format!("there is no row {id}"))).collect()
}

/// The first round has the seed as given, so that a red row can be run again by its printed seed.
fn seed_of(seed: u64, round: u64) -> u64 {
    seed.wrapping_add(round.wrapping_mul(0x9E37_79B9))
}

async fn once(stage: &Stage) -> Run {
    let row = stage.row;
    eprintln!("\n{} (seed {}): {}", row.id, stage.seed, row.claim);
    let _ = std::io::stderr().flush();
    let started = Instant::now();
    let most = if stage.is_long() { LONG_MAX } else { SHORT_MAX };
    let ended = match tokio::time::timeout(most, (row.run)(stage)).await {
        Ok(ended) => ended,
        Err(_) => Err(anyhow::anyhow!("it did not end within {} s", most.as_secs())),
    };
    let (findings, error) = match ended {
        Ok(findings) => (findings, None),
        Err(error) => (Findings::default(), Some(format!("{error:#}"))),
    };
    let run = Run::new(stage, findings, error, started.elapsed());
    eprintln!("{}", run.told());
    run
}
