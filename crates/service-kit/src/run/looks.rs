//! Looking at something every few seconds, for the numbers.

use std::time::Duration;

use super::Kit;
use crate::fault::Fault;

/// How often, before scaling.
const INTERVAL_MS: u64 = 5_000;
/// No time scale makes it longer or shorter than this.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_millis(INTERVAL_MS);

/// Something worth a look.
pub trait Look: Send + 'static {
    /// Looks, and shows what it sees. Small: it shares the database with everybody.
    fn look(&mut self) -> impl Future<Output = Result<(), Fault>> + Send;
}

impl Kit {
    /// Looks until the service ends. A look that fails leaves the numbers as they were.
    pub fn look(&self, mut at: impl Look) {
        let (stop, interval) = (self.shutdown.clone(), self.settings.scaled(INTERVAL_MS));
        let interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        self.tasks.spawn(async move {
            while tokio::time::timeout(interval, stop.cancelled()).await.is_err() {
                if let Err(fault) = at.look().await {
                    tracing::debug!("numbers are stale: {}", fault.chain());
                }
            }
        });
    }
}
