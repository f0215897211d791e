//! What is played: every kind of saga, refusals before and within a saga, repeated commands, a participant that is mute for a
//! while, an operator's pause, and an orchestrator that is killed.

use std::collections::BTreeSet;
use std::fmt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::mesh::{Mesh, Saga};
use super::running::signal;

/// A small recording of creates, cancels and matches.
const FLOW: &str = "crates/brokerctl/samples/sample_flow.csv";
/// Longer than an attempt of a step, so that steps become unknown and a breaker opens.
const MUTE: Duration = Duration::from_secs(4);
/// By then even what a killed process drove has been taken over and ended.
const END: Duration = Duration::from_secs(120);

/// What was done.
#[derive(Default)]
pub struct Played {
    flows: usize,
    refused: usize,
    muted: usize,
    paused: usize,
    killed: usize,
    /// Sagas that were there when the process was killed: what it had not sent yet is gone with it.
    pub at_risk: BTreeSet<String>,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flows, refused, muted, paused, killed, at_risk: _ } = self;
        write!(
            f,
            "{flows} recordings, {refused} refusals, {muted} participants mute, {paused} sagas paused, {killed} \
             orchestrators killed"
        )
    }
}

/// Plays it all, and waits until every saga has ended. Before a process is killed, `is_told` waits for what is exported
/// of the sagas so far: what has not left the process by then is lost with it.
///
/// # Errors
/// What should have succeeded and did not.
pub fn play(mesh: &Mesh, is_told: impl Fn(&[Saga]) -> Result<()>) -> Result<Played> {
    let mut played = Played::default();
    flow(mesh, &mut played)?;
    refusals(mesh, &mut played)?;
    mute(mesh, &mut played)?;
    flow(mesh, &mut played)?;
    ended(mesh)?;
    let before = mesh.sagas()?;
    is_told(&before)?;
    kill(mesh, &before, &mut played)?;
    flow(mesh, &mut played)?;
    ended(mesh)?;
    Ok(played)
}

fn flow(mesh: &Mesh, played: &mut Played) -> Result<()> {
    let output = mesh.ask("token-admin", &["replay", FLOW, "--concurrency", "8"])?;
    if !output.status.success() {
        bail!("replay: {}", String::from_utf8_lossy(&output.stderr));
    }
    played.flows += 1;
    Ok(())
}

fn order<'a>(side: &'a str, price: &'a str, quantity: &'a str) -> Vec<&'a str> {
    vec!["order", "create", "--instrument", "THYAO", "--side", side, "--price", price, "--quantity", quantity]
}

/// The order that this command made.
fn placed(mesh: &Mesh, token: &str, args: &[&str]) -> Result<String> {
    let answer = mesh.call(token, args)?;
    Ok(answer["order_id"].as_str().context("an order has an id")?.to_owned())
}

/// Refused by a rule before there is a saga, by a participant within one, and by the state of an order. And one command twice.
fn refusals(mesh: &Mesh, played: &mut Played) -> Result<()> {
    for args in [order("buy", "300", "-1"), order("buy", "300", "900000"), order("sell", "300", "5")] {
        for _ in 0..3 {
            // Customer A has no shares, and not so much money.
            if mesh.ask("token-customer-a", &args)?.status.success() {
                continue;
            }
            played.refused += 1;
        }
    }
    let (buy, sell) = (
        placed(mesh, "token-customer-a", &order("buy", "300", "10"))?,
        placed(mesh, "token-customer-b", &order("sell", "299", "4"))?,
    );
    mesh.call("token-admin", &["order", "match", &buy, &sell])?;
    if !mesh.ask("token-admin", &["order", "match", &buy, &sell])?.status.success() {
        played.refused += 1;
    }
    mesh.call("token-customer-a", &["order", "cancel", &buy])?;
    if !mesh.ask("token-customer-b", &["order", "cancel", &sell])?.status.success() {
        played.refused += 1;
    }
    let mut again = order("buy", "10", "1");
    again.extend(["--request-id", "0b6e2a4c-6f0f-4f0e-9a55-2f7c0d3a1b11"]);
    let (first, second) =
        (placed(mesh, "token-customer-a", &again)?, placed(mesh, "token-customer-a", &again)?);
    anyhow::ensure!(first == second, "a repeated command made another order");
    Ok(())
}

/// Stops the processes of asset-svc under a few orders, and pauses one of their sagas.
fn mute(mesh: &Mesh, played: &mut Played) -> Result<()> {
    let assets: Vec<u32> = pids(mesh, "asset-svc")?;
    for pid in &assets {
        signal("STOP", *pid)?;
    }
    let begun = Instant::now();
    let args = order("buy", "12.5", "1");
    let mut commands = Vec::new();
    for _ in 0..4 {
        let mut command = mesh.command("token-customer-a", &args);
        commands.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    }
    let paused = pause_one(mesh);
    while begun.elapsed() < MUTE {
        std::thread::sleep(Duration::from_millis(100));
    }
    for pid in &assets {
        signal("CONT", *pid)?;
    }
    played.muted += assets.len();
    for mut command in commands {
        // Whether it was done or undone: it has an answer, or will have one.
        command.wait()?;
    }
    if let Some(id) = paused? {
        mesh.ask("token-admin", &["saga", "retry", &id, "--reason", "observed"])?;
        played.paused += 1;
    }
    Ok(())
}

/// Pauses a saga that is under way, if one can be found in time.
fn pause_one(mesh: &Mesh) -> Result<Option<String>> {
    let begun = Instant::now();
    while begun.elapsed() < MUTE {
        let unended = mesh.unended()?;
        if let Some(id) = unended.first().and_then(|saga: &Value| saga["saga_id"].as_str()) {
            let done = mesh.ask("token-admin", &["saga", "pause", id, "--reason", "observed"])?;
            return Ok(done.status.success().then(|| id.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(None)
}

/// Kills an orchestrator in the middle of a recording; the other one takes its sagas over.
fn kill(mesh: &Mesh, before: &[Saga], played: &mut Played) -> Result<()> {
    let victim = pids(mesh, "saga-orchestrator")?.into_iter().next().context("there is an orchestrator")?;
    let mut replay = mesh.command("token-admin", &["replay", FLOW, "--concurrency", "8"]);
    let mut replay = replay.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    while mesh.unended()?.is_empty() && begun.elapsed() < END {}
    signal("KILL", victim)?;
    played.killed += 1;
    // The first call may still go to the process that is gone.
    played.at_risk = super::until("an orchestrator that answers", || mesh.ids())?;
    for saga in before {
        played.at_risk.remove(&saga.id);
    }
    // Some of its calls have lost their process. What they began ends nevertheless.
    replay.wait()?;
    Ok(())
}

fn pids(mesh: &Mesh, service: &str) -> Result<Vec<u32>> {
    let processes = mesh.processes()?;
    Ok(processes
        .into_iter()
        .filter(|process| process.service == service)
        .map(|process| process.pid)
        .collect())
}

fn ended(mesh: &Mesh) -> Result<()> {
    let begun = Instant::now();
    loop {
        let unended = mesh.unended()?;
        if unended.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > END {
            bail!("{} sagas do not end, such as {}", unended.len(), unended[0]);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
