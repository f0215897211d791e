//! `brokerctl dev` and the hidden `brokerctl serve`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use service_kit::settings::Settings;
use service_kit::{shutdown, telemetry};

use super::in_process::serve_alone;
use super::ready::{ReadyFile, default_path};
use super::{Mesh, MeshOptions, MeshService, PUBLIC_PORT, banner};
use crate::failure::Failure;

/// How often a service on a thread is looked after.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// See [`crate::dev`].
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Keep the databases in this directory. Default: throw them away.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Take free ports instead of the well-known ones.
    #[arg(long)]
    random_ports: bool,
    /// Throw away what --data-dir holds first.
    #[arg(long)]
    fresh: bool,
    /// Run so many processes of each service, as in production, instead of threads of this one.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=16))]
    replicas: Option<u16>,
    /// The port of the public API.
    #[arg(long, default_value_t = PUBLIC_PORT)]
    public_port: u16,
    /// Leave the demo customers, instruments and balances out.
    #[arg(long)]
    no_seed: bool,
    /// Go without Redis.
    #[arg(long)]
    no_redis: bool,
    /// Scale the protocol's times; tests run faster than 1.
    #[arg(long, default_value_t = 1.0, hide = true)]
    time_scale: f64,
    /// What the services log, as a filter.
    #[arg(long, default_value = "warn")]
    log: String,
    /// Send traces and metrics by OTLP to this collector, such as http://localhost:4317.
    #[arg(long)]
    otlp: Option<String>,
    /// Write addresses, database URLs and process ids to this file when ready.
    #[arg(long)]
    print_ready_file: Option<PathBuf>,
}

/// See [`crate::cli`].
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which service.
    service: MeshService,
}

impl ServeArgs {
    /// Serves until SIGTERM.
    ///
    /// # Errors
    /// Why the service could not start, or ended badly.
    pub fn run(self) -> Result<()> {
        serve_alone(self.service)
    }
}

impl DevArgs {
    /// Runs the mesh until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// Why it could not start, or what did not end well.
    pub async fn run(self) -> Result<(), Failure> {
        Ok(self.run_mesh().await?)
    }

    async fn run_mesh(self) -> Result<()> {
        let started = Instant::now();
        let mut telemetry = Settings::dev().telemetry;
        telemetry.log.clone_from(&self.log);
        telemetry::init(&telemetry);
        if self.fresh
            && let Some(dir) = &self.data_dir
        {
            throw_away(dir)?;
        }
        let asked_to_end = shutdown::on_signal();
        let (ready_path, options) = self.into_options();
        eprintln!("starting Postgres, Redis and three services …");
        let mesh = tokio::select! {
            mesh = Mesh::start(options) => mesh?,
            // What was started so far ends with this process.
            () = asked_to_end.cancelled() => return Ok(()),
        };
        let ready = ReadyFile::of(&mesh);
        for path in ready_path.iter().chain([&default_path()]) {
            ready.write(path)?;
        }
        // The mesh goes on even if nobody reads.
        drop(writeln!(std::io::stdout(), "{}", banner::text(&ready, started.elapsed())));
        let ended = tokio::select! {
            () = asked_to_end.cancelled() => None,
            service = until_one_ends(&mesh) => Some(service),
        };
        eprintln!("stopping …");
        for path in ready_path.iter().chain([&default_path()]) {
            ready.remove(path);
        }
        let stopped = tokio::select! {
            stopped = mesh.stop() => stopped,
            _ = second_signal() => bail!("stopped in a hurry"),
        };
        if let Some(service) = ended {
            return stopped.and_then(|()| bail!("{} ended by itself", service.name()));
        }
        stopped
    }

    fn into_options(self) -> (Option<PathBuf>, MeshOptions) {
        let options = MeshOptions {
            replicas: self.replicas.map(usize::from),
            data_dir: self.data_dir,
            random_ports: self.random_ports,
            public_port: self.public_port,
            redis: !self.no_redis,
            time_scale: self.time_scale,
            seed: !self.no_seed,
            log: self.log,
            otlp: self.otlp,
            ..MeshOptions::default()
        };
        (self.print_ready_file, options)
    }
}

async fn until_one_ends(mesh: &Mesh) -> MeshService {
    loop {
        if let Some(service) = mesh.ended_service() {
            return service;
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

async fn second_signal() {
    // Without a signal handler there is no hurry either.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Removes what a mesh keeps in its data directory, and nothing else.
fn throw_away(data_dir: &Path) -> Result<()> {
    let kept = data_dir.join("postgres");
    if !kept.join("PG_VERSION").exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(&kept).with_context(|| format!("remove {}", kept.display()))
}
