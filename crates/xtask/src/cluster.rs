//! The throwaway Postgres server that the chores use.

use anyhow::{Context, Result};
use dev_cluster::{Cluster, ClusterOptions};

/// Starts a server that forgets everything when it is dropped, and does not wait for the disk.
///
/// # Errors
/// When there is no Postgres and none could be installed, or when it does not start.
pub fn start() -> Result<Cluster> {
    eprintln!("$ postgres (throwaway, not durable)");
    Cluster::start_blocking(ClusterOptions { data_dir: None, durable: false })
        .context("start a throwaway Postgres server")
}
