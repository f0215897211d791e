//! V10: Redis is down, killed, wiped, slow, and replaced by something else. Nobody notices.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use crate::findings::Findings;
use crate::load::{Crowd, CrowdPlan, History};
use crate::redis::{self, Impostor, Ongoing};
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

/// The rate of calls without an answer may change by so much.
const CHANGE_MAX: f64 = 0.01;
/// So long Redis answers nobody, in one go. It is paused again as soon as that is over.
const PAUSE_MS: u64 = 60_000;

/// Commands that are answered between two kills.
const BETWEEN: usize = 10;

/// What is wrong with Redis. The first is what the others are compared with.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Down,
    KilledAgainAndAgain,
    Flushed,
    Paused,
    Scribbled,
    Replaced(Impostor),
}

const TROUBLES: [Trouble; 9] = [
    Trouble::None,
    Trouble::Down,
    Trouble::KilledAgainAndAgain,
    Trouble::Flushed,
    Trouble::Paused,
    Trouble::Scribbled,
    Trouble::Replaced(Impostor::Silent),
    Trouble::Replaced(Impostor::Babbling),
    Trouble::Replaced(Impostor::Refusing),
];

/// One phase as its clients saw it.
struct Seen {
    rate: f64,
    errors: f64,
    slowest: Duration,
}

/// Gives the same load to a mesh with every kind of Redis.
///
/// # Errors
/// The mesh cannot be started, asked or stopped; there is no Redis to be had.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let mut world = stage.world(Plan::default()).await?;
    let url = world.mesh.redis().context("this row needs a Redis")?.url();
    let at: SocketAddr = url.trim_start_matches("redis://").parse().context("read Redis's address")?;
    let mut histories = Vec::new();
    let mut baseline = None;
    for trouble in TROUBLES {
        restart(&mut world)?;
        let plan = CrowdPlan {
            clients: stage.count("clients")?,
            commands_max: stage.count("commands of each client")?,
            seed: rng.u64(..),
            ..CrowdPlan::default()
        };
        let (told, faults) = phase(&mut world, at, trouble, plan).await?;
        findings.faults += faults.1;
        let seen = Seen::of(&told, faults.0);
        let first = *baseline.get_or_insert(seen.errors);
        let bar = format!("{trouble:?}: error rate changes ≤ 1 %");
        let said = format!(
            "{:.2} % errors, {:.0} commands/s, slowest {:.0?}, met {} times",
            seen.errors * 100.0,
            seen.rate,
            seen.slowest,
            faults.1
        );
        let happened = matches!(trouble, Trouble::None) || faults.1 > 0;
        findings.bar(&bar, happened && (seen.errors - first).abs() <= CHANGE_MAX, said);
        histories.extend(told);
    }
    restart(&mut world)?;
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

/// One load with one trouble: what the clients saw, how long it took, and how often the trouble was met.
async fn phase(
    world: &mut World,
    at: SocketAddr,
    trouble: Trouble,
    plan: CrowdPlan,
) -> Result<(Vec<History>, (Duration, u64))> {
    let ongoing: Option<Ongoing> = match trouble {
        Trouble::None | Trouble::KilledAgainAndAgain => None,
        Trouble::Down => {
            world.mesh.redis().context("there was a Redis")?.stop()?;
            None
        }
        Trouble::Flushed => Some(redis::flushing(at)),
        Trouble::Paused => {
            let answer = redis::command(at, &format!("CLIENT PAUSE {PAUSE_MS} ALL")).await?;
            anyhow::ensure!(answer.starts_with("+OK"), "Redis does not pause: {answer}");
            None
        }
        Trouble::Scribbled => Some(redis::scribbling(at)),
        Trouble::Replaced(kind) => {
            world.mesh.redis().context("there was a Redis")?.stop()?;
            let impostor = redis::impostor(at, kind).await?;
            // Whoever lost the true one tries again once a second: a small load could be over by then.
            until("somebody meets the impostor", async || Ok((impostor.met() > 0).then_some(()))).await?;
            Some(impostor)
        }
    };
    let commands = plan.clients * plan.commands_max;
    let begun = Instant::now();
    let crowd = Crowd::start(world, plan).await?;
    let mut met = u64::from(matches!(trouble, Trouble::Down | Trouble::Paused));
    if matches!(trouble, Trouble::KilledAgainAndAgain) {
        let mut next = BETWEEN;
        while next < commands {
            restart(world)?;
            met += 1;
            until("commands are answered", async || Ok((crowd.answered() >= next).then_some(()))).await?;
            next = crowd.answered() + BETWEEN;
        }
    }
    let told = crowd.all_done().await?;
    met += ongoing.as_ref().map_or(0, Ongoing::met);
    Ok((told, (begun.elapsed(), met)))
}

/// Ends Redis if it runs, and starts it again, empty.
fn restart(world: &mut World) -> Result<()> {
    let redis = world.mesh.redis().context("there was a Redis")?;
    tokio::task::block_in_place(|| redis.restart())
}

impl Seen {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
    fn of(told: &[History], took: Duration) -> Self {
        let entries = || told.iter().flat_map(|history| &history.entries);
        let answers = entries().count() as f64;
        let unknown: u64 = entries().map(|entry| entry.unknown).sum();
        Self {
            rate: answers / took.as_secs_f64(),
            errors: unknown as f64 / (answers + unknown as f64),
            slowest: entries().map(|entry| entry.took).max().unwrap_or_default(),
        }
    }
}
