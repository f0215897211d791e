//! How a service learns that it shall end, and the order in which it does.
//!
//! Readiness ends → still serving for the grace, until balancers have noticed → no new connections, GOAWAY on the
//! old ones, streams end → calls in progress finish → lanes finish → the process ends.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::database::Reads;
use crate::health::Health;
use crate::settings::DrainSettings;

/// How long loops and lanes may take once no call is in progress. Longer than a statement may.
const TASKS_FINISH_TIMEOUT: Duration = Duration::from_secs(3);

/// A token that is cancelled by SIGTERM or Ctrl-C.
#[must_use]
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        cancelled.cancel();
    });
    token
}

async fn wait_for_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be received; only Ctrl-C ends this process");
            let _ = interrupt.await;
        }
    }
}

/// Waits for `asked`, then says so to balancers, waits for them, and cancels `stop`.
pub(crate) async fn announce(
    asked: CancellationToken,
    drain: DrainSettings,
    health: Health,
    stop: CancellationToken,
) {
    asked.cancelled().await;
    tracing::info!("shutting down: not ready any more, still serving for {} ms", drain.grace_ms);
    health.set_ready(false).await;
    tokio::time::sleep(Duration::from_millis(drain.grace_ms)).await;
    stop.cancel();
    // Health is watched by streams that would keep their connections open for ever.
    health.end().await;
}

/// Waits until the servers are done, at most `finish_ms` after `stop`.
///
/// # Errors
/// A server that ended badly.
pub(crate) async fn finish<E>(
    servers: impl Future<Output = Result<(), E>>,
    drain: &DrainSettings,
    stop: &CancellationToken,
) -> Result<(), E> {
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_millis(drain.finish_ms)).await;
    };
    tokio::select! {
        ended = servers => ended,
        () = too_long => {
            tracing::warn!("some calls did not finish within {} ms and are cut off", drain.finish_ms);
            Ok(())
        }
    }
}

/// Closes the pool; a connection that somebody still waits on is left to the operating system.
pub(crate) async fn finish_reads(reads: &Reads) {
    if tokio::time::timeout(TASKS_FINISH_TIMEOUT, reads.close()).await.is_err() {
        tracing::warn!("the database does not let go of a read; ending without it");
    }
}

/// Waits until every tracked task is done, for a short while.
pub(crate) async fn finish_tasks(tasks: &TaskTracker) {
    tasks.close();
    if tokio::time::timeout(TASKS_FINISH_TIMEOUT, tasks.wait()).await.is_err() {
        tracing::warn!("{} tasks did not finish in time", tasks.len());
    }
}
