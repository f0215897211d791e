//! Waiting for a saga's outcome, and what a caller is told of it.

use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use service_kit::fault::{ApiResult, Refusal};
use tokio::sync::{broadcast, watch};

use super::desk::{Desk, Settled};
use crate::engine::decide::Status;
use crate::engine::drive::Outcome;
use crate::shell::Fate;

/// The first look at the database comes after this, then ever later.
const LOOK_FIRST: Duration = Duration::from_millis(25);
const LOOK_MAX: Duration = Duration::from_millis(500);

impl Desk {
    /// The saga's outcome, from its driver if it is here, else from its row. Bounded by the call's deadline.
    pub(super) async fn outcome(
        &self,
        saga_id: SagaId,
        fate: Option<watch::Receiver<Fate>>,
    ) -> ApiResult<Outcome> {
        let mut fate = fate;
        // Nobody listens while the driver is here: that is the usual case, and it knows first.
        let mut changes = None;
        let mut pause = LOOK_FIRST;
        loop {
            if let Some(mut watched) = fate.take() {
                let settled = watched.wait_for(|fate| *fate != Fate::Underway).await;
                match settled.map(|fate| fate.clone()) {
                    Ok(Fate::Ended(outcome)) => return Ok(outcome),
                    Ok(Fate::Parked(reason)) => return Err(still_running(saga_id, Some(reason)).into()),
                    // Somebody else drives it, or has ended it: its row will say.
                    Ok(Fate::Left | Fate::Underway) | Err(_) => {}
                }
            }
            let changes = changes.get_or_insert_with(|| self.changes.listen());
            if let Some(row) = self.store.saga(saga_id).await? {
                match row.standing()? {
                    Status::Completed => return Ok(Outcome::Completed),
                    Status::RolledBack => {
                        let step = row.detail.clone().map(Into::into);
                        return Ok(Outcome::RolledBack { reason: row.reason(), step });
                    }
                    Status::Parked => return Err(still_running(saga_id, Some(row.reason())).into()),
                    Status::Running | Status::Compensating => {}
                }
            }
            if self.kit.shutdown.is_cancelled() {
                return Err(still_running(saga_id, None).into());
            }
            changed(changes, saga_id, pause).await;
            pause = (pause * 2).min(LOOK_MAX);
            // It may have come to this process meanwhile.
            fate = self.drivers.running(saga_id).map(|running| running.fate());
        }
    }
}

/// Returns when the saga has changed, or after the pause.
pub(super) async fn changed(changes: &mut broadcast::Receiver<SagaId>, saga_id: SagaId, pause: Duration) {
    let hears = async {
        loop {
            match changes.recv().await {
                Ok(heard) if heard != saga_id => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    };
    // Silence is an answer too.
    let _ = tokio::time::timeout(pause, hears).await;
}

fn still_running(saga_id: SagaId, parked: Option<Reason>) -> Refusal {
    let message = "the command was accepted and has not ended yet; ask again with the same request id";
    let refusal = Refusal::new(Reason::StillRunning, message).with("saga_id", saga_id.to_string());
    match parked {
        Some(reason) => refusal.with("parked", reason.as_str()),
        None => refusal,
    }
}

impl Settled {
    /// Itself if it completed; else why it was rolled back, with the ids of what the caller may look up.
    pub(super) fn completed(self, metadata: &[(&str, String)]) -> ApiResult<Self> {
        let (reason, step) = match &self.outcome {
            Outcome::Completed => return Ok(self),
            Outcome::RolledBack { reason, step } => (*reason, step),
        };
        let mut refusal = Refusal::new(reason, reason.meaning())
            .with("saga_id", self.saga_id.to_string())
            .with("replayed", self.replayed.to_string());
        if let Some(step) = step {
            refusal = refusal.with("step", step.to_string());
        }
        for (key, value) in metadata {
            refusal = refusal.with(*key, value.clone());
        }
        Err(refusal.into())
    }
}
