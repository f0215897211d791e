//! How much memory the services take while 10,000 sagas are in flight, each with a client that waits for it.
//!
//! asset-svc is frozen, and 10,000 creates are sent: each saga has its intent and its draft, and waits for its hold. After
//! three seconds the sagas give up, and still cannot end before asset-svc answers. So all of them are in flight at once,
//! which a mesh that answers in milliseconds never lets happen by itself. Then asset-svc thaws, and all of them must end.
//! The bounds of calls and of driven sagas are raised for this; the defaults would turn most of these clients away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::CreateOrderRequest;
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use brokerctl::api::{Api, Authorised};
use brokerctl::dev::{ADMIN_TOKEN, Mesh, MeshService};
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::client::order;
use crate::cpu::resident_mb;

/// So many sagas in flight.
pub const SAGAS: i64 = 10_000;
/// Sent at a time; the next wave waits until these have their intents, for a flood would be turned away.
const WAVE: i64 = 500;
const CONNECTIONS: usize = 16;
/// As long as the services let a call take at most.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long they stay in flight once all are there.
const HOLD: Duration = Duration::from_secs(5);
/// A wave that is not accepted by then is a fault.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sagas that have not ended so long after asset-svc is back are one too: none pauses for more than 30 s.
const END_PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// Sagas in flight.
    pub in_flight: i64,
    /// Megabytes resident before, by service.
    pub before_mb: BTreeMap<String, f64>,
    /// Megabytes resident at most while they were in flight, by service.
    pub in_flight_mb: BTreeMap<String, f64>,
    /// How long it took until all of them had ended, in seconds, once asset-svc was back.
    pub ended_after_s: f64,
}

impl Memory {
    /// All services together.
    pub fn total_mb(&self) -> f64 {
        self.in_flight_mb.values().sum()
    }
}

/// What the services need to be told, so that they take so many.
pub fn settings() -> Vec<(MeshService, &'static str, String)> {
    let calls = (SAGAS * 2).to_string();
    let mut settings: Vec<_> =
        MeshService::ALL.iter().map(|service| (*service, "LIMITS__CONCURRENCY", calls.clone())).collect();
    settings.push((MeshService::Orchestrator, "LIMITS__DRIVEN_SAGAS", (SAGAS * 3 / 2).to_string()));
    settings
}

/// Gets so many in flight, looks, and lets them end.
///
/// # Errors
/// When they cannot be got in flight, or do not end.
pub async fn measure(mesh: &Mesh, customers: u32) -> Result<Memory> {
    let before_mb = resident_mb(mesh)?;
    let mut database = PgConnection::connect(&mesh.database_urls().orchestrator).await?;
    let before = active(&mut database).await?;
    ensure!(before == 0, "{before} sagas are still under way");
    let uri = mesh.addresses(MeshService::Orchestrator);
    let uri = format!("http://{}", uri.first().context("the orchestrator has no address")?.public);
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| Api::with_deadline(&uri, ADMIN_TOKEN, DEADLINE).map(|api| api.trading))
        .collect::<Result<_>>()?;
    mesh.pause(MeshService::Asset, 0)?;
    let mut waiting = JoinSet::new();
    let mut sent = 0;
    while sent < SAGAS {
        for _ in 0..WAVE {
            let trading = connections[waiting.len() % connections.len()].clone();
            waiting.spawn(insist(trading, order(fastrand::u32(..customers), Side::Buy)));
        }
        sent += WAVE;
        let accepted = until(&mut database, PATIENCE, |active| active >= sent).await;
        if accepted.is_err() {
            while let Some(answer) = waiting.try_join_next() {
                if let Err(status) = answer? {
                    bail!("a client was told {}: {}", status.code(), status.message());
                }
            }
        }
        accepted.context("get the sagas in flight")?;
    }
    let mut in_flight_mb = BTreeMap::new();
    let held = Instant::now();
    while held.elapsed() < HOLD {
        for (service, megabytes) in resident_mb(mesh)? {
            let most = in_flight_mb.entry(service).or_insert(megabytes);
            *most = f64::max(*most, megabytes);
        }
        tokio::time::sleep(POLL).await;
    }
    let in_flight = active(&mut database).await?;
    ensure!(in_flight == SAGAS, "{in_flight} sagas are in flight, not {SAGAS}");
    mesh.resume(MeshService::Asset, 0)?;
    let back = Instant::now();
    // What the clients are told does not matter here: their sagas were given up, or went on. All must end.
    while waiting.join_next().await.is_some() {}
    until(&mut database, END_PATIENCE, |active| active == 0).await.context("let the sagas end")?;
    let ended_after_s = back.elapsed().as_secs_f64();
    database.close().await?;
    Ok(Memory { in_flight, before_mb, in_flight_mb, ended_after_s })
}

/// A client that is turned away asks again, under the same request id.
async fn insist(
    mut trading: TradingServiceClient<Authorised>,
    request: CreateOrderRequest,
) -> Result<(), Status> {
    let begun = Instant::now();
    loop {
        match trading.create_order(request.clone()).await {
            Err(status) if may_ask_again(status.code()) && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(POLL).await;
            }
            other => return other.map(drop),
        }
    }
}

fn may_ask_again(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::ResourceExhausted)
}

async fn until(
    database: &mut PgConnection,
    patience: Duration,
    is_reached: impl Fn(i64) -> bool,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let active = active(database).await?;
        if is_reached(active) {
            return Ok(());
        }
        ensure!(begun.elapsed() < patience, "there are {active} after {patience:?}");
        tokio::time::sleep(POLL).await;
    }
}

async fn active(database: &mut PgConnection) -> Result<i64> {
    let count = sqlx::query_scalar("SELECT count(*) FROM sagas WHERE ended_at IS NULL");
    count.fetch_one(database).await.context("count the sagas in flight")
}
