//! A service on a thread of this process, with a runtime of its own, as if it were alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use asset_svc::AssetService;
use order_svc::OrderService;
use saga_orchestrator::Orchestrator;
use service_kit::run::{BootError, Service, run_until};
use service_kit::settings::Settings;
use service_kit::{shutdown, telemetry};
use tokio_util::sync::CancellationToken;

use super::probe::is_ready;
use super::service::{Addresses, Assignment, Bound, MeshService};

const POLL: Duration = Duration::from_millis(25);

/// A running thread.
#[derive(Debug)]
pub(super) struct InProcess {
    addresses: Addresses,
    up: Arc<AtomicBool>,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<()>>>,
}

impl InProcess {
    pub(super) fn start(bound: Bound, assignment: &Assignment) -> Result<Self> {
        let (service, settings) = (assignment.service, assignment.settings());
        let stop = CancellationToken::new();
        let told = stop.clone();
        let thread = std::thread::Builder::new()
            .name(service.name().to_owned())
            .spawn(move || serve(service, settings, bound, told))
            .context("start a thread")?;
        let up = Arc::new(AtomicBool::new(false));
        Ok(Self { addresses: assignment.addresses, up, stop, thread: Some(thread) })
    }

    pub(super) fn addresses(&self) -> Addresses {
        self.addresses
    }

    pub(super) fn up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.up)
    }

    /// Blocks until the service is ready, or has ended.
    pub(super) fn wait_until_ready(&mut self) -> Result<()> {
        while !is_ready(self.addresses.ops) {
            if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                self.finish_stop()?;
                anyhow::bail!("the service ended before it was ready");
            }
            std::thread::sleep(POLL);
        }
        self.up.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the service has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub(super) fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end; a second call does nothing.
    pub(super) fn finish_stop(&mut self) -> Result<()> {
        self.begin_stop();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the service panicked")))
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

/// From the listeners to the last answer, on this thread.
fn serve(service: MeshService, settings: Settings, bound: Bound, stop: CancellationToken) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    let ended = runtime.block_on(async {
        let listeners = bound.into_listeners().context("use the listeners")?;
        match service {
            MeshService::Order => run_until::<OrderService>(settings, listeners, stop).await,
            MeshService::Asset => run_until::<AssetService>(settings, listeners, stop).await,
            MeshService::Orchestrator => run_until::<Orchestrator>(settings, listeners, stop).await,
        }
        .map_err(anyhow::Error::from)
    });
    ended.with_context(|| format!("run {}", service.name()))
}

/// Runs one service in this process until SIGTERM, configured by its environment.
///
/// # Errors
/// Why it could not start, or ended badly.
pub(super) fn serve_alone(service: MeshService) -> Result<()> {
    match service {
        MeshService::Order => alone::<OrderService>(),
        MeshService::Asset => alone::<AssetService>(),
        MeshService::Orchestrator => alone::<Orchestrator>(),
    }
    .with_context(|| format!("run {}", service.name()))
}

fn alone<S: Service>() -> Result<(), BootError> {
    let settings = Settings::load(S::NAME, None)?;
    let runtime = service_kit::run::runtime(settings.threads)?;
    runtime.block_on(async {
        telemetry::init(&settings.telemetry);
        let shutdown = shutdown::on_signal();
        let listeners = service_kit::run::Listeners::bind(&settings).await?;
        run_until::<S>(settings, listeners, shutdown).await
    })
}
