//! V5: a process ends at a boundary around intent, send, inbox, effect, commit, reply, log or terminal mark.
//!
//! The points are those of [`service_kit::crash::POINTS`]; the engine's are met once for every step of every saga, as
//! the definitions have them (in the long form). One process is armed at a time, and ends by itself when clients make
//! it come to the point; it is started again, or its replica takes over. A point that nothing reaches makes the row
//! red. Every saga that was under way must be terminal within 3 s, with a lease of 500 ms.

use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use service_kit::crash::{ARMED, POINTS};
use sqlx::{Connection, PgConnection};

use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan};
use crate::rows::steps::step_names;
use crate::stage::Stage;
use crate::wait::until_within;
use crate::world::{Plan, World};

/// A lease of 500 ms.
const TIME_SCALE: f64 = 0.1;
/// What was under way when a process ended is terminal within this.
const TERMINAL_MAX: Duration = Duration::from_secs(3);
const CLIENTS: usize = 6;
/// A point that is not met within this is never met.
const REACH_MAX: Duration = Duration::from_secs(20);
/// The process that is armed; the others are as they always are.
const ARMED_INDEX: usize = 0;

/// One process, one point, the so-manieth time.
#[derive(Clone, Debug)]
struct Case {
    service: MeshService,
    point: String,
    hit: usize,
}

/// Ends processes at every point.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    for replicas in (1..=2).rev().take(stage.count("sets of replicas")?) {
        let mut cases = cases(stage)?;
        rng.shuffle(&mut cases);
        let world = stage.world(Plan { replicas, time_scale: TIME_SCALE, ..Plan::default() }).await?;
        let plan = CrowdPlan { clients: CLIENTS, seed: rng.u64(..), ..CrowdPlan::default() };
        let crowd = Crowd::start(&world, plan).await?;
        let mut sagas = world.connect(MeshService::Orchestrator).await?;
        let mut slowest = Duration::ZERO;
        for case in &cases {
            let took = once(&world, &mut sagas, case).await.with_context(|| format!("{case:?}"))?;
            findings.fault();
            findings.healed(took);
            slowest = slowest.max(took);
        }
        let seen = format!("{} ms, {} points of {replicas} replicas", slowest.as_millis(), cases.len());
        findings.bar("terminal within 3 s", slowest <= TERMINAL_MAX, seen);
        sagas.close().await.context("close the connection")?;
        let histories = crowd.finish().await?;
        world.prove(&histories, &mut findings).await?;
        world.stop().await?;
    }
    Ok(findings)
}

/// Arms one process, waits until it has ended there, and then until all that was under way has ended.
async fn once(world: &World, sagas: &mut PgConnection, case: &Case) -> Result<Duration> {
    let Case { service, point, hit } = case;
    let armed = vec![(ARMED.to_owned(), format!("{point}:{hit}"))];
    world.mesh.equip_next_start(*service, ARMED_INDEX, armed)?;
    let starts = world.mesh.starts(*service, ARMED_INDEX)?;
    world.mesh.restart(*service, ARMED_INDEX).await?;
    until_within(REACH_MAX, "the armed process ends at its point", async || {
        // One start is the armed one.
        Ok((world.mesh.starts(*service, ARMED_INDEX)? > starts + 1
            || world.mesh.pids(*service).len() < world.plan.replicas)
            .then_some(()))
    })
    .await?;
    world.heal(sagas).await
}

fn cases(stage: &Stage) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for hit in 1..=stage.count("hits per point")? {
        for point in POINTS {
            let services: &[MeshService] = if point.starts_with("executor.") {
                &[MeshService::Order, MeshService::Asset]
            } else {
                &[MeshService::Orchestrator]
            };
            let of_steps = stage.is_long() && matches!(*point, "engine.sending" | "engine.heard");
            let points: Vec<String> = if of_steps {
                step_names().map(|step| format!("{point}/{step}")).collect()
            } else {
                vec![(*point).to_owned()]
            };
            for service in services {
                let service = *service;
                cases.extend(points.iter().map(|point| Case { service, point: point.clone(), hit }));
            }
        }
    }
    Ok(cases)
}
