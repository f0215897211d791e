//! V9: two orchestrators; one is frozen for 1, 3 or 10 leases and goes on where it was, or never comes back.
//!
//! While it is frozen the other adopts its sagas, so for a while after the thaw both drive them. The inboxes must let
//! each effect happen once.

use std::time::Duration;

use anyhow::Result;
use brokerctl::dev::MeshService;
use sqlx::PgConnection;

use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan};
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

/// A lease of 500 ms.
const TIME_SCALE: f64 = 0.1;
const LEASE: Duration = Duration::from_millis(500);
/// How many leases a pause takes, in turn.
const PAUSES: [u32; 3] = [1, 3, 10];
const CLIENTS: usize = 8;
/// Clients leave a frozen process alone after this.
const CALL_MAX: Duration = Duration::from_millis(500);
const SERVICE: MeshService = MeshService::Orchestrator;

/// Pauses and takes away orchestrators.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan { time_scale: TIME_SCALE, ..Plan::default() }).await?;
    let plan = CrowdPlan { clients: CLIENTS, seed: rng.u64(..), deadline: CALL_MAX, ..CrowdPlan::default() };
    let crowd = Crowd::start(&world, plan).await?;
    let mut sagas = world.connect(SERVICE).await?;
    let mut caught = 0;
    for leases in PAUSES.into_iter().cycle().take(stage.count("pauses")?) {
        let index = rng.usize(..world.plan.replicas);
        crowd.until_more(rng.usize(1..10)).await?;
        caught += freeze(&world, &mut sagas, index).await?;
        // The fault lasts: that is what it is.
        tokio::time::sleep(LEASE * leases).await;
        world.mesh.resume(SERVICE, index)?;
        findings.fault();
        findings.healed(world.heal(&mut sagas).await?);
    }
    for _ in 0..stage.count("owners gone")? {
        let index = rng.usize(..world.plan.replicas);
        crowd.until_more(rng.usize(1..10)).await?;
        caught += freeze(&world, &mut sagas, index).await?;
        world.mesh.take_down(SERVICE, index)?;
        findings.fault();
        findings.healed(world.heal(&mut sagas).await?);
        world.mesh.restart(SERVICE, index).await?;
    }
    let adopted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sagas WHERE epoch > 1").fetch_one(&mut sagas).await?;
    findings.bar("sagas were taken over", adopted > 0, format!("{adopted}, {caught} were under way"));
    let histories = crowd.finish().await?;
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

/// Freezes a process at an instant when sagas are under way; how many.
async fn freeze(world: &World, sagas: &mut PgConnection, index: usize) -> Result<i64> {
    until("sagas are under way", async || {
        // Frozen for as long as it takes to look, so that what is seen is what it is frozen with.
        world.mesh.pause(SERVICE, index)?;
        let under_way = world.active_sagas(sagas).await?;
        if under_way == 0 {
            world.mesh.resume(SERVICE, index)?;
            return Ok(None);
        }
        Ok(Some(under_way))
    })
    .await
}
