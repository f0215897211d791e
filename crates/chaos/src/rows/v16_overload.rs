//! V16: twice as many orders as the mesh can take. The excess is refused at once and without an effect, the rest is
//! served as before, and all is as it was soon after.

use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use tokio::time::Instant;

use crate::findings::Findings;
use crate::ready;
use crate::stage::Stage;
use crate::volley::{Battery, Outcome, Volley};
use crate::world::{Plan, World};

/// What one orchestrator takes at the same time, as an operator of a machine this small would set it: everything that
/// is accepted must be done within a fraction of the time that a saga has before it gives up.
const CONCURRENCY: &str = "48";
const REPLICAS: usize = 2;
const CUSTOMERS: usize = 16;
/// Clients of the peak: enough to fill every batch, and fewer than the limit.
const PEAK_CLIENTS: usize = 48;
const CALM_CLIENTS: usize = 4;
const CALM: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1_500);

/// Peak and overload take turns, for a machine's speed drifts: the median of so many shares counts.
const ROUNDS: u32 = 3;

/// P10.
const OVERLOAD: f64 = 2.0;
const GOODPUT_MIN: f64 = 0.8;
/// Without optimisation, a good part of the machine goes into sending what is refused, and refusing it.
const GOODPUT_MIN_UNOPTIMISED: f64 = 0.6;
const REFUSED_WITHIN: Duration = Duration::from_millis(50);
const RECOVERY_MAX: Duration = Duration::from_secs(10);
/// "Back" is this close to what it was; one slow call of a hundred may be the machine's.
const BACK: f64 = 2.0;
/// What all services together may take more than before.
const GROWTH_MB_MAX: f64 = 150.0;
/// One refused in so many may be answered later: the machine is full, and the answer has to be sent.
const LATE_OF_REFUSED_MAX: f64 = 0.01;

/// A peak, and the overload right after it.
struct Round {
    peak: f64,
    volley: Volley,
}

impl Round {
    fn share(&self) -> f64 {
        self.volley.goodput() / self.peak.max(1.0)
    }
}

/// Measures the peak, doubles it, and waits for calm.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let settings = vec![(MeshService::Orchestrator, "LIMITS__CONCURRENCY", CONCURRENCY.to_owned())];
    let world = stage.world(Plan { replicas: REPLICAS, settings, ..Plan::default() }).await?;
    let battery = Battery::of(&world, CUSTOMERS).await?;
    let time = Duration::from_secs(stage.count("seconds of overload")? as u64);
    // The first shots open connections and fill caches.
    battery.closed(PEAK_CLIENTS, CALM).await?;
    let calm = battery.closed(CALM_CLIENTS, CALM).await?.p99(Outcome::Done);
    let mut rounds = Vec::new();
    let mut grown = 0.0_f64;
    for _ in 0..ROUNDS {
        let peak = battery.closed(PEAK_CLIENTS, time / ROUNDS).await?.goodput();
        let before = resident_mb(&world)?;
        let volley = battery.open(peak * OVERLOAD, time / ROUNDS).await?;
        grown = grown.max(resident_mb(&world)? - before);
        rounds.push(Round { peak, volley });
    }
    let ended = Instant::now();
    judge(&world, &rounds, &mut findings).await?;
    findings.bar("memory is bounded: ≤ 150 MB more", grown <= GROWTH_MB_MAX, format!("{grown:.0} MB more"));
    let back = recovery(&battery, calm, ended).await?;
    let said = match back {
        Some((after, p99)) => format!("{p99:.0?} again {after:.1?} after the load, {calm:.0?} before it"),
        None => format!("not back to {calm:.0?}"),
    };
    findings.bar("the p99 of a calm mesh is back ≤ 10 s after the load", back.is_some(), said);
    if let Some((after, _)) = back {
        findings.healed(after);
    }
    world.prove(&[], &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

async fn judge(world: &World, rounds: &[Round], findings: &mut Findings) -> Result<()> {
    let mut shares: Vec<f64> = rounds.iter().map(Round::share).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let peaks: Vec<String> = rounds.iter().map(|round| format!("{:.0}", round.peak)).collect();
    let lasted = rounds.iter().map(|round| round.volley.lasted).sum();
    let shots = rounds.iter().flat_map(|round| round.volley.shots.iter().cloned()).collect();
    let volley = Volley { shots, lasted };
    let [done, shed, undone, unknown] = [Outcome::Done, Outcome::Shed, Outcome::Undone, Outcome::Unknown]
        .map(|outcome| volley.count(outcome));
    findings.acknowledged += done as u64;
    findings.refused += (shed + undone) as u64;
    findings.unknown += unknown as u64;
    findings.faults += shed as u64;
    let share = shares[shares.len() / 2];
    let least = if cfg!(optimised) { GOODPUT_MIN } else { GOODPUT_MIN_UNOPTIMISED };
    findings.bar(
        &format!("goodput at twice the load ≥ {:.0} % of the peak", least * 100.0),
        share >= least,
        format!(
            "{:.0} % ({:.0} to {:.0} %) of {} orders/s, {} sent",
            share * 100.0,
            shares[0] * 100.0,
            shares[shares.len() - 1] * 100.0,
            peaks.join(", "),
            volley.shots.len()
        ),
    );
    findings.note(format!(
        "{done} done (p99 {:.0?}), {shed} refused (p99 {:.0?} as the sender saw it), {undone} undone, {unknown} unknown",
        volley.p99(Outcome::Done),
        volley.p99(Outcome::Shed)
    ));
    let late = late_refusals(world).await?;
    findings.bar(
        "the excess is refused within 50 ms",
        late <= LATE_OF_REFUSED_MAX,
        format!("{:.2} % later", late * 100.0),
    );
    findings.bar(
        "what is accepted is done",
        undone + unknown == 0,
        format!("{undone} undone, {unknown} unknown"),
    );
    let refused = volley.shots.iter().filter(|shot| shot.outcome == Outcome::Shed);
    let refused: Vec<&str> = refused.map(|shot| shot.request_id.as_str()).collect();
    let mut sagas = world.connect(MeshService::Orchestrator).await?;
    let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM sagas WHERE request_id = ANY($1::uuid[])")
        .bind(&refused)
        .fetch_one(&mut sagas)
        .await
        .context("look for sagas of refused orders")?;
    if effects > 0 {
        findings
            .contradicts(format!("{effects} orders were refused for want of room, and yet there are sagas"));
    }
    Ok(())
}

/// The share of refusals for want of room that took the orchestrators longer than P10 allows, by their own clocks.
async fn late_refusals(world: &World) -> Result<f64> {
    let (mut all, mut quick) = (0.0, 0.0);
    for at in world.mesh.addresses(MeshService::Orchestrator) {
        let page = ready::get(at.ops, "/metrics").await.context("read the metrics")?;
        let lines =
            page.lines().filter(|line| line.contains("CreateOrder") && line.contains("RESOURCE_EXHAUSTED"));
        for line in lines {
            let value: f64 = line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_default();
            if line.starts_with("rpc_server_call_duration_seconds_count") {
                all += value;
            } else if line.contains(&format!("le=\"{}\"", REFUSED_WITHIN.as_secs_f64())) {
                quick += value;
            }
        }
    }
    anyhow::ensure!(all > 0.0, "nothing was refused for want of room");
    Ok((all - quick) / all)
}

/// How long it took until a few clients were served as before, and how that was.
async fn recovery(battery: &Battery, calm: Duration, ended: Instant) -> Result<Option<(Duration, Duration)>> {
    while ended.elapsed() < RECOVERY_MAX {
        let p99 = battery.closed(CALM_CLIENTS, LOOK).await?.p99(Outcome::Done);
        if p99 > Duration::ZERO && p99 <= calm.mul_f64(BACK) {
            return Ok(Some((ended.elapsed(), p99)));
        }
    }
    Ok(None)
}

/// Megabytes that all services together have in memory.
fn resident_mb(world: &World) -> Result<f64> {
    let mut kilobytes = 0.0;
    for service in MeshService::ALL {
        for pid in world.mesh.pids(*service) {
            let status =
                std::fs::read_to_string(format!("/proc/{pid}/status")).context("read a process's memory")?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
            kilobytes += line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default();
        }
    }
    Ok(kilobytes / 1024.0)
}
