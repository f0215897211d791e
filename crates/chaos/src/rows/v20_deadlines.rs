//! V20: clients that hang up after a few milliseconds, beside one that waits. He is served as if they were not there,
//! and what he was told is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use brokerage_proto::asset::v1::ListAssetsRequest;
use brokerage_proto::common::v1::Side;
use brokerctl::api::{Api, DEFAULT_DEADLINE};
use brokerctl::dev::{ADMIN_TOKEN, MeshService};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::findings::Findings;
use crate::load::{Command, Entry, History, Verdict, ask};
use crate::stage::Stage;
use crate::world::{Plan, World};

const ATTACKERS: usize = 4;
/// How long they wait.
const DEADLINE: Duration = Duration::from_millis(3);
/// Each of them calls so often. Few calls enough that they do not need the machine, and many times more than it takes
/// to spoil every connection of a pool that can be spoiled.
const EVERY: Duration = Duration::from_millis(100);
/// What the honest client keeps of its rate.
const KEPT_MIN: f64 = 0.8;
/// Each phase is measured so often, in turn.
const TURNS: u32 = 2;
const HONEST: &str = "honest";
const HASTY: &str = "hasty";

/// Who is there besides the honest client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    Nobody,
    /// The attackers' calls, by clients that wait for the answer: what the calls themselves cost.
    Patient,
    Attackers,
}

/// What the others saw.
#[derive(Debug, Default)]
struct Crowded {
    calls: u64,
    cut: u64,
    entries: Vec<Entry>,
}

/// The honest client alone, beside patient ones, and beside attackers.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let world = stage.world(Plan { replicas: 1, ..Plan::default() }).await?;
    for customer in [HONEST, HASTY] {
        world.customer(customer, &[("TRY", "100000000000")]).await?;
    }
    let time = Duration::from_secs(stage.count("seconds for each company")? as u64) / TURNS;
    let [mut honest, mut hasty] =
        [HONEST, HASTY].map(|client| History { client: client.to_owned(), ..History::default() });
    let mut rates = [0.0; 3];
    let mut attacked = Crowded::default();
    work(&world, time / 2).await?;
    for _ in 0..TURNS {
        for company in [Company::Nobody, Company::Patient, Company::Attackers] {
            let others = gather(&world, company)?;
            let (entries, rate) = work(&world, time).await?;
            let mut seen = others.leave().await?;
            rates[company as usize] += rate / f64::from(TURNS);
            honest.entries.extend(entries);
            hasty.entries.append(&mut seen.entries);
            if company == Company::Attackers {
                attacked.calls += seen.calls;
                attacked.cut += seen.cut;
            }
        }
    }
    judge(rates, &attacked, &mut findings);
    world.prove(&[honest, hasty], &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

fn judge([alone, beside_patient, attacked]: [f64; 3], seen: &Crowded, findings: &mut Findings) {
    findings.faults += seen.cut;
    findings.bar(
        "attackers hang up",
        seen.cut * 2 >= seen.calls,
        format!("{} of {} calls", seen.cut, seen.calls),
    );
    let said = format!("{attacked:.1} of {alone:.1} commands/s, {beside_patient:.1} beside patient clients");
    // Without optimisation the attackers' calls need a good part of the machine; then what they cost is taken off.
    let (bar, of) = if cfg!(optimised) {
        ("the honest client keeps ≥ 80 % of its rate alone", alone)
    } else {
        (
            "the honest client keeps ≥ 80 % of its rate beside the same calls without hanging up",
            beside_patient,
        )
    };
    findings.bar(bar, attacked >= KEPT_MIN * of, said);
}

/// Orders and reads, one after another; what was acknowledged, and how many a second.
async fn work(world: &World, time: Duration) -> Result<(Vec<Entry>, f64)> {
    let api = direct(world, DEFAULT_DEADLINE)?;
    let (mut entries, mut done) = (Vec::new(), 0_u32);
    let begun = Instant::now();
    while begun.elapsed() < time {
        let command = Command::create(HONEST, Side::Buy, 1);
        let sent = Instant::now();
        let (verdict, _) = ask(&api.0, &command).await.context("the honest client's order")?;
        done += u32::from(matches!(verdict, Verdict::Done { .. }));
        entries.push(Entry { command, verdict: Some(verdict), unknown: 0, took: sent.elapsed() });
        api.1.assets.clone().list_assets(read(HONEST)).await.context("the honest client's read")?;
        done += 1;
    }
    Ok((entries, f64::from(done) / begun.elapsed().as_secs_f64()))
}

/// Others at work.
struct Others {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Crowded>,
}

impl Others {
    async fn leave(mut self) -> Result<Crowded> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Crowded::default();
        while let Some(seen) = self.tasks.join_next().await {
            let seen = seen.context("one of the others panicked")?;
            all.calls += seen.calls;
            all.cut += seen.cut;
            all.entries.extend(seen.entries);
        }
        Ok(all)
    }
}

fn gather(world: &World, company: Company) -> Result<Others> {
    let mut others = Others { stop: Arc::default(), tasks: JoinSet::new() };
    let deadline = match company {
        Company::Nobody => return Ok(others),
        Company::Patient => DEFAULT_DEADLINE,
        Company::Attackers => DEADLINE,
    };
    for _ in 0..ATTACKERS {
        others.tasks.spawn(bother(direct(world, deadline)?, Arc::clone(&others.stop)));
    }
    Ok(others)
}

/// Calls again and again, writes and reads in turn.
async fn bother(api: (Api, Api), stop: Arc<AtomicBool>) -> Crowded {
    let mut seen = Crowded::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let command = Command::create(HASTY, Side::Buy, 1);
        let sent = Instant::now();
        match ask(&api.0, &command).await {
            Ok((verdict, _)) => {
                seen.entries.push(Entry {
                    command,
                    verdict: Some(verdict),
                    unknown: 0,
                    took: sent.elapsed(),
                });
            }
            Err(_) => seen.cut += 1,
        }
        seen.cut += u64::from(api.1.assets.clone().list_assets(read(HASTY)).await.is_err());
        seen.calls += 2;
    }
    seen
}

/// Straight to an orchestrator, and to an asset service: nothing in between that could hide how they take it.
fn direct(world: &World, deadline: Duration) -> Result<(Api, Api)> {
    let to = |service| -> Result<Api> {
        let addresses = world.mesh.addresses(service);
        let at = addresses.first().context("the service has a process")?.public;
        Api::with_deadline(&format!("http://{at}"), ADMIN_TOKEN, deadline)
    };
    Ok((to(MeshService::Orchestrator)?, to(MeshService::Asset)?))
}

fn read(customer_id: &str) -> ListAssetsRequest {
    ListAssetsRequest { customer_id: customer_id.to_owned(), ..ListAssetsRequest::default() }
}
