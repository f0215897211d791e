//! The front door: keeps two commands on one order from wasting each other's work. It decides nothing.
//!
//! Without Redis, or when it is slow, wrong or busy for long, everybody just goes on.

use std::time::Duration;

use brokerage_types::OrderId;
use redis::Script;
use uuid::Uuid;

use super::RedisLink;

/// A forgotten lock is gone after this.
const HELD_MS_MAX: u64 = 2_000;
/// How often a busy door is tried again, and how long each time: 40 ms in all.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(5);

const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

/// The door.
#[derive(Clone)]
pub struct FrontDoor {
    redis: Option<RedisLink>,
}

/// Held while a command on some orders runs. Dropping it opens the door again.
pub struct Pass {
    redis: Option<RedisLink>,
    token: String,
    keys: Vec<String>,
}

impl FrontDoor {
    /// A door; without Redis it is always open.
    #[must_use]
    pub fn new(redis: Option<RedisLink>) -> Self {
        Self { redis }
    }

    /// Waits a little while somebody else is busy with these orders.
    pub async fn enter(&self, orders: &[OrderId]) -> Pass {
        let mut pass =
            Pass { redis: self.redis.clone(), token: Uuid::new_v4().to_string(), keys: Vec::new() };
        let Some(redis) = &self.redis else { return pass };
        let mut keys: Vec<String> = orders.iter().map(|order| format!("brokerage:order:{order}")).collect();
        keys.sort_unstable();
        for key in keys {
            for _ in 0..TRIES {
                let mut set = redis::cmd("SET");
                set.arg(&key).arg(&pass.token).arg("NX").arg("PX").arg(HELD_MS_MAX);
                let asked = redis.quickly(|mut manager| async move { set.query_async(&mut manager).await });
                let answer: Option<Option<String>> = asked.await;
                match answer {
                    Some(Some(_ok)) => {
                        pass.keys.push(key);
                        break;
                    }
                    Some(None) => tokio::time::sleep(PAUSE).await,
                    None => return pass,
                }
            }
        }
        pass
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let (Some(redis), keys) = (self.redis.take(), std::mem::take(&mut self.keys)) else { return };
        let token = std::mem::take(&mut self.token);
        if keys.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        // Untracked on purpose: what is not released runs out by itself.
        tokio::spawn(async move {
            for key in keys {
                let token = token.clone();
                let released: Option<i64> = redis
                    .quickly(|mut manager| async move {
                        Script::new(RELEASE).key(key).arg(token).invoke_async(&mut manager).await
                    })
                    .await;
                tracing::trace!(?released, "a front-door lock was released");
            }
        });
    }
}
