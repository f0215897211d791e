//! Who hears that a saga has changed: watchers and waiters of this process, and of others through Redis if there is one.
//!
//! A change that nobody heard of is found by a slow poll.

use brokerage_types::SagaId;
use futures::StreamExt;
use service_kit::run::Kit;
use tokio::sync::{broadcast, mpsc};

use super::RedisLink;

const CHANNEL: &str = "brokerage:sagas";
const HEARD_MAX: usize = 4_096;
const TOLD_MAX: usize = 1_024;

/// The news.
#[derive(Clone)]
pub struct Changes {
    here: broadcast::Sender<SagaId>,
    elsewhere: Option<mpsc::Sender<SagaId>>,
}

impl Changes {
    /// Starts telling and, with Redis, listening.
    #[must_use]
    pub fn start(kit: &Kit, redis: Option<&RedisLink>) -> Self {
        let (here, _) = broadcast::channel(HEARD_MAX);
        let elsewhere = redis.map(|redis| {
            let (told, waiting) = mpsc::channel(TOLD_MAX);
            kit.tasks.spawn(tell(redis.clone(), waiting));
            let listening = listen(redis.clone(), here.clone());
            let shutdown = kit.shutdown.clone();
            kit.tasks.spawn(async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = listening => {}
                }
            });
            told
        });
        Self { here, elsewhere }
    }

    /// Says that a saga has changed. Never waits; may be lost.
    pub fn announce(&self, saga_id: SagaId) {
        // Nobody listens most of the time.
        let _ = self.here.send(saga_id);
        if let Some(elsewhere) = &self.elsewhere {
            let _ = elsewhere.try_send(saga_id);
        }
    }

    /// Hears of changes from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<SagaId> {
        self.here.subscribe()
    }
}

/// Ends when the last [`Changes`] is gone.
async fn tell(redis: RedisLink, mut waiting: mpsc::Receiver<SagaId>) {
    let mut sagas = Vec::new();
    while waiting.recv_many(&mut sagas, TOLD_MAX).await > 0 {
        let mut pipeline = redis::pipe();
        for saga_id in sagas.drain(..) {
            pipeline.cmd("PUBLISH").arg(CHANNEL).arg(saga_id.to_string()).ignore();
        }
        let told: Option<()> =
            redis.quickly(|mut manager| async move { pipeline.query_async(&mut manager).await }).await;
        tracing::trace!(told = told.is_some(), "told other processes of changes");
    }
}

async fn listen(redis: RedisLink, here: broadcast::Sender<SagaId>) {
    loop {
        if let Ok(mut subscription) = redis.client().get_async_pubsub().await
            && subscription.subscribe(CHANNEL).await.is_ok()
        {
            let mut messages = subscription.on_message();
            while let Some(message) = messages.next().await {
                let text: Result<String, _> = message.get_payload();
                if let Some(saga_id) = text.ok().and_then(|text| SagaId::parse(&text).ok()) {
                    let _ = here.send(saga_id);
                }
            }
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
