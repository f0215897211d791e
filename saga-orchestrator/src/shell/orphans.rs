//! Anti-entropy: adopts sagas that a participant remembers and this database does not.
//!
//! It happens only if the database has lost what it had acknowledged (a failover to an asynchronous standby, a
//! restore), so the number of adoptions is 0 in normal runs. One process looks, the eldest that beats; two that look
//! are harmless.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerage_types::Reason;
use service_kit::fault::Fault;
use service_kit::run::Kit;

use super::{Assigned, Drivers, Meters, Origin};
use crate::participants::{Inboxes, Remembered};
use crate::sagas::command::Participant;
use crate::sagas::{self, Input, Kind};
use crate::store::{Accepted, Intent, Store};

/// A process that has just started looks back so many rounds.
const ROUNDS_BACK: u32 = 60;
/// Between two pages it rests for so many times as long as a page took.
const REST: u32 = 3;
/// The first epoch of a row; a participant that has seen a higher one says so.
const FIRST_EPOCH: u64 = 1;

/// Runs until the service ends.
pub async fn adopt_orphans(
    kit: Kit,
    drivers: Arc<Drivers>,
    (store, inboxes): (Store, Inboxes),
    meters: Meters,
) {
    let pause = drivers.engine().pace.anti_entropy;
    let search = Search { kit, drivers, store, inboxes, meters, pause };
    let mut cursors = Participant::ALL.map(|participant| (participant, String::new()));
    loop {
        tokio::select! {
            () = search.kit.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        for (participant, cursor) in &mut cursors {
            if let Err(fault) = search.look(*participant, cursor).await {
                tracing::warn!("anti-entropy will look again: {}", fault.chain());
            }
        }
    }
}

struct Search {
    kit: Kit,
    drivers: Arc<Drivers>,
    store: Store,
    inboxes: Inboxes,
    meters: Meters,
    pause: Duration,
}

impl Search {
    /// Looks at what one participant has done since the last look.
    async fn look(&self, participant: Participant, cursor: &mut String) -> Result<(), Fault> {
        if !self.store.is_eldest(self.drivers.me, self.drivers.engine().pace.lease).await? {
            return Ok(());
        }
        loop {
            let begins = Instant::now();
            let span = (self.pause, self.pause * ROUNDS_BACK);
            let begun = self.inboxes.begun(participant, span, cursor).await?;
            let unknown = self.store.unknown(begun.saga_ids).await?;
            if !unknown.is_empty() {
                for remembered in self.inboxes.remembered(participant, &unknown).await? {
                    self.adopt(participant, remembered).await?;
                }
            }
            // Only now: what was not adopted because of a fault is looked at again.
            *cursor = begun.cursor;
            if !begun.has_more {
                return Ok(());
            }
            // Everything since the last look, as fast as it can be read, would be a burst that orders wait for.
            tokio::select! {
                () = self.kit.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(begins.elapsed() * REST) => {}
            }
        }
    }

    async fn adopt(&self, participant: Participant, remembered: Remembered) -> Result<(), Fault> {
        let (saga_id, peer) = (remembered.saga_id, participant.as_str());
        let input = Kind::parse(&remembered.kind).and_then(|kind| {
            let value = serde_json::from_str(&remembered.input).ok()?;
            Some((kind, sagas::read(&remembered.kind, remembered.version, &value).ok()?))
        });
        let Some((kind, input)) = input else {
            tracing::error!(%saga_id, peer, "lost saga {saga_id} of {peer} cannot be read by this version");
            return Ok(());
        };
        let intent = self.intent(kind, &input, &remembered);
        let giving_up = match self.store.accept(intent.clone()).await? {
            Accepted::New => None,
            // The client has asked again meanwhile, and another saga answers: this one must leave nothing.
            Accepted::Known(_) => {
                let alone = Intent { request_id: saga_id.uuid(), conflict_key: None, ..intent };
                self.store.accept(alone).await?;
                Some(Reason::GaveUp)
            }
        };
        self.meters.orphans.with_label_values(&[kind.as_str()]).inc();
        tracing::warn!(%saga_id, peer, "saga {saga_id} was lost here and is adopted from the inbox of {peer}");
        let (epoch, paused) = (FIRST_EPOCH, false);
        let known = crate::participants::encode(&self.intent(kind, &input, &remembered));
        let origin = Origin::Adopted(remembered.trace);
        self.drivers.start(Assigned {
            saga_id,
            input,
            epoch,
            giving_up,
            paused,
            intent: known,
            origin,
            seat: None,
        });
        Ok(())
    }

    fn intent(&self, kind: Kind, input: &Input, remembered: &Remembered) -> Intent {
        Intent {
            saga_id: remembered.saga_id,
            kind: kind.as_str(),
            version: remembered.version,
            caller: remembered.caller.clone(),
            request_id: remembered.request_id,
            request_hash: remembered.request_hash,
            input: remembered.input.clone(),
            orders: input.orders().map(|order| order.map(Into::into)),
            conflict_key: input.conflict_key(),
            owner: self.drivers.me,
            trace: remembered.trace,
        }
    }
}
