//! The mesh as processes of `brokerctl dev`, and its command line as the client.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::running::Running;
use crate::process;

const PATIENCE: Duration = Duration::from_secs(180);
const SERVICES: &[&str] = &["ORDER_SVC", "ASSET_SVC", "SAGA_ORCHESTRATOR"];

/// Two processes of each service.
pub struct Mesh {
    program: PathBuf,
    ready_file: PathBuf,
    server: String,
    _running: Running,
}

/// One process of a service.
pub struct Process {
    /// Such as `order-svc`.
    pub service: String,
    /// Its process id.
    pub pid: u32,
    /// Where its metrics are.
    pub ops: String,
}

/// A saga as the API shows it.
pub struct Saga {
    /// Its id.
    pub id: String,
    /// Such as `create_order`.
    pub kind: String,
    /// Whether it was undone.
    pub rolled_back: bool,
    /// Whether another process took it over.
    pub adopted: bool,
}

impl Mesh {
    /// Starts it, with traces and metrics pushed to this collector, and waits until it is ready. Its events have a
    /// consumer that never reads: a replication slot in each participant's database.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(work: &Path, collector: &str) -> Result<Self> {
        // Postgres does not run as root, and has to get in.
        std::fs::set_permissions(work, Permissions::from_mode(0o755))?;
        // Replication slots need another setting of the server, and that needs a restart.
        let once = Self::boot(work, collector)?;
        once.sql("order", "ALTER SYSTEM SET wal_level = logical")?;
        drop(once);
        let mesh = Self::boot(work, collector)?;
        for database in ["order", "asset"] {
            let slot =
                format!("SELECT pg_create_logical_replication_slot('observed_{database}', 'pgoutput')::text");
            mesh.sql(database, &slot)?;
        }
        Ok(mesh)
    }

    fn boot(work: &Path, collector: &str) -> Result<Self> {
        // Built just now, beside this program.
        let program = std::env::current_exe()?.with_file_name("brokerctl");
        let ready_file = work.join("ready.json");
        let mut command = Command::new(&program);
        command.args(["dev", "--replicas", "2", "--random-ports", "--print-ready-file"]).arg(&ready_file);
        command.arg("--data-dir").arg(work.join("databases"));
        for service in SERVICES {
            command.env(format!("{service}__TELEMETRY__OTLP_ENDPOINT"), collector);
        }
        let mut running = Running::start(&mut command, &work.join("mesh.txt"))?;
        let begun = Instant::now();
        while !ready_file.exists() {
            if running.has_ended()? || begun.elapsed() > PATIENCE {
                bail!("the mesh did not become ready");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let ready: Value = serde_json::from_slice(&std::fs::read(&ready_file)?)?;
        let server = ready["public"].as_str().context("the mesh has an address")?.to_owned();
        Ok(Self { program, ready_file, server, _running: running })
    }

    /// Executes one statement in the database of a service.
    fn sql(&self, service: &str, statement: &str) -> Result<()> {
        let ready: Value = serde_json::from_slice(&std::fs::read(&self.ready_file)?)?;
        let url = ready["databases"][service].as_str().context("a database has a URL")?.to_owned();
        let statement = statement.to_owned();
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
            let mut connection = PgConnection::connect(&url).await?;
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
            anyhow::Ok(())
        })
    }

    /// Its processes as they were at the start. One that was killed comes back with another process id.
    ///
    /// # Errors
    /// When its ready file cannot be read.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let ready: Value = serde_json::from_slice(&std::fs::read(&self.ready_file)?)?;
        let services = ready["services"].as_array().context("a list of processes")?;
        let text = |service: &Value, key: &str| service[key].as_str().unwrap_or_default().to_owned();
        services
            .iter()
            .map(|service| {
                let pid = service["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).context("a pid")?;
                Ok(Process { service: text(service, "service"), pid, ops: text(service, "ops") })
            })
            .collect()
    }

    /// A command of `brokerctl` for this mesh, as this user.
    #[must_use]
    pub fn command(&self, token: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(process::root());
        command.args(["--server", &self.server, "--token", token, "--output", "json"]).args(args);
        command
    }

    /// Runs one to its end; a refusal is an answer.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn ask(&self, token: &str, args: &[&str]) -> Result<Output> {
        Ok(self.command(token, args).output()?)
    }

    /// Runs one that has to succeed. Says its first line as JSON.
    ///
    /// # Errors
    /// When it does not succeed.
    pub fn call(&self, token: &str, args: &[&str]) -> Result<Value> {
        Ok(self.lines(token, args)?.into_iter().next().unwrap_or_default())
    }

    /// The sagas of every page.
    fn list(&self, args: &[&str]) -> Result<Vec<Value>> {
        let mut pages = self.lines("token-admin", &[&["saga", "list"], args].concat())?;
        Ok(pages
            .iter_mut()
            .filter_map(|page| page["sagas"].as_array_mut())
            .flat_map(std::mem::take)
            .collect())
    }

    fn lines(&self, token: &str, args: &[&str]) -> Result<Vec<Value>> {
        let output = self.ask(token, args)?;
        if !output.status.success() {
            bail!("brokerctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Sagas that have not ended.
    ///
    /// # Errors
    /// When the mesh does not say.
    pub fn unended(&self) -> Result<Vec<Value>> {
        self.list(&["--status", "running", "--status", "compensating", "--status", "parked"])
    }

    /// The ids of all sagas, ended or not.
    ///
    /// # Errors
    /// When the mesh does not say.
    pub fn ids(&self) -> Result<BTreeSet<String>> {
        let sagas = self.list(&["--limit", "100000"])?;
        Ok(sagas.iter().filter_map(|saga| saga["saga_id"].as_str()).map(str::to_owned).collect())
    }

    /// All sagas; each has ended.
    ///
    /// # Errors
    /// When the mesh does not say, or one has not ended.
    pub fn sagas(&self) -> Result<Vec<Saga>> {
        let sagas = self.list(&["--limit", "100000"])?;
        sagas
            .iter()
            .map(|saga| {
                let status = saga["status"].as_str().unwrap_or_default();
                if !status.ends_with("COMPLETED") && !status.ends_with("ROLLED_BACK") {
                    bail!("{} is {status}", saga["saga_id"]);
                }
                Ok(Saga {
                    id: saga["saga_id"].as_str().context("an id")?.to_owned(),
                    kind: saga["kind"].as_str().context("a kind")?.to_owned(),
                    rolled_back: status.ends_with("ROLLED_BACK"),
                    adopted: number(&saga["epoch"]) > 1,
                })
            })
            .collect()
    }
}

/// JSON has big numbers as text.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}
