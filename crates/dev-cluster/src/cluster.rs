//! A private Postgres cluster on a free port of 127.0.0.1.
//!
//! Trust authentication and no sockets but that port: for development and tests only.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::account::{Account, postgres_account};
use crate::binaries::postgres_dir;
use crate::install::{Package, install};
use crate::keeper::{Signal, command, is_alive, send_signal, spawn};
use crate::port::free_port;
use crate::scratch::Scratch;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(15);
const PORT_ATTEMPTS: usize = 5;

/// How a cluster shall be.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Keeps the databases here and uses what is there; `None` throws them away.
    pub data_dir: Option<PathBuf>,
    /// Survives a power cut (fsync and synchronous_commit on). Tests do without.
    pub durable: bool,
}

/// A running cluster. Stops when dropped, or when this process ends in any way.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    home: PathBuf,
    port: u16,
    durable: bool,
    account: Option<Account>,
    server: Option<Child>,
    // Last: the directory goes after the server.
    scratch: Option<Scratch>,
}

impl Cluster {
    /// Starts a cluster and answers once it accepts connections. Installs Postgres if the machine has none.
    ///
    /// # Errors
    /// With what to do, when there is no Postgres and none could be installed; with its log when it does not start.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        tokio::task::spawn_blocking(move || Self::start_blocking(options)).await.context("start Postgres")?
    }

    /// The same, for callers without a runtime.
    ///
    /// # Errors
    /// See [`Cluster::start`].
    pub fn start_blocking(options: ClusterOptions) -> Result<Self> {
        let bin = find_or_install()?;
        let account = postgres_account()?;
        let (home, scratch) = match options.data_dir {
            Some(dir) => {
                fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
                (dir.canonicalize().context("resolve the data directory")?, None)
            }
            None => {
                let scratch = Scratch::create().context("create a temporary directory")?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let mut cluster =
            Self { bin, home, port: 0, durable: options.durable, account, server: None, scratch };
        cluster.initialise()?;
        for attempt in 1.. {
            cluster.port = free_port()?;
            match cluster.launch() {
                Ok(()) => break,
                Err(error) if attempt == PORT_ATTEMPTS || !cluster.lost_its_port() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(cluster)
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on; the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of its postmaster, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The path of one of its programs, such as `pgbench`.
    #[must_use]
    pub fn bin(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Creates a database unless it is there already.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let mut admin = PgConnection::connect(&self.url("postgres")).await.context("connect to Postgres")?;
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut admin)
            .await?;
        if !there {
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE \"{name}\"")))
                .execute(&mut admin)
                .await
                .with_context(|| format!("create database {name}"))?;
        }
        admin.close().await.context("close the connection")
    }

    /// Ends it; sessions are cut. Cleanly if it is kept, at once if it is thrown away. A second call does nothing.
    ///
    /// # Errors
    /// When no signal could be sent.
    pub fn stop(&mut self) -> Result<()> {
        self.end(self.farewell())
    }

    /// Ends it as a crash would: nothing is flushed, nobody is told.
    ///
    /// # Errors
    /// When no signal could be sent.
    pub fn kill_immediately(&mut self) -> Result<()> {
        self.end(Signal::Quit)
    }

    /// Starts it again on the same port, after stopping it if it still runs.
    ///
    /// # Errors
    /// With its log, when it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// A cluster that is kept ends with a checkpoint; one that is thrown away need not write anything.
    fn farewell(&self) -> Signal {
        if self.scratch.is_some() { Signal::Quit } else { Signal::Interrupt }
    }

    fn pgdata(&self) -> PathBuf {
        self.home.join("postgres")
    }

    fn log_path(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    /// Runs `initdb` if the directory is empty.
    fn initialise(&self) -> Result<()> {
        let pgdata = self.pgdata();
        if pgdata.join("PG_VERSION").exists() {
            return Ok(());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&pgdata)
            .with_context(|| format!("create {}", pgdata.display()))?;
        if let Some(account) = self.account {
            chown(&pgdata, Some(account.uid), Some(account.gid)).context("give the directory to postgres")?;
        }
        let mut initdb = command(self.bin("initdb").as_os_str(), self.account.map(|a| a.name), Signal::Kill);
        initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&pgdata);
        let output = output_of(initdb, &self.home)?;
        if !output.status.success() {
            bail!(
                "initdb failed in {} ({}): {}{}",
                pgdata.display(),
                "is each directory above it open to the user postgres?",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// A server that was told to end because its owner was killed needs a moment for its last checkpoint.
    fn wait_for_predecessor(&self) -> Result<()> {
        let give_up = Instant::now() + STOP_TIMEOUT;
        let status_file = self.pgdata().join("postmaster.pid");
        loop {
            let status = fs::read_to_string(&status_file).unwrap_or_default();
            let predecessor = status.lines().next().and_then(|pid| pid.trim().parse().ok());
            match predecessor {
                Some(pid) if is_alive(pid) && Instant::now() > give_up => {
                    bail!("another Postgres (pid {pid}) uses {}: stop it first", self.home.display())
                }
                Some(pid) if is_alive(pid) => std::thread::sleep(POLL),
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn launch(&mut self) -> Result<()> {
        self.wait_for_predecessor()?;
        let log = fs::File::create(self.log_path()).context("create the log of Postgres")?;
        let on_death = self.farewell();
        let mut postgres = command(self.bin("postgres").as_os_str(), self.account.map(|a| a.name), on_death);
        postgres.arg("-D").arg(self.pgdata()).args(["-p", &self.port.to_string()]);
        for setting in settings(self.durable) {
            postgres.args(["-c", setting]);
        }
        postgres.current_dir(&self.home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(spawn(postgres).context("start postgres")?);
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let give_up = Instant::now() + START_TIMEOUT;
        let status_file = self.pgdata().join("postmaster.pid");
        loop {
            let pid = self.pid().unwrap_or_default().to_string();
            // Line 1 is the postmaster's pid, the last line says `ready` once it accepts connections.
            let status = fs::read_to_string(&status_file).unwrap_or_default();
            if status.lines().next() == Some(&pid) && status.trim_end().ends_with("ready") {
                return Ok(());
            }
            let ended = self.server.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > give_up {
                self.end(Signal::Quit)?;
                bail!("Postgres did not start:\n{}", self.log_tail());
            }
            std::thread::sleep(POLL);
        }
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        if server.try_wait()?.is_some() {
            return Ok(());
        }
        send_signal(server.id(), signal).context("signal Postgres")?;
        let give_up = Instant::now() + STOP_TIMEOUT;
        while server.try_wait()?.is_none() {
            if Instant::now() > give_up {
                server.kill().context("kill Postgres")?;
                server.wait().context("wait for Postgres")?;
                break;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn lost_its_port(&self) -> bool {
        self.log_tail().contains("Address already in use")
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("Postgres on port {} could not be stopped: {error:#}", self.port);
        }
    }
}

fn settings(durable: bool) -> Vec<&'static str> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=400",
        "shared_buffers=256MB",
        "max_wal_size=4GB",
        "checkpoint_timeout=15min",
        "jit=off",
        "log_min_messages=warning",
        "logging_collector=off",
        "timezone=UTC",
    ];
    settings.extend(if durable {
        // What a checkpoint frees is kept for later: a log file that has to be made holds up every commit. Pages that are
        // written are handed on to the disk soon: the system would keep them for half a minute and then write all of them
        // at once, and every commit waits for that.
        [
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            "min_wal_size=1GB",
            "backend_flush_after=512kB",
        ]
        .as_slice()
    } else {
        ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "min_wal_size=256MB"].as_slice()
    });
    settings
}

/// The directory of Postgres's programs.
fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = postgres_dir() {
        return Ok(found);
    }
    install(Package::Postgres)?;
    postgres_dir().context("PostgreSQL was installed, but `postgres` and `initdb` are nowhere to be found")
}

fn output_of(mut command: Command, home: &Path) -> Result<std::process::Output> {
    command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn(command).context("start initdb")?;
    child.wait_with_output().context("wait for initdb")
}
