//! The network between the engine and the participants: loses, delays, repeats, reorders.

use std::sync::Arc;
use std::time::Duration;

use saga_orchestrator::engine::reply::{Answer, Participants, Reply, Request, Trouble, TroubleKind};
use tokio::sync::oneshot;

use super::envelope::{Commit, Envelope, Fate};
use super::{Shared, lock};

/// One process's connections.
pub struct Network {
    pub stage: Shared,
}

impl Participants for Network {
    async fn send(&self, request: &Request<'_>) -> Answer {
        let envelope = Envelope::of(request);
        let Fate { request, copies, commit, reply, is_reset } = lock(&self.stage).fate(&envelope);
        for delay in copies {
            // A copy arrives whatever becomes of the sender.
            drop(self.carry(envelope.clone(), delay, Commit::Known));
        }
        let heard = match request {
            None => None,
            Some(delay) => self.carry(envelope, delay, commit).await.ok().flatten(),
        };
        match (heard, reply) {
            (Some(answer), Some(delay)) => {
                tokio::time::sleep(delay).await;
                answer
            }
            (None, _) | (Some(_), None) if is_reset => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let trouble = Trouble { kind: TroubleKind::NoAnswer, detail: "reset".to_owned() };
                Answer { reply: Reply::Unknown(trouble), database_time: None }
            }
            // The engine's own deadline ends it.
            (None, _) | (Some(_), None) => std::future::pending().await,
        }
    }
}

impl Network {
    /// Takes the message to its participant, in a task of its own: whoever waits may stop waiting.
    fn carry(
        &self,
        envelope: Envelope,
        delay: Duration,
        commit: Commit,
    ) -> oneshot::Receiver<Option<Answer>> {
        let (answered, answer) = oneshot::channel();
        let stage = Arc::clone(&self.stage);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let arrived = lock(&stage).arrive(&envelope, commit);
            let reply = arrived.map(|(reply, at)| Answer { reply, database_time: Some(at) });
            // Nobody may be waiting.
            let _ = answered.send(reply);
        });
        answer
    }
}
