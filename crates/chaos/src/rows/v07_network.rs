//! V7: every link of the mesh loses, delays, repeats and cuts, at every step.
//!
//! Between client and orchestrator, orchestrator and participants, and every service and its database stands a
//! [`Crossing`]. Tricks are played on one call that carries a certain step (see [`crate::proxy`]); links are held in
//! one direction or both, cut, and left half open while clients work. After each fault, all that was under way must
//! end, and clients must get on.

use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::dev::{Detour, Link, MeshService};
use sqlx::PgConnection;

use super::steps::step_names;
use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan};
use crate::proxy::{Crossing, Flow, Plot, Trick};
use crate::stage::Stage;
use crate::wait::{until, until_within};
use crate::world::{Plan, World};

const CLIENTS: usize = 6;
/// An attempt may take 200 ms.
const TIME_SCALE: f64 = 0.4;
/// Longer than an attempt.
const LATE: Duration = Duration::from_millis(300);
/// So long a link is held after it has held something.
const HELD: Duration = Duration::from_millis(400);
/// Longer than a held link and a give-up take together.
const CALL_MAX: Duration = Duration::from_secs(2);
/// What is under way ends within this, once a link is whole again: the longest pause after the pivot, and some.
const HEAL_MAX: Duration = Duration::from_secs(20);
/// Commands that are answered after each fault: the mesh goes on.
const GET_ON: usize = 3;

/// What the public API is called for.
const COMMANDS: [&str; 3] = ["create_order", "cancel_order", "match_orders"];
const TRICKS: [Trick; 6] = [
    Trick::DropRequest,
    Trick::DropReply,
    Trick::Delay(LATE),
    Trick::Twice,
    Trick::Again(LATE),
    Trick::Reset,
];
const HOLDS: [Flow; 3] = [Flow::SHUT, Flow::DEAF, Flow::DUMB];

/// A link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Public,
    Participant(MeshService),
    Database(MeshService),
}

/// What is done to it.
#[derive(Clone, Copy, Debug)]
enum What {
    /// To the next call that carries this.
    Play(&'static str, Trick),
    /// To everything, for a while.
    Hold(Flow),
    /// To every connection, at once.
    Cut,
    /// To the next transaction: cut when it is committed, before anybody is told.
    CutAtCommit,
    /// To the connections of one process.
    HalfOpen,
}

/// The crossings of a world.
#[derive(Clone, Debug, Default)]
struct Crossings {
    public: Crossing,
    participants: [Crossing; 2],
    databases: [Crossing; 3],
}

/// Plays every case.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let crossings = Crossings::new();
    let plan = Plan { time_scale: TIME_SCALE, detour: crossings.detour(), ..Plan::default() };
    let world = stage.world(plan).await?;
    let mut targets = Vec::new();
    for process in world.mesh.addresses(MeshService::Orchestrator) {
        targets.push(format!("http://{}", crossings.public.calls_to(process.public)?));
    }
    let plan = CrowdPlan {
        clients: CLIENTS,
        seed: rng.u64(..),
        targets,
        deadline: CALL_MAX,
        ..CrowdPlan::default()
    };
    let crowd = Crowd::start(&world, plan).await?;
    let mut sagas = world.connect(MeshService::Orchestrator).await?;
    let mut cases = cases();
    let all = cases.len();
    rng.shuffle(&mut cases);
    let count = stage.count("cases")?;
    for (place, what) in cases.iter().cycle().take(count) {
        let case = format!("{what:?} at {place:?}");
        crossings.play(*place, *what).await.with_context(|| case.clone())?;
        findings.fault();
        let healed = heal(&world, &mut sagas, &crowd).await.with_context(|| case.clone())?;
        findings.healed(healed);
        stage.say(format!("{case}: healed in {} ms", healed.as_millis()));
        if healed > HEAL_MAX {
            findings.bar("what was under way ends within 20 s", false, format!("{case}: {healed:?}"));
        }
    }
    findings.note(format!("{count} cases out of {all} kinds, in an order drawn from the seed"));
    crossings.release();
    let histories = crowd.finish().await?;
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

async fn heal(world: &World, sagas: &mut PgConnection, crowd: &Crowd) -> Result<Duration> {
    let healed = world.heal(sagas).await?;
    crowd.until_more(GET_ON).await?;
    Ok(healed)
}

/// Every step by every trick, every command by every trick, every link by everything that is done to links.
fn cases() -> Vec<(Where, What)> {
    let mut cases = Vec::new();
    for trick in TRICKS {
        // Which participant does a step follows from the step.
        let steps =
            step_names().chain(["compensate"]).map(|step| (Where::Participant(MeshService::Order), step));
        let commands = COMMANDS.into_iter().map(|command| (Where::Public, command));
        cases.extend(steps.chain(commands).map(|(place, name)| (place, What::Play(name, trick))));
    }
    let participants = [MeshService::Order, MeshService::Asset].map(Where::Participant);
    for place in participants.into_iter().chain([Where::Public]) {
        cases.extend(HOLDS.map(|flow| (place, What::Hold(flow))));
        cases.push((place, What::Cut));
    }
    cases.extend(participants.map(|place| (place, What::HalfOpen)));
    for place in MeshService::ALL.iter().copied().map(Where::Database) {
        cases.extend(HOLDS.map(|flow| (place, What::Hold(flow))));
        cases.extend([What::Cut, What::CutAtCommit, What::HalfOpen].map(|what| (place, what)));
    }
    cases
}

impl Crossings {
    fn new() -> Self {
        // One plot for both participants: a step's name says which of them it is for.
        let plot = Plot::default();
        Self { participants: [Crossing::of(&plot), Crossing::of(&plot)], ..Self::default() }
    }

    fn detour(&self) -> Detour {
        let crossings = self.clone();
        Detour::new(move |link, to| match link {
            Link::Steps { to: service, .. } => crossings.at(Where::Participant(service)).calls_to(to),
            Link::Database { of } => crossings.at(Where::Database(of)).bytes_to(to),
        })
    }

    fn at(&self, place: Where) -> &Crossing {
        match place {
            Where::Public => &self.public,
            Where::Participant(MeshService::Asset) => &self.participants[1],
            Where::Participant(MeshService::Order | MeshService::Orchestrator) => &self.participants[0],
            Where::Database(service) => &self.databases[service as usize],
        }
    }

    /// Does it, and returns when it has happened and is over.
    async fn play(&self, place: Where, what: What) -> Result<()> {
        let crossing = self.at(place);
        let before = crossing.touched();
        let touches = async || Ok((crossing.touched() > before).then_some(()));
        match what {
            What::Play(name, trick) => {
                crossing.plot.arm(name, trick);
                until("a call carries it", async || Ok((!crossing.plot.is_armed()).then_some(()))).await
            }
            What::Hold(flow) => {
                crossing.set(flow);
                let held = until("something is held", touches).await;
                // The fault lasts: that is what it is.
                tokio::time::sleep(HELD).await;
                crossing.set(Flow::OPEN);
                held
            }
            // Nobody may be connected at this moment, least of all before the first command: then it is done again.
            What::Cut => {
                let cut = async || {
                    crossing.cut();
                    touches().await
                };
                until("a connection is cut", cut).await
            }
            What::CutAtCommit => {
                crossing.cut_at("COMMIT");
                until("a transaction is cut off", touches).await
            }
            What::HalfOpen => {
                let freeze = async || {
                    crossing.freeze_one();
                    touches().await
                };
                until_within(HEAL_MAX, "a connection is half open", freeze).await
            }
        }
    }

    /// What hangs somewhere ends.
    fn release(&self) {
        self.participants.iter().chain(&self.databases).chain([&self.public]).for_each(Crossing::cut);
    }
}
