//! A link to Redis that may fail at any time and never makes anybody wait.
//!
//! Every use is bounded by a few milliseconds; after a failure the link is left alone for a moment, so that a dead
//! Redis costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, RedisError};
use tokio::time::Instant;

/// No use of Redis takes longer.
const PATIENCE: Duration = Duration::from_millis(20);
/// After a failure nobody tries for so long.
const REST_MS: u64 = 1_000;

/// The link. Clones share it.
#[derive(Clone)]
pub struct RedisLink {
    client: redis::Client,
    manager: ConnectionManager,
    born: Instant,
    rests_until_ms: Arc<AtomicU64>,
}

impl RedisLink {
    /// Prepares a link; nothing is connected yet.
    ///
    /// # Errors
    /// The URL is none.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        let client = redis::Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(Duration::from_millis(500)))
            .set_response_timeout(Some(Duration::from_millis(500)));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, manager, born: Instant::now(), rests_until_ms: Arc::default() })
    }

    /// For subscriptions.
    #[must_use]
    pub fn client(&self) -> &redis::Client {
        &self.client
    }

    /// Runs something, if Redis answers at once; `None` otherwise.
    pub async fn quickly<T, Fut>(&self, ask: impl FnOnce(ConnectionManager) -> Fut) -> Option<T>
    where
        T: FromRedisValue,
        Fut: Future<Output = Result<T, RedisError>>,
    {
        let now_ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now_ms < self.rests_until_ms.load(Ordering::Relaxed) {
            return None;
        }
        match tokio::time::timeout(PATIENCE, ask(self.manager.clone())).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "Redis does not answer; going on without it");
                self.rests_until_ms.store(now_ms + REST_MS, Ordering::Relaxed);
                None
            }
            Err(_) => {
                self.rests_until_ms.store(now_ms + REST_MS, Ordering::Relaxed);
                None
            }
        }
    }
}
