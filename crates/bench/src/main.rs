//! Measures the mesh against two pgbench controls, on the same cluster, in the same run.
//!
//! `cargo xtask bench` builds this with optimisations and runs it. It starts the mesh as processes, with full
//! durability, fills its tables, and then takes rounds: the mesh, the naive floor, the monolith floor, for each number
//! of clients in turn. What it says are ratios of medians; absolute rates mean nothing on another machine.

mod audit;
mod control;
mod cpu;
mod load;
mod preload;
mod report;
mod rounds;
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use brokerctl::dev::{Mesh, MeshOptions};
use clap::Parser;

use crate::report::Report;

/// Measures the mesh against two pgbench controls and says whether the bars are met.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench --")]
pub struct Options {
    /// One short round with fewer clients and customers, to see whether it works at all.
    #[arg(long)]
    short: bool,
    /// Like `--short`, and a missed bar is no failure.
    #[arg(long)]
    smoke: bool,
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
    /// Also write the report here.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

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
    let mut mesh = start().await?;
    let control = preload::fill(&mut mesh, &options).await?;
    let mut report = Report::default();
    rounds::measure(&mut mesh, &control, &options, &mut report).await?;
    report.resident_mb = cpu::resident_mb(&mesh)?;
    report.audit = audit::verify(&mesh).await;
    println!("{}", report.text());
    report.write(&options.json)?;
    mesh.stop().await.context("stop the mesh")?;
    if report.audit.is_err() {
        bail!("the audit found a difference");
    }
    let missed = report.missed();
    if !missed.is_empty() && !options.smoke {
        bail!("{} missed", missed.join(", "));
    }
    Ok(())
}

/// The mesh as in production: processes, and every commit on disk.
async fn start() -> Result<Mesh> {
    let here = std::env::current_exe().context("find this program")?;
    let program = here.with_file_name("brokerctl");
    if !program.exists() {
        bail!("there is no brokerctl beside this program: start it with `cargo xtask bench`");
    }
    let options = MeshOptions {
        replicas: Some(1),
        durable: true,
        seed: false,
        serve_command: Some(program),
        ..MeshOptions::default()
    };
    eprintln!("starting the mesh …");
    Mesh::start(options).await.context("start the mesh")
}
