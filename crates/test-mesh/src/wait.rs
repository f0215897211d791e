//! Waiting for a state. The only place that looks again after a pause.

use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(5);
/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer, and fails the test by naming `what` was awaited in vain.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < give_up, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
