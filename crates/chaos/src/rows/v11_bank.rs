//! V11: the bank. Accounts that everybody uses, all nemeses at once, and snapshots in which every sum must be right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::api::Api;
use brokerctl::dev::ADMIN_TOKEN;
use futures::{StreamExt, TryStreamExt};
use service_kit::fault::reason_of;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bank::{self, ACCOUNTS, ASSETS, BankPlan, Camera, Moved, Teller};
use crate::findings::Findings;
use crate::nemesis::haunt;
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

/// One call may take so long; a frozen process is left alone after that.
const DEADLINE: Duration = Duration::from_secs(2);
/// A command without an answer for so long is given up, and the row with it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Commands that are answered between two faults, at most.
const BETWEEN: usize = 60;
const WIDTH: usize = 16;

/// Lets all clients work while everything breaks and the camera runs.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan::default()).await?;
    bank::open(&world).await?;
    let camera = Camera::start(world.urls());
    let clients = stage.count("clients")?;
    let operations = stage.count("operations")?;
    let (answered, progress) = watch::channel(0);
    let plan = BankPlan {
        apis: vec![Api::with_deadline(&world.mesh.public_uri(), ADMIN_TOKEN, DEADLINE)?],
        commands: operations.div_ceil(clients),
        answered: Arc::new(answered),
        patience: PATIENCE,
    };
    let begun = Instant::now();
    let work =
        (0..clients).map(|at| tokio::spawn(Teller::work(format!("teller-{at}"), plan.clone(), rng.fork())));
    let work: Vec<_> = work.collect();
    let stop = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&stop);
    let tellers = async {
        let tellers = futures::future::try_join_all(work).await.context("a client panicked");
        over.store(true, Ordering::Relaxed);
        tellers
    };
    let (tellers, deeds) = tokio::join!(tellers, haunt(&world, rng.fork(), progress, stop, BETWEEN));
    let (tellers, deeds) = (tellers?, deeds?);
    let took = begun.elapsed();
    findings.faults += deeds.sum();
    findings.note(format!(
        "{deeds:?} while {ACCOUNTS} accounts × {} assets were used for {took:.0?}",
        ASSETS.len()
    ));
    judge(&world, &tellers, operations, &mut findings).await?;
    let histories: Vec<_> = tellers.into_iter().map(|teller| teller.history).collect();
    world.prove(&histories, &mut findings).await?;
    let exposures = camera.stop().await?;
    for wrong in &exposures.wrong {
        findings.contradicts(format!("in a snapshot: {wrong}"));
    }
    findings.bar(
        "0 bad snapshots",
        exposures.taken > 0,
        format!(
            "{} taken, {} not possible, slowest {:.0?}",
            exposures.taken, exposures.missed, exposures.slowest
        ),
    );
    world.stop().await?;
    Ok(findings)
}

/// What the clients read was right, what they were told of movements is told again.
async fn judge(world: &World, tellers: &[Teller], operations: usize, findings: &mut Findings) -> Result<()> {
    let done: usize =
        tellers.iter().map(|teller| teller.history.entries.len() + teller.movements.len()).sum();
    let (reads, unread) =
        tellers.iter().fold((0, 0), |(reads, unread), teller| (reads + teller.reads, unread + teller.unread));
    let unanswered: u64 = tellers.iter().map(|teller| teller.unanswered).sum();
    findings.bar("every operation was answered", done >= operations && unanswered == 0, format!("{done}"));
    findings.note(format!("{reads} reads after writes, {unread} more without an answer"));
    let api = world.api()?;
    let movements = tellers.iter().flat_map(|teller| &teller.movements);
    let again = futures::stream::iter(movements.map(|moved| repeat(&api, moved)));
    let differences: Vec<Option<String>> = again.buffer_unordered(WIDTH).try_collect().await?;
    for moved in tellers.iter().flat_map(|teller| &teller.movements) {
        match moved.told {
            Ok(_) => findings.acknowledged += 1,
            Err(_) => findings.refused += 1,
        }
    }
    differences.into_iter().flatten().for_each(|what| findings.contradicts(what));
    Ok(())
}

/// The same request id gives the same transaction, or the same refusal.
async fn repeat(api: &Api, moved: &Moved) -> Result<Option<String>> {
    let now = until("a movement is answered again", async || {
        Ok(match moved.movement.send(api).await {
            Ok(answer) => Some(Ok((answer.tx_id, answer.replayed))),
            Err(status) => reason_of(&status).filter(|reason| crate::load::is_final(*reason)).map(Err),
        })
    })
    .await?;
    Ok(match (&moved.told, &now) {
        (Ok(told), Ok((now, true))) if told == now => None,
        (Err(told), Err(now)) if told == now => None,
        (told, now) => Some(format!("it was answered {told:?}, and now {now:?}: {:?}", moved.movement)),
    })
}
