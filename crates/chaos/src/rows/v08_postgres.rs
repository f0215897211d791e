//! V8: Postgres crashes, cuts sessions, makes everybody wait for a lock, writes nothing, and dies in a commit.

use std::time::Duration;

use anyhow::Result;
use brokerctl::dev::MeshService;
use tokio::time::Instant;

use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan};
use crate::postgres;
use crate::ready;
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

/// A service serves again so soon after its database.
const READY_MAX: Duration = Duration::from_secs(2);
/// Commands that are answered between two faults, at most.
const BETWEEN: usize = 40;
/// Statements that run into their lock timeout each time.
const TIMEOUTS: usize = 3;
/// What is locked: where money waits, where priority is given out, and where intents are written.
const LOCKED: [(MeshService, &str); 3] =
    [(MeshService::Asset, "balances"), (MeshService::Order, "orders"), (MeshService::Orchestrator, "sagas")];

/// What is done to Postgres.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    KillInCommit { before_the_disk: bool },
    Terminate { all: bool },
    Locks,
    ReadOnly,
}

/// How soon all was well after a fault.
#[derive(Debug, Default)]
struct Times {
    ready: Vec<Duration>,
    answered: Vec<Duration>,
}

/// Does everything to Postgres, in an order drawn from the seed, while clients work.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let mut world = stage.world(Plan { durable: true, ..Plan::default() }).await?;
    let plan = CrowdPlan { clients: stage.count("clients")?, seed: rng.u64(..), ..CrowdPlan::default() };
    let crowd = Crowd::start(&world, plan).await?;
    let mut faults = planned(stage)?;
    rng.shuffle(&mut faults);
    let mut times = Times::default();
    for (at, fault) in faults.iter().enumerate() {
        crowd.until_more(rng.usize(BETWEEN / 4..BETWEEN)).await?;
        match fault {
            Fault::Crash => {
                postgres::crash(&mut world)?;
                times.heal(&world, &crowd).await?;
                findings.fault();
            }
            Fault::KillInCommit { before_the_disk } => {
                postgres::kill_in_commit(&world, *before_the_disk).await?;
                times.heal(&world, &crowd).await?;
                findings.fault();
            }
            Fault::Terminate { all } => {
                let mut admin = postgres::superuser(&world).await?;
                findings.faults += postgres::terminate(&mut admin, *all).await?;
            }
            Fault::Locks => {
                let (service, table) = LOCKED[at % LOCKED.len()];
                findings.faults += postgres::hold_locks(&world, service, table, TIMEOUTS).await?;
            }
            Fault::ReadOnly => {
                let back = postgres::read_only(&world).await?;
                findings.bar(
                    "a write succeeds ≤ 2 s after read-only",
                    back <= READY_MAX,
                    format!("{back:.0?}"),
                );
                findings.fault();
            }
        }
    }
    times.judge(&mut findings);
    let histories = crowd.finish().await?;
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

fn planned(stage: &Stage) -> Result<Vec<Fault>> {
    let mut faults = vec![Fault::Crash; stage.count("crashes")?];
    faults.extend(
        (0..stage.count("kills in COMMIT")?).map(|at| Fault::KillInCommit { before_the_disk: at % 2 == 0 }),
    );
    faults.extend((0..stage.count("terminations")?).map(|at| Fault::Terminate { all: at % 3 == 0 }));
    faults.extend(vec![Fault::Locks; stage.count("held locks")?]);
    faults.extend(vec![Fault::ReadOnly; stage.count("read-only phases")?]);
    Ok(faults)
}

impl Times {
    /// Waits until every process is ready and a command is answered.
    async fn heal(&mut self, world: &World, crowd: &Crowd) -> Result<()> {
        let back = Instant::now();
        let before = crowd.answered();
        let answered = async {
            until("a command is answered", async || Ok((crowd.answered() > before).then_some(()))).await?;
            anyhow::Ok(back.elapsed())
        };
        let (ready, answered) = tokio::try_join!(ready::all(world), answered)?;
        self.ready.push(ready);
        self.answered.push(answered);
        Ok(())
    }

    fn judge(&self, findings: &mut Findings) {
        let worst = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
        let (ready, answered) = (worst(&self.ready), worst(&self.answered));
        findings.bar("ready ≤ 2 s after the database", ready <= READY_MAX, format!("{ready:.0?} at most"));
        findings.note(format!(
            "the first command was answered {answered:.0?} after the database, at most, of {} times",
            self.answered.len()
        ));
    }
}
