//! The desk: takes a checked command, makes its intent durable, and sees to it that it is driven.

use std::sync::Arc;

use brokerage_types::{Reason, SagaId};
use serde::Serialize;
use service_kit::fault::{ApiResult, Fault, Refusal};
use service_kit::run::Kit;
use service_kit::telemetry::{self, Scope};
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::engine::drive::Outcome;
use crate::participants::{self, Terms};
use crate::sagas::{self, Input, Kind};
use crate::shell::{Assigned, Changes, Drivers, Fate, FrontDoor, Origin, Platoons};
use crate::store::{Accepted, Intent, Known, Store};

/// A new saga's first epoch, as its row has it.
const FIRST_EPOCH: u64 = 1;

/// What every handler works with. Clones share it.
#[derive(Clone)]
pub struct Desk {
    /// Drives sagas.
    pub drivers: Arc<Drivers>,
    /// Keeps them.
    pub store: Store,
    /// Reads what their inputs are made from.
    pub terms: Arc<Terms>,
    /// Lets new orders begin together.
    pub platoons: Platoons,
    /// Keeps commands on one order apart, if it can.
    pub door: FrontDoor,
    /// Tells who waits.
    pub changes: Changes,
    /// Tasks and shutdown.
    pub kit: Kit,
}

/// Who asks for what, under which request id: the key of idempotency.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub caller: String,
    pub kind: Kind,
    pub request_id: Uuid,
    pub request_hash: [u8; 32],
}

/// How a command was settled.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub saga_id: SagaId,
    /// The input of the saga that settled it, which may be another request's.
    pub input: Input,
    pub outcome: Outcome,
    /// Whether this request had been accepted before.
    pub replayed: bool,
}

enum Ticket {
    New(watch::Receiver<Fate>),
    Known(Known),
}

impl Ask {
    /// The payload is what the caller means, in canonical form: equal payloads have equal hashes.
    pub fn new(caller: &str, kind: Kind, request_id: Uuid, payload: &impl Serialize) -> ApiResult<Self> {
        let text = serde_json::to_vec(payload).map_err(|error| Fault::internal("hash a request", error))?;
        let request_hash = Sha256::digest(&text).into();
        Ok(Self { caller: caller.to_owned(), kind, request_id, request_hash })
    }
}

impl Desk {
    /// Refuses what is too much, before anything is read or written for it.
    pub(super) fn has_room(&self) -> ApiResult<()> {
        if self.drivers.admits_new() && !self.store.is_busy() {
            return Ok(());
        }
        Err(Refusal::new(Reason::Overloaded, "too many sagas are under way, try later").into())
    }

    /// Makes the intent durable, has it driven, and waits for its fate. Dropping the future changes nothing.
    pub(super) async fn settle(&self, ask: Ask, saga_id: SagaId, input: Input) -> ApiResult<Settled> {
        let intent = self.intent(&ask, saga_id, &input)?;
        match self.accept(intent, saga_id, input.clone()).await? {
            Ticket::New(fate) => {
                let outcome = self.outcome(saga_id, Some(fate)).await?;
                Ok(Settled { saga_id, input, outcome, replayed: false })
            }
            Ticket::Known(known) => Box::pin(self.settle_known(&ask, known)).await,
        }
    }

    /// The first answer again, if this request was accepted before.
    pub(super) async fn replay(&self, ask: &Ask) -> ApiResult<Option<Settled>> {
        let found =
            self.store.known(&ask.caller, ask.kind.as_str(), ask.request_id, ask.request_hash).await?;
        match found {
            Some(known) => self.settle_known(ask, known).await.map(Some),
            None => Ok(None),
        }
    }

    async fn settle_known(&self, ask: &Ask, known: Known) -> ApiResult<Settled> {
        if !known.same_payload {
            let message = "this request id came with another payload before; nothing was done";
            return Err(Refusal::new(Reason::RequestIdReused, message)
                .with("request_id", ask.request_id.to_string())
                .with("saga_id", known.saga_id.to_string())
                .into());
        }
        let fate = self.drivers.running(known.saga_id).map(|running| running.fate());
        let outcome = self.outcome(known.saga_id, fate).await?;
        let row = self.store.saga(known.saga_id).await?;
        let row = row.ok_or_else(|| Fault::internal("read a known saga", "its row is missing"))?;
        let input = sagas::read(&row.kind, row.version, &row.input)
            .map_err(|unreadable| Fault::internal("read a known saga", unreadable))?;
        Ok(Settled { saga_id: known.saga_id, input, outcome, replayed: known.replayed })
    }

    fn intent(&self, ask: &Ask, saga_id: SagaId, input: &Input) -> ApiResult<Intent> {
        let text = serde_json::to_string(input).map_err(|error| Fault::internal("write an intent", error))?;
        Ok(Intent {
            saga_id,
            kind: ask.kind.as_str(),
            version: i16::try_from(ask.kind.version()).unwrap_or(i16::MAX),
            caller: ask.caller.clone(),
            request_id: ask.request_id,
            request_hash: ask.request_hash,
            input: text,
            orders: input.orders().map(|order| order.map(Into::into)),
            conflict_key: input.conflict_key(),
            owner: self.drivers.me,
            trace: Scope::current()
                .and_then(|scope| scope.is_recorded().then(|| scope.traceparent().child())),
        })
    }

    /// Accepts and drives in one task that nobody can drop: an accepted saga always has a driver.
    async fn accept(&self, intent: Intent, saga_id: SagaId, input: Input) -> ApiResult<Ticket> {
        let (tell, told) = oneshot::channel::<Result<Ticket, Fault>>();
        let (store, drivers) = (self.store.clone(), Arc::clone(&self.drivers));
        let stop = self.kit.shutdown.clone();
        // Cancels and matches take other steps than creates, and may be long: they neither wait nor are waited for.
        let platoons = matches!(input, Input::CreateOrder(_)).then(|| self.platoons.clone());
        let (known, origin) = (participants::encode(&intent), Origin::Accepted(intent.trace));
        let work = async move {
            let seat = match platoons {
                // A process that ends has no time to wait.
                Some(platoons) => stop.run_until_cancelled(platoons.board()).await,
                None => None,
            };
            match store.accept(intent).await {
                Ok(Accepted::New) => {
                    let (running, is_new) = drivers.register(saga_id);
                    // Nobody may be waiting any more; the saga runs all the same.
                    let _ = tell.send(Ok(Ticket::New(running.fate())));
                    if is_new {
                        let (epoch, giving_up, paused) = (FIRST_EPOCH, None, false);
                        let intent = known;
                        let assigned =
                            Assigned { saga_id, input, epoch, giving_up, paused, intent, origin, seat };
                        drivers.drive(assigned, running).await;
                    }
                }
                Ok(Accepted::Known(known)) => drop(tell.send(Ok(Ticket::Known(known)))),
                Err(fault) => drop(tell.send(Err(fault))),
            }
        };
        self.kit.tasks.spawn(telemetry::within(Scope::current(), work));
        let ticket = told.await.map_err(|_| Fault::unavailable("accept a saga: the process is ending"))?;
        Ok(ticket?)
    }
}
