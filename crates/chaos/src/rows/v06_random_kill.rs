//! V6: kill -9 of any process, at any time, under load. The bars of a takeover are in `v06_takeover`.

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;

use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan};
use crate::stage::Stage;
use crate::world::Plan;

/// Commands that are answered between two kills.
const BETWEEN: usize = 20;

/// Kills processes at random while clients work.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan::default()).await?;
    let plan = CrowdPlan { clients: stage.count("clients")?, seed: rng.u64(..), ..CrowdPlan::default() };
    let crowd = Crowd::start(&world, plan).await?;
    for _ in 0..stage.count("kills")? {
        crowd.until_more(rng.usize(1..BETWEEN)).await?;
        let service = *rng.choice(MeshService::ALL).context("there are services")?;
        let index = rng.usize(..world.plan.replicas);
        world.mesh.wait_until_up(service, index).await?;
        let starts = world.mesh.starts(service, index)?;
        world.mesh.kill9(service, index)?;
        crate::wait::until("a killed process is started again", async || {
            Ok((world.mesh.starts(service, index)? > starts).then_some(()))
        })
        .await?;
        findings.fault();
    }
    let histories = crowd.finish().await?;
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    super::v06_takeover::run(stage, &mut findings).await?;
    Ok(findings)
}
