//! V15: messages that nobody meant, for every RPC of every service, and bytes that are no message.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerctl::dev::{ADMIN_TOKEN, MeshService};
use fastrand::Rng;
use futures::StreamExt;
use prost_reflect::prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::effects::{self, growth};
use crate::findings::Findings;
use crate::fuzz::frame::{Frame, broken, noise, whole};
use crate::fuzz::message::{Known, Source};
use crate::fuzz::rpc::{self, Door, Rpc};
use crate::fuzz::wire::{Answer, Line};
use crate::load::{Command, Verdict, ask};
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

/// How many calls are under way at the same time.
const WIDTH: usize = 8;
/// So many of a hundred values are off, in turn.
const STRANGE_PERCENTS: [u8; 4] = [0, 4, 15, 50];
/// One broken body for so many messages.
const MESSAGES_PER_BROKEN: usize = 4;
const NOISE_MAX: usize = 2_000;
/// What a caller must never be told, whatever it sends: UNKNOWN, INTERNAL, DATA_LOSS.
const OURS: [i32; 3] = [2, 13, 15];
/// UNAVAILABLE and DEADLINE_EXCEEDED.
const BUSY: [i32; 2] = [4, 14];

/// What came back for one RPC.
#[derive(Debug, Default)]
struct Tally {
    good: u64,
    refused: u64,
    busy: u64,
    left: u64,
    ours: Vec<String>,
}

/// Sends everything, and looks for what it has changed.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let world = stage.world(Plan { replicas: 1, ..Plan::default() }).await?;
    let starts = starts(&world)?;
    let known = known(&world).await?;
    let messages = stage.count("messages for each RPC")?;
    let rpcs = rpc::every()?;
    let (mut busy, mut silent) = (0, Vec::new());
    for rpc in &rpcs {
        let line = line(&world, rpc)?;
        let before = effects::count(&world).await?;
        let meant = meant(&mut rng, &known, rpc, messages);
        let tally = send(&line, rpc, meant).await;
        let between = effects::count(&world).await?;
        if tally.good == 0 {
            silent.push(rpc.path.rsplit('/').next().unwrap_or_default());
        }
        if tally.good == 0 && tally.busy == 0 && between != before {
            let effect = growth(&before, &between);
            findings.contradicts(format!("{}: everything was refused, and yet {effect:?}", rpc.path));
        }
        let bodies = (0..messages / MESSAGES_PER_BROKEN).map(|_| {
            let percent = STRANGE_PERCENTS[rng.usize(..STRANGE_PERCENTS.len())];
            let mut source = Source { rng: rng.fork(), known: &known, strange_percent: percent };
            let message = source.message(&rpc.input).encode_to_vec();
            (broken(&mut rng, &message), hex(&message))
        });
        let bodies: Vec<_> = bodies.collect();
        let wrecks = send(&line, rpc, bodies).await;
        let after = effects::count(&world).await?;
        if wrecks.good == 0 && wrecks.busy == 0 && wrecks.left == 0 && after != between {
            let effect = growth(&between, &after);
            findings.contradicts(format!("{}: only broken bodies came, and yet {effect:?}", rpc.path));
        }
        for tally in [tally, wrecks] {
            findings.acknowledged += tally.good;
            findings.refused += tally.refused;
            findings.unknown += tally.left + tally.busy;
            findings.faults += tally.refused + tally.left;
            busy += tally.busy;
            tally.ours.into_iter().for_each(|what| findings.contradicts(what));
        }
    }
    findings.faults += shout(&world, &mut rng, stage.count("noisy connections")?).await?;
    findings.bar("0 calls without an answer in time", busy == 0, busy);
    findings.note(format!("{} of {} RPCs never said OK: {silent:?}", silent.len(), rpcs.len()));
    alive(&world, &starts, &mut findings).await?;
    world.prove(&[], &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

/// Messages from the descriptor.
fn meant(rng: &mut Rng, known: &Known, rpc: &Rpc, messages: usize) -> Vec<(Frame, String)> {
    let mut drawn = Vec::new();
    for percent in STRANGE_PERCENTS {
        let mut source = Source { rng: rng.fork(), known, strange_percent: percent };
        for _ in 0..messages.div_ceil(STRANGE_PERCENTS.len()) {
            let message = source.message(&rpc.input).encode_to_vec();
            drawn.push((whole(&message), hex(&message)));
        }
    }
    drawn
}

async fn send(line: &Line, rpc: &Rpc, bodies: Vec<(Frame, String)>) -> Tally {
    let calls = bodies.into_iter().map(|(frame, shown)| async move {
        let is_finished = frame.is_finished;
        let answer =
            if rpc.is_stream { line.peek(&rpc.path, frame).await } else { line.send(&rpc.path, frame).await };
        (answer, is_finished, shown)
    });
    let mut answers = futures::stream::iter(calls).buffer_unordered(WIDTH);
    let mut tally = Tally::default();
    while let Some((answer, is_finished, shown)) = answers.next().await {
        let path = &rpc.path;
        match answer {
            Answer::Good(_) => tally.good += 1,
            Answer::Refused(code, words) if OURS.contains(&code) => {
                tally.ours.push(format!("{path} answered {code} ({words}) to {shown}"));
            }
            Answer::Refused(code, _) if BUSY.contains(&code) => tally.busy += 1,
            Answer::Refused(..) | Answer::Http(_) => tally.refused += 1,
            // A stream that goes on is left; a body that never ends is not waited for.
            Answer::Nothing(_) if !is_finished || rpc.is_stream => tally.left += 1,
            Answer::Nothing(why) => tally.ours.push(format!("{path} did not answer ({why}): {shown}")),
        }
    }
    tally
}

/// Bytes that are no HTTP/2, to every listener.
async fn shout(world: &World, rng: &mut Rng, connections: usize) -> Result<u64> {
    let mut heard = 0;
    for service in MeshService::ALL {
        for at in world.mesh.addresses(*service) {
            for address in [at.public, at.internal, at.ops] {
                for _ in 0..connections {
                    let mut stream = TcpStream::connect(address).await.context("connect to a listener")?;
                    // The listener may hang up in the middle: that is what it should do.
                    heard += u64::from(stream.write_all(&noise(rng, NOISE_MAX)).await.is_ok());
                }
            }
        }
    }
    Ok(heard)
}

/// Nobody was started again, everybody is ready, and an order goes through.
async fn alive(world: &World, before: &BTreeMap<MeshService, u32>, findings: &mut Findings) -> Result<()> {
    let now = starts(world)?;
    findings.bar("no process has ended", now == *before, format!("started {now:?} times"));
    crate::ready::all(world).await?;
    let api = world.api()?;
    until("an order goes through", async || {
        Ok(ask(&api, &Command::create("fuzz-a", Side::Buy, 1)).await.ok())
    })
    .await
    .map(drop)
}

fn starts(world: &World) -> Result<BTreeMap<MeshService, u32>> {
    MeshService::ALL.iter().map(|service| Ok((*service, world.mesh.starts(*service, 0)?))).collect()
}

fn line(world: &World, rpc: &Rpc) -> Result<Line> {
    let addresses = world.mesh.addresses(rpc.service);
    let at = addresses.first().context("the service has a process")?;
    let address = match rpc.door {
        Door::Public => at.public,
        Door::Internal => at.internal,
    };
    Line::to(address, rpc.door, ADMIN_TOKEN)
}

/// Customers, assets and orders that some messages are about.
async fn known(world: &World) -> Result<Known> {
    let rich: &[(&str, &str)] = &[("TRY", "1000000"), ("THYAO", "10000"), ("GARAN", "10000")];
    let customers = ["fuzz-a", "fuzz-b"].map(str::to_owned).to_vec();
    for customer in &customers {
        world.customer(customer, rich).await?;
    }
    let api = world.api()?;
    let (mut orders, mut request_ids) = (Vec::new(), Vec::new());
    for at in 0..8 {
        let (customer, side) = if at % 2 == 0 { ("fuzz-a", Side::Buy) } else { ("fuzz-b", Side::Sell) };
        let command = Command::create(customer, side, 5);
        if let Command::Create(request) = &command {
            request_ids.push(request.request_id.clone());
        }
        if let (Verdict::Done { id, .. }, _) = ask(&api, &command).await.context("place an order")? {
            orders.push(id);
        }
    }
    let strings = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    let (assets, symbols) = (strings(&["TRY", "THYAO", "GARAN"]), strings(&["THYAO", "GARAN"]));
    Ok(Known { customers, assets, symbols, orders, request_ids })
}

/// Enough of a message to send it again.
fn hex(message: &[u8]) -> String {
    const SHOWN_MAX: usize = 200;
    message.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}")).collect()
}
