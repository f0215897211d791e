//! The load: clients in a closed loop, each sending its next command when the last one is answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use brokerctl::api::{Api, Authorised};
use brokerctl::dev::{ADMIN_TOKEN, Mesh, MeshService};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tonic::Status;
use uuid::Uuid;

use crate::cpu::Meter;
use crate::preload::{INSTRUMENT, PRICE, customer};
use crate::sample::{Sample, histogram};

/// Not measured: connections open, caches fill.
const WARM_UP: Duration = Duration::from_millis(700);
/// More clients than this share connections, as they would behind a gateway.
const CONNECTIONS_MAX: usize = 8;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Each order for a customer drawn at random.
    Create,
    /// Every order for the same customer.
    Hot,
    /// Two orders that match, and one that is canceled: five sagas a turn.
    Mixed,
}

/// Runs so many clients for `time` and says what they saw, CPU included.
///
/// The load is made so that no command should be refused; those that are count as errors.
///
/// # Errors
/// When the mesh cannot be reached at all.
pub async fn measure(
    mesh: &mut Mesh,
    workload: Workload,
    clients: usize,
    customers: u32,
    time: Duration,
) -> Result<Sample> {
    let address = mesh.addresses(MeshService::Orchestrator);
    let uri = format!("http://{}", address.first().context("the orchestrator has no address")?.public);
    let connections: Vec<_> = (0..clients.min(CONNECTIONS_MAX))
        .map(|_| Api::new(&uri, ADMIN_TOKEN).map(|api| api.trading))
        .collect::<Result<_>>()?;
    let begin = Instant::now() + WARM_UP;
    let window = Window { begin, end: begin + time };
    let loops = (0..clients).map(|index| {
        let trading = connections[index % connections.len()].clone();
        tokio::spawn(Client { trading, workload, customers, window }.run())
    });
    let loops: Vec<_> = loops.collect();
    tokio::time::sleep(WARM_UP).await;
    let before = Meter::read(mesh)?;
    tokio::time::sleep(time).await;
    let after = Meter::read(mesh)?;
    let mut latencies = histogram()?;
    let mut errors = 0;
    for seen in try_join_all(loops).await.context("join the clients")? {
        let seen = seen?;
        latencies.add(seen.latencies).context("add up the latencies")?;
        if let (0, Some(first)) = (errors, &seen.first_error) {
            eprintln!("    refused: {}: {}", first.code(), first.message());
        }
        errors += seen.errors;
    }
    let mut sample = Sample::of(&latencies, time);
    sample.errors = errors;
    sample.cpu_us = after.since(&before, sample.rate * time.as_secs_f64());
    Ok(sample)
}

/// When answers count.
#[derive(Clone, Copy, Debug)]
struct Window {
    begin: Instant,
    end: Instant,
}

/// What one client has seen.
struct Seen {
    latencies: Histogram<u64>,
    errors: u64,
    first_error: Option<Status>,
}

/// One client.
struct Client {
    trading: TradingServiceClient<Authorised>,
    workload: Workload,
    customers: u32,
    window: Window,
}

impl Client {
    async fn run(mut self) -> Result<Seen> {
        let mut seen = Seen { latencies: histogram()?, errors: 0, first_error: None };
        while Instant::now() < self.window.end {
            if let Err(status) = self.turn(&mut seen).await {
                seen.errors += 1;
                seen.first_error.get_or_insert(status);
                // A mesh that refuses at once must not turn this loop into a busy one.
                tokio::task::yield_now().await;
            }
        }
        Ok(seen)
    }

    async fn turn(&mut self, seen: &mut Seen) -> Result<(), Status> {
        match self.workload {
            Workload::Create => {
                let who = fastrand::u32(..self.customers);
                self.create(who, Side::Buy, seen).await.map(drop)
            }
            Workload::Hot => self.create(0, Side::Buy, seen).await.map(drop),
            Workload::Mixed => self.mixed_turn(seen).await,
        }
    }

    async fn mixed_turn(&mut self, seen: &mut Seen) -> Result<(), Status> {
        let buyer = fastrand::u32(..self.customers);
        let seller = (buyer + 1 + fastrand::u32(..self.customers - 1)) % self.customers;
        let buy_order_id = self.create(buyer, Side::Buy, seen).await?;
        let sell_order_id = self.create(seller, Side::Sell, seen).await?;
        let request_id = Uuid::new_v4().to_string();
        let request =
            MatchOrdersRequest { request_id, buy_order_id, sell_order_id, ..MatchOrdersRequest::default() };
        let sent = Instant::now();
        self.trading.match_orders(request).await?;
        self.record(sent, seen);
        let order_id = self.create(buyer, Side::Buy, seen).await?;
        let request_id = Uuid::new_v4().to_string();
        let request = CancelOrderRequest { request_id, order_id, ..CancelOrderRequest::default() };
        let sent = Instant::now();
        self.trading.cancel_order(request).await?;
        self.record(sent, seen);
        Ok(())
    }

    async fn create(&mut self, who: u32, side: Side, seen: &mut Seen) -> Result<String, Status> {
        let sent = Instant::now();
        let answer = self.trading.create_order(order(who, side)).await?;
        self.record(sent, seen);
        Ok(answer.into_inner().order_id)
    }

    fn record(&self, sent: Instant, seen: &mut Seen) {
        let now = Instant::now();
        if now >= self.window.begin && now < self.window.end {
            let latency = u64::try_from(now.duration_since(sent).as_micros()).unwrap_or(u64::MAX);
            seen.latencies.saturating_record(latency.max(1));
        }
    }
}

/// A new order for one unit.
pub fn order(who: u32, side: Side) -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        customer_id: customer(who),
        instrument: INSTRUMENT.to_owned(),
        side: side.into(),
        limit_price: PRICE.to_owned(),
        quantity: "1".to_owned(),
        ..CreateOrderRequest::default()
    }
}
