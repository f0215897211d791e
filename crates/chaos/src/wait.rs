//! Waiting for a state. The only place that looks again after a pause.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(5);
/// Longer than anything takes that comes at all.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer.
///
/// # Errors
/// Names `what` was awaited in vain, or what went wrong while asking.
pub async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(PATIENCE, what, ask).await
}

/// The same with another patience.
///
/// # Errors
/// See [`until`].
pub async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= give_up {
            bail!("waited {patience:?} in vain: {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
