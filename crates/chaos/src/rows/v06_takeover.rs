//! V6, its bars: how soon the sagas of a killed orchestrator are adopted and end, and services are back after their
//! database.
//!
//! The holds of many orders wait for asset-svc, which is frozen; so all their sagas are halfway when their
//! orchestrator is killed, for good. Then asset-svc is thawed, and the other orchestrator has to end them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use brokerage_proto::asset::v1::ListAssetsRequest;
use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::ListOrdersRequest;
use brokerage_proto::saga::v1::ListSagasRequest;
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, MeshService};
use futures::future::try_join_all;

use crate::findings::Findings;
use crate::load::{Command, Entry, History, ask};
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

/// Of the protocol, unscaled.
const LEASE: Duration = Duration::from_secs(5);
/// What a killed orchestrator was driving ends within this and a lease.
const END_MAX: Duration = Duration::from_secs(5);
/// A service is ready so soon after its database.
const READY_MAX: Duration = Duration::from_secs(2);
/// Enough for every saga's client to wait at the same time.
const CALLS_MAX: &str = "4096";
/// A service accepts a bounded number of calls on one connection.
const CALLS_PER_CONNECTION: usize = 200;
const CUSTOMER: &str = "somebody-busy";

/// Measures, and adds what it has found.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage, findings: &mut Findings) -> Result<()> {
    let calls = |service: &MeshService| (*service, "LIMITS__CONCURRENCY", CALLS_MAX.to_owned());
    let settings = MeshService::ALL.iter().map(calls).collect();
    let mut world = stage.world(Plan { durable: true, settings, ..Plan::default() }).await?;
    world.customer(CUSTOMER, &[("TRY", "100000000")]).await?;
    let history = takeover(&world, stage.count("in-flight sagas")?, findings).await?;
    ready_after_database(&mut world, findings).await?;
    world.prove(&[history], findings).await?;
    world.stop().await
}

async fn takeover(world: &World, count: usize, findings: &mut Findings) -> Result<History> {
    let mut sagas = world.connect(MeshService::Orchestrator).await?;
    let doomed = world.mesh.addresses(MeshService::Orchestrator)[0].public;
    let apis = (0..=count / CALLS_PER_CONNECTION)
        .map(|_| Api::new(&format!("http://{doomed}"), ADMIN_TOKEN))
        .collect::<Result<Vec<Api>>>()?;
    // So that it knows the customer and the instrument when asset-svc can no longer be asked.
    let known = Command::create(CUSTOMER, Side::Buy, 1);
    ask(&apis[0], &known).await.context("place one order in peace")?;
    for index in 0..world.plan.replicas {
        world.mesh.pause(MeshService::Asset, index)?;
    }
    let commands: Vec<Command> = (0..count).map(|_| Command::create(CUSTOMER, Side::Buy, 1)).collect();
    for (at, command) in commands.iter().cloned().enumerate() {
        let api = apis[at / CALLS_PER_CONNECTION].clone();
        // Nobody hears these answers: their orchestrator dies.
        tokio::spawn(async move { drop(ask(&api, &command).await) });
    }
    let wanted = i64::try_from(count)?;
    until("every saga is under way", async || {
        Ok((world.active_sagas(&mut sagas).await? >= wanted).then_some(()))
    })
    .await?;
    world.mesh.take_down(MeshService::Orchestrator, 0)?;
    let killed = Instant::now();
    findings.fault();
    for index in 0..world.plan.replicas {
        world.mesh.resume(MeshService::Asset, index)?;
    }
    until("a saga is adopted", async || {
        let query = "SELECT count(*) FROM sagas WHERE epoch > 1";
        let adopted: i64 = sqlx::query_scalar(query).fetch_one(&mut sagas).await?;
        Ok((adopted > 0).then_some(()))
    })
    .await?;
    let adopted = killed.elapsed();
    until("every saga ends", async || Ok((world.active_sagas(&mut sagas).await? == 0).then_some(()))).await?;
    let ended = killed.elapsed();
    let seen = format!("{:.1} s", adopted.as_secs_f64());
    findings.bar("first saga adopted within 2 × lease", adopted <= 2 * LEASE, seen);
    let seen = format!("{:.1} s for {count} sagas", ended.as_secs_f64());
    findings.bar(
        "in-flight sagas of a killed orchestrator end within 5 s + lease",
        ended <= END_MAX + LEASE,
        seen,
    );
    world.mesh.restart(MeshService::Orchestrator, 0).await?;
    remembered(world, commands).await
}

/// What the clients are told when they ask again.
async fn remembered(world: &World, commands: Vec<Command>) -> Result<History> {
    let api = world.api()?;
    let entries = commands.into_iter().map(async |command| {
        let (verdict, _) =
            until("a command is answered", async || Ok(ask(&api, &command).await.ok())).await?;
        let (unknown, took) = (1, Duration::ZERO);
        anyhow::Ok(Entry { command, verdict: Some(verdict), unknown, took })
    });
    let entries = try_join_all(entries).await?;
    Ok(History { client: CUSTOMER.to_owned(), entries, ..History::default() })
}

/// Kills the database at once and starts it again; every process must answer reads soon after.
async fn ready_after_database(world: &mut World, findings: &mut Findings) -> Result<()> {
    let cluster = world.mesh.postgres().context("the mesh has a cluster of its own")?;
    tokio::task::block_in_place(|| {
        cluster.kill_immediately()?;
        cluster.restart()
    })?;
    let up = Instant::now();
    findings.fault();
    for service in MeshService::ALL {
        for process in world.mesh.addresses(*service) {
            let api = Api::with_deadline(&format!("http://{}", process.public), ADMIN_TOKEN, READY_MAX)?;
            until("a service answers", async || Ok(answers(&api, *service).await.then_some(()))).await?;
        }
    }
    let ready = up.elapsed();
    findings.healed(ready);
    let seen = format!("{} ms", ready.as_millis());
    findings.bar("every process answers within 2 s after its database", ready <= READY_MAX, seen);
    Ok(())
}

async fn answers(api: &Api, service: MeshService) -> bool {
    match service {
        MeshService::Order => api.orders.clone().list_orders(ListOrdersRequest::default()).await.is_ok(),
        MeshService::Asset => {
            let request =
                ListAssetsRequest { customer_id: CUSTOMER.to_owned(), ..ListAssetsRequest::default() };
            api.assets.clone().list_assets(request).await.is_ok()
        }
        MeshService::Orchestrator => api.sagas.clone().list_sagas(ListSagasRequest::default()).await.is_ok(),
    }
}
