//! V13: cancels against matches and creates of the same orders. Each side wins often, and nothing happens twice.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};

use crate::contest::{Ended, Lead, create_against_cancel, forced_cancel_of_create, match_against_cancel};
use crate::findings::Findings;
use crate::load::History;
use crate::stage::Stage;
use crate::world::{Plan, World};

/// Each side wins at least so many of a hundred.
const WINNER_PERCENT_MIN: usize = 5;
/// An order is INIT for a moment only; for one in so many it is made to last until the cancel has come.
const FORCED_ONE_IN: usize = 5;
const CUSTOMERS: usize = 4;
const MONEY: (&str, &str) = ("TRY", "100000000");
const SHARES: (&str, &str) = ("THYAO", "1000000");

/// Who fights about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    MatchAll,
    MatchPart,
    Create,
}

const KINDS: [Kind; 3] = [Kind::MatchAll, Kind::MatchPart, Kind::Create];

/// Lets every kind of contest happen many times, many at once.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan::default()).await?;
    for at in 0..CUSTOMERS {
        world.customer(&buyer(at), &[MONEY]).await?;
        world.customer(&seller(at), &[SHARES]).await?;
    }
    let orders = stage.count("orders")?;
    let mut histories = Vec::new();
    for kind in KINDS {
        // Two orders for a match, one for a create: a third of all orders for each kind.
        let contests = orders / KINDS.len() / if kind == Kind::Create { 1 } else { 2 };
        let ended = contest(&world, kind, contests, stage.count("at once")?, rng.fork()).await?;
        judge(kind, &ended, &mut findings);
        let entries = ended.into_iter().flat_map(|ended| ended.entries).collect();
        histories.push(History { client: format!("{kind:?}"), entries, ..History::default() });
    }
    world.prove(&histories, &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

async fn contest(
    world: &World,
    kind: Kind,
    contests: usize,
    at_once: usize,
    mut rng: fastrand::Rng,
) -> Result<Vec<Ended>> {
    let (api, lead) = (world.api()?, Lead::default());
    let fights = (0..contests).map(|at| {
        let (api, lead, mut rng) = (api.clone(), &lead, rng.fork());
        async move {
            // Drawn when it begins, so that it follows what has happened.
            let waits = lead.draw(&mut rng);
            let (buyer, seller) = (buyer(at % CUSTOMERS), seller(at % CUSTOMERS));
            let quantity = if kind == Kind::MatchPart { 1 } else { 2 };
            let ended = match kind {
                Kind::MatchAll | Kind::MatchPart => {
                    match_against_cancel(&api, [&buyer, &seller], quantity, waits, rng.bool()).await?
                }
                Kind::Create if at % FORCED_ONE_IN == 0 => {
                    forced_cancel_of_create(world, &api, &buyer).await?
                }
                Kind::Create => create_against_cancel(&api, &buyer, waits).await?,
            };
            lead.moves(ended.first_won);
            anyhow::Ok(ended)
        }
    });
    futures::stream::iter(fights).buffer_unordered(at_once).try_collect().await
}

fn judge(kind: Kind, ended: &[Ended], findings: &mut Findings) {
    let decided = ended.iter().filter(|ended| !ended.undecided).count();
    let first = ended.iter().filter(|ended| ended.first_won).count();
    let cancel = decided.saturating_sub(first);
    findings.faults += decided as u64;
    let least = decided * WINNER_PERCENT_MIN / 100;
    let slowest = ended.iter().flat_map(|ended| &ended.entries).map(|entry| entry.took).max();
    findings.bar(
        &format!("{kind:?} against cancel: each wins ≥ {WINNER_PERCENT_MIN} %"),
        first.min(cancel) >= least.max(1),
        format!(
            "{first} : {cancel}, {} undecided, slowest {:.0?}",
            ended.len() - decided,
            slowest.unwrap_or(Duration::ZERO)
        ),
    );
    for wrong in ended.iter().filter_map(|ended| ended.wrong.as_ref()) {
        findings.contradicts(format!("{kind:?} against cancel: {wrong}"));
    }
}

fn buyer(at: usize) -> String {
    format!("contest-buyer-{at}")
}

fn seller(at: usize) -> String {
    format!("contest-seller-{at}")
}
