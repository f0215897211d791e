//! The controls: pgbench has the same effects on the same cluster, without any service; and one with fewer effects.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dev_cluster::giving_way;

use crate::floor::Floor;
use crate::sample::{Sample, histogram};

/// The controls' own database.
pub const DATABASE: &str = "bench_control";
/// Threads of pgbench. One, as the generator of the mesh's load: both share the machine with the server.
const THREADS: &str = "1";

/// Runs the controls.
#[derive(Debug)]
pub struct Control {
    pgbench: PathBuf,
    port: u16,
    scratch: PathBuf,
    runs: AtomicU32,
}

/// What a control does.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Which control.
    pub floor: Floor,
    /// How many clients at a time.
    pub clients: usize,
    /// Customers are drawn from `0..customers`; one customer makes a hot account.
    pub customers: u32,
    /// How long.
    pub time: Duration,
    /// In an open loop: so many transactions a second at random instants, and latencies from the instant at which each was
    /// due. At most so many clients are answered at a time; the others wait, and that counts.
    pub rate: Option<f64>,
}

impl Control {
    /// With this pgbench against the cluster on this port.
    ///
    /// # Errors
    /// When there is no pgbench, or no place for its logs.
    pub fn new(pgbench: PathBuf, port: u16) -> Result<Self> {
        ensure!(pgbench.exists(), "there is no {}: install Postgres's client programs", pgbench.display());
        let nonce = RandomState::new().build_hasher().finish();
        let scratch = std::env::temp_dir().join(format!("mesh-bench-{nonce:016x}"));
        fs::create_dir_all(&scratch).context("make a directory for pgbench")?;
        Ok(Self { pgbench, port, scratch, runs: AtomicU32::new(1) })
    }

    /// Runs one control.
    ///
    /// # Errors
    /// When pgbench fails, or when one of its statements does.
    pub async fn measure(&self, trial: Trial) -> Result<Sample> {
        let Trial { floor, clients, customers, time, rate } = trial;
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let script = self.scratch.join("script.sql");
        fs::write(&script, floor.script()).context("write pgbench's script")?;
        let prefix = format!("run-{run}");
        // As the services of the mesh do.
        let (program, first_args) = giving_way(&self.pgbench);
        let mut command = Command::new(program);
        command
            .args(first_args)
            .current_dir(&self.scratch)
            .args(["-h", "127.0.0.1", "-U", "postgres", "-n", "-M", "prepared", "-j", THREADS, "-l"])
            .args([
                "-p",
                &self.port.to_string(),
                "-c",
                &clients.to_string(),
                "-T",
                &time.as_secs().to_string(),
            ])
            .args(["--log-prefix", &prefix, "-D", "n=0", "-D", "first=0", "-D", &format!("run={run}")])
            .args(["-D", "buyer=0", "-D", "buy=0", "-D", "sell=0"])
            .args(rate.map(|rate| format!("--rate={rate:.1}")))
            .args(["-D", &format!("last={}", customers - 1), "-f"])
            .arg(&script)
            .arg(DATABASE);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .context("wait for pgbench")?
            .context("start pgbench")?;
        self.sample(&output, &prefix)
    }

    fn sample(&self, output: &Output, prefix: &str) -> Result<Sample> {
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = said.lines().any(|line| {
            line.starts_with("number of failed transactions") && !line.contains("failed transactions: 0")
        });
        if !output.status.success() || failed {
            bail!("pgbench failed: {said}{}", String::from_utf8_lossy(&output.stderr));
        }
        let mut latencies = histogram()?;
        for line in logs(&self.scratch, prefix)?.lines() {
            // With a rate, this is counted from when it was due.
            if let Some(micros) = line.split(' ').nth(2).and_then(|field| field.parse().ok()) {
                latencies.saturating_record(u64::max(micros, 1));
            }
        }
        let mut sample = Sample::of(&latencies, Duration::from_secs(1));
        // Pgbench's own figure leaves the time out that it took to connect.
        sample.rate = rate_in(&said).with_context(|| format!("pgbench said no rate: {said}"))?;
        Ok(sample)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Best effort: it is in the system's temporary directory.
        drop(fs::remove_dir_all(&self.scratch));
    }
}

fn rate_in(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.starts_with("tps = "))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

/// The logs of all threads of one run; they are removed.
fn logs(dir: &Path, prefix: &str) -> Result<String> {
    let mut all = String::new();
    for entry in fs::read_dir(dir).context("list pgbench's logs")? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{prefix}.")) {
            all.push_str(&fs::read_to_string(entry.path()).context("read pgbench's log")?);
            fs::remove_file(entry.path()).context("remove pgbench's log")?;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_one_without_connecting() {
        let said = "latency average = 1.2 ms\ntps = 1234.5 (without initial connection time)\n";
        assert_eq!(rate_in(said), Some(1234.5));
        assert_eq!(rate_in("pgbench: error"), None);
    }
}
