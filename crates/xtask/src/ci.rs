//! `cargo xtask ci`: every check that has to be green, cheapest first, with the time each took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{db, mutants, process, test, tidy};

/// A name, and what it runs.
type Stage = (&'static str, fn() -> Result<()>);

/// Runs every stage; the first that fails ends the run.
///
/// # Errors
/// What the failing stage found, with the stage's name.
pub fn run(bench_smoke: bool) -> Result<()> {
    let mut stages: Vec<Stage> = vec![
        ("format", format),
        ("tidy", || tidy::run(&process::root())),
        ("sql", db::check),
        ("clippy", clippy),
        ("documentation", documentation),
        ("test", || test::run(&[])),
        ("mutants", || mutants::run(&[])),
        ("chaos", || process::chaos(&[])),
    ];
    if bench_smoke {
        stages.push(("bench", || process::bench(&["--plain", "--smoke"].map(str::to_owned))));
    }
    let mut times = Vec::new();
    for (name, stage) in stages {
        eprintln!("\n=== {name}");
        let start = Instant::now();
        let ended = stage();
        times.push((name, start.elapsed()));
        if ended.is_err() {
            print_times(&times);
        }
        ended.with_context(|| format!("stage `{name}`"))?;
    }
    print_times(&times);
    Ok(())
}

fn format() -> Result<()> {
    process::run(&mut process::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    let mut command = process::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    process::run(command.env("SQLX_OFFLINE", "true"))
}

fn documentation() -> Result<()> {
    let mut command = process::cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    process::run(command.env("SQLX_OFFLINE", "true").env("RUSTDOCFLAGS", "-D warnings"))
}

fn print_times(times: &[(&str, Duration)]) {
    eprintln!();
    for (name, time) in times {
        eprintln!("{name:<14} {:>7.1} s", time.as_secs_f64());
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    eprintln!("{:<14} {:>7.1} s", "total", total.as_secs_f64());
}
