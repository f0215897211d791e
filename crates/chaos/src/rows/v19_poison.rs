//! V19: sagas that nobody can drive. They are parked with a reason, and the others do not notice.

use std::time::Duration;

use anyhow::Result;
use brokerctl::dev::MeshService;

use super::strays::{self, Oddity};
use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan, History, p99};
use crate::stage::Stage;
use crate::world::{Plan, World};

const CLIENTS: usize = 6;
/// A lease of 1.5 s, so that strays are found soon.
const TIME_SCALE: f64 = 0.3;
/// The p99 of the others may grow by 10 % …
const GROWTH_MAX: f64 = 1.1;
/// … and in the short form, where a hundred commands are no sample and the machine builds something else, by half and
/// by what one busy moment costs.
const GROWTH_SHORT_MAX: f64 = 1.5;
const NOISE_SHORT: Duration = Duration::from_millis(150);

/// Poisons, and compares.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan { time_scale: TIME_SCALE, ..Plan::default() }).await?;
    let commands_max = stage.count("commands per client")?;
    let mut plan = CrowdPlan { clients: CLIENTS, commands_max, ..CrowdPlan::default() };
    let mut sagas = world.connect(MeshService::Orchestrator).await?;
    // Not measured: connections open, caches fill.
    let mut histories = work(&world, &plan).await?;
    let (mut alone, mut beside) = (Duration::MAX, Duration::MAX);
    for _ in 0..stage.count("rounds")? {
        plan.seed = rng.u64(..);
        let before = work(&world, &plan).await?;
        let crowd = Crowd::start(&world, plan.clone()).await?;
        let mut poison = Vec::new();
        for at in 0..stage.count("poison sagas a round")? {
            poison.push(strays::write(&world, &mut sagas, Oddity::ALL[at % Oddity::ALL.len()]).await?);
            findings.fault();
        }
        let during = crowd.all_done().await?;
        strays::until_parked(&mut sagas, &poison).await?;
        strays::mend(&world, &mut sagas, &poison).await?;
        // Whatever else the machine does can only add to a time: the best round says most.
        (alone, beside) = (alone.min(p99(&before)), beside.min(p99(&during)));
        histories.extend(before.into_iter().chain(during));
    }
    judge(stage, alone, beside, &mut findings);
    findings.note(format!("{} poison sagas were parked", findings.faults));
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

async fn work(world: &World, plan: &CrowdPlan) -> Result<Vec<History>> {
    Crowd::start(world, plan.clone()).await?.all_done().await
}

fn judge(stage: &Stage, before: Duration, during: Duration, findings: &mut Findings) {
    let (bar, most) = if stage.is_long() {
        ("the others' p99 grows by less than 10 %", before.mul_f64(GROWTH_MAX))
    } else {
        ("the others' p99 grows by less than half and 150 ms", before.mul_f64(GROWTH_SHORT_MAX) + NOISE_SHORT)
    };
    let seen = format!("{} ms before, {} ms with poison", before.as_millis(), during.as_millis());
    findings.bar(bar, during < most, seen);
}
