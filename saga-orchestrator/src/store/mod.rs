//! What the orchestrator keeps: intents, terminal marks, the step log and heartbeats; and how it reads them.
//!
//! Every write goes through a lane. Not here: what a saga does next (`engine/`); losing everything but the intents
//! costs replays, never correctness.

mod intents;
mod operate;
mod reads;
mod seal;
mod trail;
mod unended;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use brokerage_types::SagaId;
use futures::FutureExt;
use service_kit::database::Reads;
use service_kit::fault::{Fault, FaultContext};
use service_kit::lane::Lane;
use service_kit::run::Kit;
use uuid::Uuid;

pub use intents::{Accepted, Intent, Known};
pub use operate::{Action, ActionFilter, Operated, Operation, Verb};
pub use reads::{Cursor, Filter, SagaRow};
pub use seal::OperatorTrail;
pub use trail::{Entry, Mark, TrailItem};
pub use unended::Unended;
pub use upkeep::Orphan;

use intents::Intents;
use trail::Trail;
use upkeep::{ADOPTIONS_MAX, Chore, Done, Upkeep};

/// The orchestrator's database.
#[derive(Clone)]
pub struct Store {
    intents: Lane<Intents>,
    trail: Lane<Trail>,
    upkeep: Lane<Upkeep>,
    reads: Reads,
}

/// How long an owner may be silent, and a saga quiet.
#[derive(Clone, Copy, Debug)]
pub struct Leases {
    /// Of an owner's heartbeat, and of a saga of ours that nobody here drives.
    pub lease: Duration,
    /// Of a parked saga that nobody drives.
    pub parked: Duration,
}

impl Store {
    /// Starts the lanes.
    #[must_use]
    pub fn start(kit: &Kit) -> Self {
        Self {
            intents: Lane::start(kit, "intents", Intents::default()),
            trail: Lane::start(kit, "trail", Trail),
            upkeep: Lane::start(kit, "upkeep", Upkeep),
            reads: kit.reads.clone(),
        }
    }

    /// Makes an intent durable, or says which saga has its request id (or its place) already.
    ///
    /// # Errors
    /// A fault means unknown: the saga may exist, and recovery drives it then.
    pub async fn accept(&self, intent: Intent) -> Result<Accepted, Fault> {
        self.intents.submit(intent).await.context("accept a saga")
    }

    /// Writes down what a driver noted, and its mark. Submitting it again is harmless.
    ///
    /// # Errors
    /// A fault means unknown.
    pub async fn write(&self, item: TrailItem) -> Result<(), Fault> {
        self.trail.submit(item).await.context("write a saga's trail")
    }

    /// Hands a trail item over without waiting, in order. It may be lost.
    pub fn jot(&self, item: TrailItem) {
        // The first poll queues the item; dropping the rest gives up the answer only.
        let _ = self.trail.submit(item).now_or_never();
    }

    /// Whether so many intents wait that a new one would come too late.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.intents.is_busy()
    }

    /// How many terminal marks and notes wait.
    #[must_use]
    pub fn trail_backlog(&self) -> usize {
        self.trail.backlog()
    }

    /// Renews an owner's heartbeat.
    ///
    /// # Errors
    /// The database.
    pub async fn beat(&self, owner: Uuid) -> Result<(), Fault> {
        self.upkeep.submit(Chore::Beat { owner }).await.context("beat").map(drop)
    }

    /// Ends an owner: its sagas are free for others at once.
    ///
    /// # Errors
    /// The database; then its lease runs out.
    pub async fn release(&self, owner: Uuid) -> Result<(), Fault> {
        self.upkeep.submit(Chore::Release { owner }).await.context("release the owner row").map(drop)
    }

    /// Takes over the sagas that need a driver, except those driven here; at most as many as there is room for.
    ///
    /// # Errors
    /// The database.
    pub async fn adopt(
        &self,
        owner: Uuid,
        driven: Arc<[Uuid]>,
        (leases, room): (Leases, usize),
    ) -> Result<Vec<Orphan>, Fault> {
        let room = i64::try_from(room.min(ADOPTIONS_MAX)).unwrap_or_default();
        match self.upkeep.submit(Chore::Adopt { owner, driven, leases, room }).await.context("adopt sagas")? {
            Done::Taken(orphans) => Ok(orphans),
            Done::Nothing | Done::Owned(_) | Done::Lost(_) | Done::Operated(_) | Done::Unknown(_) => {
                Ok(Vec::new())
            }
        }
    }

    /// Does what an operator wants, and writes it down; `None` if there is no such saga.
    ///
    /// # Errors
    /// The database.
    pub async fn operate(&self, operation: Operation) -> Result<Option<Operated>, Fault> {
        match self.upkeep.submit(Chore::Operate(operation)).await.context("operate on a saga")? {
            Done::Operated(operated) => Ok(operated),
            Done::Nothing | Done::Owned(_) | Done::Taken(_) | Done::Lost(_) | Done::Unknown(_) => Ok(None),
        }
    }

    /// Keeps a higher epoch. False if another owner has the saga now.
    ///
    /// # Errors
    /// The database.
    pub async fn raise_epoch(&self, owner: Uuid, saga_id: SagaId, epoch: u64) -> Result<bool, Fault> {
        let chore =
            Chore::Raise { owner, saga_id: saga_id.uuid(), epoch: i64::try_from(epoch).unwrap_or(i64::MAX) };
        match self.upkeep.submit(chore).await.context("raise an epoch")? {
            Done::Owned(ours) => Ok(ours),
            Done::Nothing | Done::Taken(_) | Done::Lost(_) | Done::Operated(_) | Done::Unknown(_) => Ok(true),
        }
    }

    /// Which of these sagas somebody else owns now, or has ended: their drivers here are superseded.
    ///
    /// # Errors
    /// The database.
    pub async fn lost(&self, owner: Uuid, driven: Vec<Uuid>) -> Result<Vec<SagaId>, Fault> {
        if driven.is_empty() {
            return Ok(Vec::new());
        }
        match self.upkeep.submit(Chore::Lost { owner, driven }).await.context("look for lost sagas")? {
            Done::Lost(lost) => Ok(lost),
            Done::Nothing | Done::Owned(_) | Done::Taken(_) | Done::Operated(_) | Done::Unknown(_) => {
                Ok(Vec::new())
            }
        }
    }

    /// Which of these sagas this database has never heard of.
    ///
    /// # Errors
    /// The database.
    pub async fn unknown(&self, saga_ids: Vec<Uuid>) -> Result<Vec<Uuid>, Fault> {
        if saga_ids.is_empty() {
            return Ok(Vec::new());
        }
        match self.upkeep.submit(Chore::Unknown { saga_ids }).await.context("look for unknown sagas")? {
            Done::Unknown(unknown) => Ok(unknown),
            Done::Nothing | Done::Owned(_) | Done::Taken(_) | Done::Lost(_) | Done::Operated(_) => {
                Ok(Vec::new())
            }
        }
    }
}
