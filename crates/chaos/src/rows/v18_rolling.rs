//! V18: a rollout under load. Every process is drained and started again, one after another; tables get columns that
//! the running code does not know; sagas of a version that nobody here knows are parked, and go on when somebody does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use sqlx::{AssertSqlSafe, PgConnection};

use super::strays::{self, Oddity};
use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan, History};
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

const CLIENTS: usize = 6;
/// Commands that are answered between two restarts.
const BETWEEN: usize = 5;
/// Nobody has to wait so long for a process that drains.
const CALL_MAX: Duration = Duration::from_secs(20);
/// The one thing that a client may be told instead of an answer.
const ALLOWED: &str = "UNAVAILABLE";

/// Rolls the mesh over.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan::default()).await?;
    let plan = CrowdPlan { clients: CLIENTS, seed: rng.u64(..), deadline: CALL_MAX, ..CrowdPlan::default() };
    let crowd = Crowd::start(&world, plan).await?;
    let mut sagas = world.connect(MeshService::Orchestrator).await?;
    crowd.until_more(BETWEEN).await?;
    let mut strange = Vec::new();
    for _ in 0..stage.count("strange sagas")? {
        strange.push(strays::write(&world, &mut sagas, Oddity::Version).await?);
        findings.fault();
    }
    for round in 0..stage.count("rounds of restarts")? {
        if round == 0 {
            findings.note(format!("{} tables got a column", widen(&world).await?));
        }
        restart_all(stage, &world, &crowd, &mut findings).await?;
    }
    strays::until_parked(&mut sagas, &strange).await?;
    let histories = crowd.finish().await?;
    strays::mend(&world, &mut sagas, &strange).await?;
    completed(&mut sagas, &strange, &mut findings).await?;
    judge_errors(&histories, &mut findings);
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

/// Drains one process after another. The next begins when the last serves again.
async fn restart_all(stage: &Stage, world: &World, crowd: &Crowd, findings: &mut Findings) -> Result<()> {
    for service in MeshService::ALL {
        for index in 0..world.plan.replicas {
            crowd.until_more(BETWEEN).await?;
            let starts = world.mesh.starts(*service, index)?;
            world.mesh.terminate(*service, index)?;
            until("a drained process is started again", async || {
                Ok((world.mesh.starts(*service, index)? > starts).then_some(()))
            })
            .await
            .with_context(|| format!("{}[{index}]", service.name()))?;
            world.mesh.wait_until_up(*service, index).await?;
            findings.fault();
            stage.say(format!("{}[{index}] was drained, {} answered", service.name(), crowd.answered()));
        }
    }
    Ok(())
}

/// A column that no code knows, in every table of every service: what the next release may do.
async fn widen(world: &World) -> Result<usize> {
    let mut widened = 0;
    for service in MeshService::ALL {
        let mut connection = world.connect(*service).await?;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class
             WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
               AND relname NOT LIKE '\\_%'",
        )
        .fetch_all(&mut connection)
        .await?;
        for table in tables {
            let statement = format!("ALTER TABLE \"{table}\" ADD COLUMN of_the_next_release text");
            let what = statement.clone();
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.context(what)?;
            widened += 1;
        }
    }
    Ok(widened)
}

async fn completed(
    sagas: &mut PgConnection,
    strange: &[strays::Stray],
    findings: &mut Findings,
) -> Result<()> {
    let ids: Vec<uuid::Uuid> = strange.iter().map(|stray| stray.saga_id).collect();
    let query = "SELECT count(*) FROM sagas WHERE saga_id = ANY($1) AND ended_at IS NOT NULL";
    let ended: i64 = sqlx::query_scalar(query).bind(&ids).fetch_one(sagas).await?;
    let all = i64::try_from(ids.len())? == ended;
    let seen = format!("{ended} of {}", ids.len());
    findings.bar("sagas of an unknown version are parked, and end once it is known", all, seen);
    Ok(())
}

fn judge_errors(histories: &[History], findings: &mut Findings) {
    let mut troubles: BTreeMap<&str, u64> = BTreeMap::new();
    for (code, count) in histories.iter().flat_map(|history| &history.troubles) {
        *troubles.entry(code.as_str()).or_default() += count;
    }
    let only_allowed = troubles.keys().all(|code| *code == ALLOWED);
    findings.bar("clients see no error but UNAVAILABLE", only_allowed, format!("{troubles:?}"));
}
