//! Does something bad to a mesh, again and again, until it is told to stop; every fault is seen to happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use tokio::sync::watch;

use crate::postgres;
use crate::wait::{until, until_within};
use crate::world::World;

/// What a nemesis did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deeds {
    /// Processes killed.
    pub kills: u64,
    /// Processes frozen and thawed again.
    pub pauses: u64,
    /// Database sessions cut.
    pub terminations: u64,
}

impl Deeds {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.kills + self.pauses + self.terminations
    }
}

/// A cruel choice each time `progress` has gone on for a bit, until `stop`. Nothing is left frozen or down.
///
/// # Errors
/// A process does not come back, or the database cannot be asked.
pub async fn haunt(
    world: &World,
    mut rng: fastrand::Rng,
    mut progress: watch::Receiver<usize>,
    stop: Arc<AtomicBool>,
    between: usize,
) -> Result<Deeds> {
    let mut deeds = Deeds::default();
    while moves(&mut progress, rng.usize(between / 2..=between), &stop).await {
        let service = *rng.choice(MeshService::ALL).context("there are services")?;
        let index = rng.usize(..world.plan.replicas);
        match rng.u8(..4) {
            0 => {
                world.mesh.wait_until_up(service, index).await?;
                let starts = world.mesh.starts(service, index)?;
                world.mesh.kill9(service, index)?;
                until("a killed process is started again", async || {
                    Ok((world.mesh.starts(service, index)? > starts).then_some(()))
                })
                .await?;
                deeds.kills += 1;
            }
            1 => {
                world.mesh.wait_until_up(service, index).await?;
                world.mesh.pause(service, index)?;
                // As long as the others need for a few more answers.
                let went_on = moves(&mut progress, between / 4, &stop).await;
                world.mesh.resume(service, index)?;
                deeds.pauses += u64::from(went_on);
            }
            2 | 3 => {
                let all = rng.bool();
                let mut admin =
                    until("the cluster takes a session", async || Ok(postgres::superuser(world).await.ok()))
                        .await?;
                deeds.terminations += postgres::terminate(&mut admin, all).await?;
            }
            other => anyhow::bail!("there is no deed {other}"),
        }
    }
    Ok(deeds)
}

/// Waits for more progress. False: it is over, or nothing moves for a while.
async fn moves(progress: &mut watch::Receiver<usize>, more: usize, stop: &AtomicBool) -> bool {
    let wanted = *progress.borrow() + more;
    let stalled = std::time::Duration::from_secs(3);
    let _ = until_within(stalled, "progress", async || {
        Ok((stop.load(Ordering::Relaxed) || *progress.borrow() >= wanted).then_some(()))
    })
    .await;
    !stop.load(Ordering::Relaxed)
}
