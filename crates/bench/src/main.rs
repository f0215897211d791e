//! Measures the mesh against two pgbench controls, on the same cluster, in the same run.
//!
//! `cargo xtask bench` builds this with optimisations and runs it. It starts the mesh as processes, with full
//! durability, fills its tables, and then takes rounds: the mesh, the naive floor, the monolith floor, for each number
//! of clients in turn. What it says are ratios of medians; absolute rates mean nothing on another machine.

mod audit;
mod bar;
mod calls;
mod case;
mod client;
mod collector;
#[cfg(test)]
mod contract;
mod control;
mod cpu;
mod disk;
mod document;
mod floor;
mod history;
mod load;
mod memory;
mod open_loop;
mod peers;
mod preload;
mod profile;
mod redelivery;
mod report;
mod rounds;
mod row;
mod sample;
mod stage;
mod statements;
mod training;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use crate::case::Case;
use crate::report::Report;

/// Measures the mesh against two pgbench controls and says whether the bars are met.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench --")]
pub struct Options {
    /// Only these; everything unless told otherwise.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Case>,
    /// One short round with fewer clients and customers, to see whether it works at all.
    #[arg(long)]
    short: bool,
    /// Like `--short`, and a missed bar is no failure.
    #[arg(long)]
    smoke: bool,
    /// Measures nothing: works briefly, for a profile that programs are compiled with. `cargo xtask release` uses it.
    #[arg(long)]
    train: bool,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    clients: Vec<usize>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often everything is measured; the medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Customers, each with balances and one order, before the first measurement.
    #[arg(long, default_value_t = 10_000)]
    customers: u32,
    /// Sagas a second whose parts the open loop offers, instead of the most that this run measures.
    #[arg(long)]
    most: Option<f64>,
    /// Sizes of the history, in finished sagas. `10000,200000,2000000` shows the whole curve; it needs 20 GB and a while.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
    history: Vec<i64>,
    /// With a history: empties the system's file cache too before a cold measurement. Needs root.
    #[arg(long)]
    drop_caches: bool,
    /// The program that runs other people's libraries. `cargo xtask bench` builds it when no path is given.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// With a profile and `--write`: it is the one from before a change.
    #[arg(long)]
    before: bool,
    /// Also write the tables into this document, between its markers: `docs/benchmarks.md`.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Also write the report here.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

/// What a short run measures.
const SHORT: [Case; 3] = [Case::Clients, Case::Hot, Case::Mixed];

impl Options {
    fn parsed() -> Self {
        let mut options = Self::parse();
        if options.short || options.smoke {
            options.clients = vec![1, 64];
            options.seconds = 2;
            options.rounds = 1;
            options.customers = 1_000;
        }
        options
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn cases(&self) -> Vec<Case> {
        if !self.only.is_empty() {
            self.only.clone()
        } else if self.short || self.smoke {
            SHORT.to_vec()
        } else {
            Case::value_variants().to_vec()
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parsed();
    // One thread: the generator shares the machine with what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(Box::pin(run(options))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    if options.train {
        return training::run().await;
    }
    let mut report = Report::default();
    let before = cpu::Cores::read();
    stage::shared(&options, &mut report).await?;
    stage::memory(&options, &mut report).await?;
    stage::profile(&options, &mut report).await?;
    stage::history(&options, &mut report).await?;
    peers::compare(&options, &mut report).await?;
    report.stolen = before.zip(cpu::Cores::read()).map(|(before, now)| now.stolen_since(before));
    println!("{}", report.text());
    report.write(&options.json)?;
    if let Some(path) = &options.write {
        document::write(path, &report, &options)?;
    }
    if !report.is_clean() {
        bail!("the audit found a difference");
    }
    let missed = report.missed();
    if !missed.is_empty() && !options.smoke {
        bail!("{} missed", missed.join(", "));
    }
    Ok(())
}
