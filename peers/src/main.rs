//! Runs create-order through other people's libraries, with the effects of the benchmark's naive floor.
//!
//! `cargo xtask bench --peers` builds this and runs it once for each measurement, against the database in which the
//! floors run. It prints one JSON object: what the clients saw. It fails when the effects are not the floor's, or when
//! Postgres would not survive a power cut.

mod books;
mod effects;
mod load;
mod peer_dbos;
mod peer_dtmrs;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::books::Books;
use crate::load::Seen;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs create-order through other people's libraries.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    /// The `dbos` crate: a durable workflow of three steps, in this process.
    Dbos(Run),
    /// The `dtmrs` coordinator as a process of its own that calls the three branches over HTTP.
    Dtmrs(Run),
    /// The same coordinator inside this process, and the branches as functions.
    DtmrsEmbedded(Run),
    /// The process that `dtmrs` starts.
    #[command(hide = true)]
    Coordinator {
        /// The coordinator's own database.
        #[arg(long)]
        log: String,
        /// Where it listens.
        #[arg(long)]
        listen: SocketAddr,
    },
}

/// One measurement.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The database with the participants' tables.
    #[arg(long)]
    tables: String,
    /// The database with the peer's own tables. It has to exist.
    #[arg(long)]
    log: String,
    /// The naive floor's script for pgbench.
    #[arg(long)]
    script: PathBuf,
    /// How many clients at a time.
    #[arg(long)]
    clients: usize,
    /// Seconds to measure.
    #[arg(long)]
    seconds: u64,
    /// Customers with balances are numbered from 0 to this.
    #[arg(long)]
    customers: u32,
    /// Connections of dbos to its own database. Dtmrs reads `DTMRS_DB_POOL` from the environment.
    #[arg(long, default_value_t = 16)]
    log_connections: u32,
    /// Connections of the branches to their tables.
    #[arg(long, default_value_t = 16)]
    connections: u32,
}

impl Run {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(options.peer))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(peer: Peer) -> Result<()> {
    match peer {
        Peer::Dbos(run) => report(&run, peer_dbos::measure(&run, &books(&run).await?).await?),
        Peer::Dtmrs(run) => report(&run, peer_dtmrs::measure_processes(&run, &books(&run).await?).await?),
        Peer::DtmrsEmbedded(run) => {
            report(&run, peer_dtmrs::measure_embedded(&run, &books(&run).await?).await?)
        }
        Peer::Coordinator { log, listen } => peer_dtmrs::coordinate(&log, listen).await,
    }
}

async fn books(run: &Run) -> Result<Books> {
    Books::open(&run.tables, &run.log).await
}

fn report(run: &Run, seen: Seen) -> Result<()> {
    ensure!(seen.sagas > 0, "no saga ended within {} s", run.seconds);
    let ms = |quantile| seen.latencies.value_at_quantile(quantile) as f64 / 1e3;
    let report = json!({
        "rate": seen.latencies.len() as f64 / run.time().as_secs_f64(),
        "p50_ms": ms(0.5),
        "p99_ms": ms(0.99),
        "p999_ms": ms(0.999),
        "sagas": seen.sagas,
    });
    println!("{report}");
    Ok(())
}
