//! The load: clients in a closed loop, each sending its next command when the last one is answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use brokerctl::api::{Api, Authorised};
use brokerctl::dev::{ADMIN_TOKEN, Mesh, MeshService};
use futures::future::try_join_all;

use crate::client::{Client, Seen, Window, Workload};
use crate::cpu::Meter;
use crate::redelivery::Redelivery;
use crate::sample::{Sample, histogram};

/// Not measured: connections open, caches fill.
pub const WARM_UP: Duration = Duration::from_millis(700);
/// More clients than this share connections, as they would behind a gateway.
const CONNECTIONS_MAX: usize = 8;

/// Connections to the orchestrator, as an administrator.
///
/// # Errors
/// When it has no address.
pub fn connections(mesh: &Mesh, count: usize) -> Result<Vec<TradingServiceClient<Authorised>>> {
    let address = mesh.addresses(MeshService::Orchestrator);
    let uri = format!("http://{}", address.first().context("the orchestrator has no address")?.public);
    (0..count).map(|_| Api::new(&uri, ADMIN_TOKEN).map(|api| api.trading)).collect()
}

/// Runs so many clients for `time` and says what they saw, CPU included.
///
/// The load is made so that every command should be answered in one way; those that are not count as errors.
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
    let connections = connections(mesh, clients.min(CONNECTIONS_MAX))?;
    let redelivery = match workload {
        Workload::Redelivered(of_hundred) => Some(Redelivery::new(mesh, of_hundred)?),
        Workload::Create
        | Workload::Hot
        | Workload::Mixed
        | Workload::Unaffordable
        | Workload::TakenLabel => None,
    };
    let begin = Instant::now() + WARM_UP;
    let window = Window { begin, end: begin + time };
    let loops = (0..clients).map(|index| {
        let trading = connections[index % connections.len()].clone();
        tokio::spawn(Client { trading, workload, customers, window, redelivery: redelivery.clone() }.run())
    });
    let loops: Vec<_> = loops.collect();
    tokio::time::sleep(WARM_UP).await;
    let before = Meter::read(mesh)?;
    tokio::time::sleep(time).await;
    let after = Meter::read(mesh)?;
    let mut sample = together(try_join_all(loops).await.context("join the clients")?, time)?;
    sample.cpu_us = after.since(&before, sample.rate * time.as_secs_f64());
    if let Some(redelivery) = redelivery {
        let (repeated, wrong) = redelivery.finish().await;
        eprintln!("    {repeated} steps were delivered again");
        sample.errors += wrong;
    }
    Ok(sample)
}

/// What all of them have seen.
fn together(all: Vec<Result<Seen>>, time: Duration) -> Result<Sample> {
    let mut latencies = histogram()?;
    let mut errors = 0;
    for seen in all {
        let seen = seen?;
        latencies.add(seen.latencies).context("add up the latencies")?;
        if let (0, Some(first)) = (errors, &seen.first_error) {
            eprintln!("    refused: {}: {}", first.code(), first.message());
        }
        errors += seen.errors;
    }
    let mut sample = Sample::of(&latencies, time);
    sample.errors = errors;
    Ok(sample)
}
