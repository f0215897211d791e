//! Delivers steps again that have run: what a driver does that adopts a saga, and what a lost answer leads to.
//!
//! The generator plays a second orchestrator. It uses the orchestrator's own couriers, so that the repeated steps
//! travel as those of a driver would: together when several wait, beside the new steps of the real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use brokerage_proto::trading::v1::CreateOrderRequest;
use brokerage_types::{
    Actor, AssetCode, ClientOrderId, CustomerId, OrderId, Price, Quantity, SagaId, Side, Symbol,
};
use brokerctl::dev::{Mesh, MeshService};
use chrono::{DateTime, TimeDelta, Utc};
use saga_orchestrator::engine::pace::Pace;
use saga_orchestrator::engine::reply::{Direction, Participants, Reply, Request};
use saga_orchestrator::participants::{Grpc, encode};
use saga_orchestrator::sagas::{Input, create_order};
use saga_orchestrator::store::Intent;
use service_kit::run::Kit;
use service_kit::settings::Settings;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::preload::MONEY;

/// As the development mesh calls the holder of its administrator's token.
const ADMIN: &str = "admin";
const EPOCH: u64 = 1;

/// Delivers some steps once more.
pub struct Redelivery {
    participants: Grpc,
    of_hundred: u8,
    repeated: AtomicU64,
    underway: AtomicU64,
    wrong: AtomicU64,
    idle: Notify,
}

impl Redelivery {
    /// So many of a hundred steps.
    ///
    /// # Errors
    /// When a participant's address makes no sense.
    pub fn new(mesh: &Mesh, of_hundred: u8) -> Result<Arc<Self>> {
        let mut settings = Settings::dev();
        settings.auth.service_name = MeshService::Orchestrator.name().to_owned();
        settings.peers.order = mesh.internal_uri(MeshService::Order);
        settings.peers.asset = mesh.internal_uri(MeshService::Asset);
        let kit = Kit::new(settings).context("prepare a second orchestrator")?;
        let participants =
            Grpc::connect(&kit, &Pace::scaled(1.0)).context("prepare a second orchestrator")?;
        let (repeated, underway, wrong) = Default::default();
        Ok(Arc::new(Self { participants, of_hundred, repeated, underway, wrong, idle: Notify::new() }))
    }

    /// Draws for each step of a finished create saga whether it is delivered again; does not wait.
    pub fn perhaps(self: &Arc<Self>, request: &CreateOrderRequest, saga_id: &str) {
        let drawn: Vec<usize> = (0..3).filter(|_| fastrand::u8(..100) < self.of_hundred).collect();
        if drawn.is_empty() {
            return;
        }
        self.underway.fetch_add(1, Ordering::Relaxed);
        let (redelivery, request, saga_id) = (Arc::clone(self), request.clone(), saga_id.to_owned());
        tokio::spawn(async move {
            for step in drawn {
                redelivery.repeated.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = redelivery.again(&request, &saga_id, step).await {
                    eprintln!("    a repeated step: {error:#}");
                    redelivery.wrong.fetch_add(1, Ordering::Relaxed);
                }
            }
            if redelivery.underway.fetch_sub(1, Ordering::Relaxed) == 1 {
                redelivery.idle.notify_waiters();
            }
        });
    }

    /// Waits for what is under way; how many steps were repeated, and how many of them answered other than before.
    pub async fn finish(&self) -> (u64, u64) {
        loop {
            let becomes_idle = self.idle.notified();
            if self.underway.load(Ordering::Relaxed) == 0 {
                return (self.repeated.load(Ordering::Relaxed), self.wrong.load(Ordering::Relaxed));
            }
            becomes_idle.await;
        }
    }

    async fn again(&self, request: &CreateOrderRequest, saga_id: &str, step: usize) -> Result<()> {
        let input = Input::CreateOrder(input(request, saga_id)?);
        let script = input.script();
        let saga_id = SagaId::parse(saga_id)?;
        let intent = if step < 2 { intent(request, saga_id, &input)? } else { Vec::new() };
        let command = script.commands.get(step).context("a create saga has three steps")?;
        let request = Request {
            saga_id,
            step,
            direction: Direction::Do,
            command,
            epoch: EPOCH,
            not_after: soon(),
            attempt: 2,
            intent: &intent,
        };
        match self.participants.send(&request).await.reply {
            Reply::Done => Ok(()),
            other => bail!(
                "step {step} of {saga_id} was done and now is {}: {}",
                other.word(),
                other.explanation()
            ),
        }
    }
}

fn soon() -> DateTime<Utc> {
    Utc::now() + TimeDelta::seconds(5)
}

/// What the orchestrator made of this request.
fn input(request: &CreateOrderRequest, saga_id: &str) -> Result<create_order::Input> {
    Ok(create_order::Input {
        order_id: OrderId::parse(saga_id)?,
        customer_id: CustomerId::parse(&request.customer_id)?,
        client_order_id: ClientOrderId::parse(saga_id)?,
        instrument: Symbol::parse(&request.instrument)?,
        base_asset: AssetCode::parse(&request.instrument)?,
        quote_asset: AssetCode::parse(MONEY)?,
        side: Side::Buy,
        limit_price: Price::parse(&request.limit_price)?,
        quantity: Quantity::parse(&request.quantity)?,
        created_by: Actor::parse(ADMIN)?,
    })
}

/// As long as the real one. A step that is known is answered without looking at it.
fn intent(request: &CreateOrderRequest, saga_id: SagaId, input: &Input) -> Result<Vec<u8>> {
    Ok(encode(&Intent {
        saga_id,
        kind: input.kind().as_str(),
        version: 1,
        caller: ADMIN.to_owned(),
        request_id: Uuid::parse_str(&request.request_id)?,
        request_hash: [7; 32],
        input: serde_json::to_string(input)?,
        orders: [None, None],
        conflict_key: None,
        owner: Uuid::nil(),
        trace: None,
    }))
}
