//! Other people's libraries that do the naive floor's three steps, in the same run, on the same cluster.
//!
//! They are a program of their own, outside the workspace, so that nothing of ours depends on them: this only runs it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use brokerctl::dev::Mesh;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::bar::Bar;
use crate::case::Case;
use crate::client::Workload;
use crate::control::{Control, DATABASE, Trial};
use crate::floor::Floor;
use crate::report::Report;
use crate::sample::Sample;
use crate::{Options, load, preload, stage};

/// With how many clients everybody is measured. Each one's best counts.
const CLIENTS: [usize; 2] = [16, 64];
/// Connections that a peer has to its own database. Its branches have as many to theirs.
const LOG_CONNECTIONS: &str = "16";

/// Somebody else's library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `dbos`: durable workflows on Postgres, in one process.
    Dbos,
    /// `dtmrs`: a transaction coordinator, as a process that calls the branches over HTTP.
    Dtmrs,
    /// The same coordinator in one process with the branches.
    DtmrsEmbedded,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Dbos, Self::Dtmrs, Self::DtmrsEmbedded];

    /// What the program calls it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Dbos => "dbos",
            Self::Dtmrs => "dtmrs",
            Self::DtmrsEmbedded => "dtmrs-embedded",
        }
    }

    fn database(self) -> &'static str {
        match self {
            Self::Dbos => "bench_dbos",
            Self::Dtmrs => "bench_dtmrs",
            Self::DtmrsEmbedded => "bench_dtmrs_embedded",
        }
    }
}

/// Who takes part in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The mesh.
    Mesh,
    /// The naive floor, to show what the same SQL costs without any library.
    Naive,
    /// A peer.
    Peer(Peer),
}

impl Side {
    const ALL: [Self; 5] = [
        Self::Mesh,
        Self::Naive,
        Self::Peer(Peer::Dbos),
        Self::Peer(Peer::Dtmrs),
        Self::Peer(Peer::DtmrsEmbedded),
    ];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mesh => "mesh, create",
            Self::Naive => "naive floor",
            Self::Peer(Peer::Dbos) => "dbos",
            Self::Peer(Peer::Dtmrs) => "dtmrs, over HTTP",
            Self::Peer(Peer::DtmrsEmbedded) => "dtmrs, in one process",
        })
    }
}

impl Serialize for Side {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What one side showed.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Whose.
    pub side: Side,
    /// With so many clients.
    pub clients: usize,
    /// Medians.
    pub median: Sample,
}

/// Measures everybody on a mesh of their own, if the run is about peers and has their program.
///
/// # Errors
/// When a side fails, or does not have the effects that it should.
pub async fn compare(options: &Options, report: &mut Report) -> Result<()> {
    if !options.cases().contains(&Case::Peers) {
        return Ok(());
    }
    let Some(program) = options.peers.as_deref() else {
        ensure!(options.only.is_empty(), "the peers are a program of their own: say `--peers` as well");
        return Ok(());
    };
    let mut mesh = stage::start(Vec::new()).await?;
    let control = preload::fill(&mut mesh, options).await?;
    let peers = Peers::prepare(&mut mesh, program, options.customers).await?;
    let plan: Vec<_> =
        CLIENTS.into_iter().flat_map(|clients| Side::ALL.map(|side| (side, clients))).collect();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); plan.len()];
    for round in 1..=options.rounds {
        for ((side, clients), taken) in plan.iter().zip(&mut samples) {
            eprintln!("peers, round {round} of {}: {side}, {clients} clients", options.rounds);
            let sample = take(&mut mesh, &control, &peers, options, (*side, *clients)).await?;
            eprintln!("    {sample}");
            taken.push(sample);
        }
    }
    let of = |((side, clients), taken): (_, Vec<Sample>)| Compared {
        side,
        clients,
        median: Sample::median(&taken),
    };
    report.peers = plan.into_iter().zip(samples).map(of).collect();
    stage::end(mesh, "peers", report).await
}

async fn take(
    mesh: &mut Mesh,
    control: &Control,
    peers: &Peers,
    options: &Options,
    (side, clients): (Side, usize),
) -> Result<Sample> {
    let (customers, time) = (options.customers, options.time());
    match side {
        Side::Mesh => load::measure(mesh, Workload::Create, clients, customers, time).await,
        Side::Naive => {
            control.measure(Trial { floor: Floor::Naive, clients, customers, time, rate: None }).await
        }
        Side::Peer(peer) => peers.measure(peer, clients, time).await,
    }
}

/// The mesh's best against each peer's best.
pub fn bars(compared: &[Compared]) -> Vec<Bar> {
    let best = |side| {
        let rates =
            compared.iter().filter(|compared| compared.side == side).map(|compared| compared.median.rate);
        rates.max_by(f64::total_cmp)
    };
    let bar = |peer| {
        let side = Side::Peer(peer);
        let figure = best(Side::Mesh).zip(best(side)).map(|(mesh, peer)| mesh / peer);
        Bar::at_least(format!("best sagas/s to best of {side}"), figure, 3.0, 10.0)
    };
    Peer::ALL.map(bar).to_vec()
}

/// Runs them.
#[derive(Debug)]
struct Peers {
    program: PathBuf,
    script: PathBuf,
    server: String,
    customers: u32,
}

impl Peers {
    /// With the program at this path, beside the controls of this mesh's cluster. The peers' databases are made.
    ///
    /// # Errors
    /// When there is no such program, or a database cannot be made.
    async fn prepare(mesh: &mut Mesh, program: &Path, customers: u32) -> Result<Self> {
        let program = fs::canonicalize(program).with_context(|| format!("find {}", program.display()))?;
        let cluster = mesh.postgres().context("the benchmark needs a cluster of its own")?;
        for peer in Peer::ALL {
            cluster.create_database(peer.database()).await?;
        }
        let script = std::env::temp_dir().join(format!("mesh-bench-peers-{}.sql", cluster.port()));
        fs::write(&script, Floor::Naive.script()).context("write the floor's script")?;
        let server = cluster.url("");
        Ok(Self { program, script, server, customers })
    }

    /// Measures one for `time`. It checks by itself that its effects are the floor's and that commits are durable.
    ///
    /// # Errors
    /// When the program fails, with what it said.
    async fn measure(&self, peer: Peer, clients: usize, time: Duration) -> Result<Sample> {
        let url = |database: &str| format!("{}{database}", self.server);
        let mut command = Command::new(&self.program);
        command
            .arg(peer.as_str())
            .args(["--tables", &url(DATABASE), "--log", &url(peer.database())])
            .arg("--script")
            .arg(&self.script)
            .args(["--clients", &clients.to_string(), "--customers", &self.customers.to_string()])
            .args(["--seconds", &time.as_secs().to_string(), "--log-connections", LOG_CONNECTIONS])
            .env("DTMRS_DB_POOL", LOG_CONNECTIONS)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .context("wait for a peer")?
            .with_context(|| format!("start {}", self.program.display()))?;
        sample(peer, &output)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // Best effort: it is in the system's temporary directory.
        drop(fs::remove_file(&self.script));
    }
}

fn sample(peer: Peer, output: &Output) -> Result<Sample> {
    if !output.status.success() {
        bail!("{} failed: {}", peer.as_str(), String::from_utf8_lossy(&output.stderr));
    }
    let said: Value = serde_json::from_slice(&output.stdout).context("read what a peer measured")?;
    let figure = |name: &str| said[name].as_f64().with_context(|| format!("a peer said no {name}"));
    Ok(Sample {
        rate: figure("rate")?,
        p50_ms: figure("p50_ms")?,
        p99_ms: figure("p99_ms")?,
        p999_ms: figure("p999_ms")?,
        ..Sample::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(side: Side, clients: usize, rate: f64) -> Compared {
        Compared { side, clients, median: Sample { rate, ..Sample::default() } }
    }

    #[test]
    fn each_side_counts_with_its_best() {
        let dbos = Side::Peer(Peer::Dbos);
        let found = [
            compared(Side::Mesh, 16, 2_000.0),
            compared(Side::Mesh, 64, 4_000.0),
            compared(dbos, 16, 1_000.0),
            compared(dbos, 64, 500.0),
        ];
        let figures: Vec<_> = bars(&found).into_iter().map(|bar| bar.figure).collect();
        assert_eq!(figures, [Some(4.0), None, None]);
    }
}
