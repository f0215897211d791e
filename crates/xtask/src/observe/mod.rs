//! `cargo xtask observe`: whether what is exported is what dashboards, alerts and traces promise.
//!
//! Starts the mesh as processes, a real collector and a real Prometheus with our rules, plays a workload with every kind
//! of saga, refusals, a silent participant and a killed orchestrator, and then looks: every query of every dashboard has
//! data, and the trace of every saga has its spans. Not part of `cargo xtask ci`: it needs `cargo xtask tools`, and Prometheus.

mod collector;
mod mesh;
mod panels;
mod prometheus;
mod running;
mod traces;
mod workload;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;
use collector::Collector;
use mesh::{Mesh, Saga};
use prometheus::Prometheus;

/// How long spans and scrapes may take to arrive after the last call.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Starts everything, plays, looks, and prints what it saw.
///
/// # Errors
/// A panel without data, a trace that lacks a span, or a tool that is missing.
pub fn run() -> Result<()> {
    process::run(process::cargo(&["build", "-p", "brokerctl"]).env("SQLX_OFFLINE", "true"))?;
    let work = std::env::temp_dir().join(format!("observe-{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let done = look(&work);
    if done.is_ok() {
        fs::remove_dir_all(&work)?;
    } else {
        eprintln!("what the programs said is in {}", work.display());
    }
    done
}

fn look(work: &Path) -> Result<()> {
    let collector = Collector::start(work)?;
    let mesh = Mesh::start(work, collector.endpoint())?;
    let prometheus = Prometheus::start(work, &mesh)?;
    let begun = Instant::now();
    let nobody = BTreeSet::new();
    let is_told = |sagas: &[Saga]| {
        until("the traces before the kill", || traces::check(sagas, &nobody, &collector.spans()?)).map(drop)
    };
    let played = workload::play(&mesh, is_told)?;
    eprintln!("played for {:.0} s: {played}", begun.elapsed().as_secs_f64());
    let sagas = mesh.sagas()?;
    // All of them are looked at, whatever the first one finds.
    let looks = [
        until("data in all panels", || panels::check(&prometheus)),
        until("the traces of all sagas", || traces::check(&sagas, &played.at_risk, &collector.spans()?)),
        until("nobody being called", || quiet(&prometheus)),
    ];
    let mut failed = 0;
    for look in looks {
        match look {
            Ok(seen) => eprintln!("ok: {seen}"),
            Err(error) => {
                eprintln!("FAILED: {error:#}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of 3 looks failed");
    }
    Ok(())
}

/// When all is over and well, nobody is called.
fn quiet(prometheus: &Prometheus) -> Result<String> {
    let firing = prometheus.firing()?;
    // The objectives look back for hours: what the workload broke on purpose stays in them.
    let pages: Vec<_> = firing.iter().filter(|(name, page)| *page && !name.starts_with("Commands")).collect();
    if !pages.is_empty() {
        bail!("these call somebody: {pages:?}");
    }
    Ok(format!("{} alerts fire, and none of them is a page: {firing:?}", firing.len()))
}

/// Looks until it is well, or for long enough.
fn until<T>(what: &str, look: impl Fn() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(seen) => return Ok(seen),
            Err(error) if begun.elapsed() > ARRIVAL => {
                return Err(error).with_context(|| format!("wait for {what}"));
            }
            Err(_) => std::thread::sleep(LOOK_INTERVAL),
        }
    }
}
