//! V12: the same request many times at once through both replicas, with another payload, and again after a restart of
//! everything. One effect, one answer.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, MeshService};
use futures::future::join_all;
use prost_reflect::{DynamicMessage, Value};

use crate::effects::{self, growth};
use crate::findings::Findings;
use crate::fuzz::frame::whole;
use crate::fuzz::rpc::{self, Rpc};
use crate::fuzz::wire::{Answer, Line};
use crate::postgres;
use crate::ready;
use crate::spells::{self, Spell};
use crate::stage::Stage;
use crate::wait::until;
use crate::world::{Plan, World};

const ALREADY_EXISTS: i32 = 6;
/// Answers with these codes say nothing: ask again.
const UNKNOWN: [i32; 5] = [1, 2, 4, 8, 14];

/// Lines to every replica, and what can be sent over them.
struct Mouths {
    lines: BTreeMap<MeshService, Vec<Line>>,
    rpcs: Vec<Rpc>,
}

/// What was said, and what it was answered.
struct Told {
    spell: Spell,
    answer: String,
}

/// Says everything many times.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut world = stage.world(Plan { durable: true, ..Plan::default() }).await?;
    let mouths = Mouths::of(&world)?;
    let api = world.api()?;
    let mut told = Vec::new();
    for _ in 0..stage.count("rounds")? {
        told.extend(round(&world, &api, &mouths, stage.count("copies")?, &mut findings).await?);
    }
    restart_everything(&mut world, &mut findings).await?;
    for one in &told {
        for replica in 0..world.plan.replicas {
            let (replayed, answer) = mouths.until_answered(one.spell.path, &one.spell.said, replica).await?;
            if answer != one.answer || !replayed {
                findings.contradicts(format!(
                    "{}: answered {}, and after the restart {answer} (replayed: {replayed})",
                    one.spell.path, one.answer
                ));
            }
            mouths.reused(&one.spell, replica).await?.into_iter().for_each(|what| findings.contradicts(what));
        }
    }
    findings.note(format!("{} commands were said again after everything was restarted", told.len()));
    world.prove(&[], &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

/// Every command once alone, to see what one effect is, and another one many times.
async fn round(
    world: &World,
    api: &Api,
    mouths: &Mouths,
    copies: usize,
    findings: &mut Findings,
) -> Result<Vec<Told>> {
    let alone = spells::all(api).await?;
    let together = spells::all(api).await?;
    let mut told = Vec::new();
    for (alone, spell) in alone.into_iter().zip(together) {
        let before = effects::count(world).await?;
        mouths.until_answered(alone.path, &alone.said, 0).await?;
        let between = effects::count(world).await?;
        let answer = storm(mouths, &spell, copies, findings).await?;
        findings.faults += copies as u64 - 1;
        let after = effects::count(world).await?;
        let (one_effect, seen) = (growth(&before, &between), growth(&between, &after));
        if one_effect != seen {
            findings
                .contradicts(format!("{}: one effect is {one_effect:?}, and there was {seen:?}", spell.path));
        }
        let altered = join_all((0..copies).map(|at| mouths.reused(&spell, at))).await;
        for wrong in altered {
            findings.refused += 1;
            wrong?.into_iter().for_each(|what| findings.contradicts(what));
        }
        let more = growth(&after, &effects::count(world).await?);
        if !more.is_empty() {
            findings.contradicts(format!("{}: another payload had an effect: {more:?}", spell.path));
        }
        told.push(Told { spell, answer });
    }
    Ok(told)
}

/// Says one command many times at once; the one answer that all got.
async fn storm(mouths: &Mouths, spell: &Spell, copies: usize, findings: &mut Findings) -> Result<String> {
    let answers = join_all((0..copies).map(|at| mouths.until_answered(spell.path, &spell.said, at))).await;
    let answers: Vec<(bool, String)> = answers.into_iter().collect::<Result<_>>()?;
    let firsts = answers.iter().filter(|(replayed, _)| !replayed).count();
    let (_, first) = answers.first().context("somebody was answered")?.clone();
    let others = answers.iter().filter(|(_, answer)| *answer != first).count();
    findings.acknowledged += answers.len() as u64;
    // A refusal carries its mark in its details, which are not looked at here.
    if others > 0 || firsts != 1 && !first.starts_with("refused") {
        findings.contradicts(format!(
            "{}: {others} other answers than {first}, {firsts} are no replays",
            spell.path
        ));
    }
    Ok(first)
}

/// The database crashes and every process is killed, all at once.
async fn restart_everything(world: &mut World, findings: &mut Findings) -> Result<()> {
    let every = || MeshService::ALL.iter().flat_map(|service| [(*service, 0), (*service, 1)]);
    let mut starts = Vec::new();
    for (service, index) in every() {
        starts.push(world.mesh.starts(service, index)?);
        world.mesh.kill9(service, index)?;
    }
    postgres::crash(world)?;
    for ((service, index), before) in every().zip(starts) {
        until("a killed process is started again", async || {
            Ok((world.mesh.starts(service, index)? > before).then_some(()))
        })
        .await?;
        world.mesh.wait_until_up(service, index).await?;
        findings.fault();
    }
    findings.healed(ready::all(world).await?);
    Ok(())
}

impl Mouths {
    fn of(world: &World) -> Result<Self> {
        ensure!(world.plan.replicas == 2, "this row is about two replicas");
        let mut lines = BTreeMap::new();
        for service in MeshService::ALL {
            let to = world.mesh.addresses(*service).into_iter();
            let to =
                to.map(|at| Line::to(at.public, rpc::Door::Public, ADMIN_TOKEN)).collect::<Result<_>>()?;
            lines.insert(*service, to);
        }
        Ok(Self { lines, rpcs: rpc::every()? })
    }

    /// Says a command with another payload; what is wrong about the answer.
    async fn reused(&self, spell: &Spell, replica: usize) -> Result<Option<String>> {
        let (_, answer) = self.until_answered(spell.path, &spell.altered, replica).await?;
        let right = answer.starts_with(&format!("refused {ALREADY_EXISTS}"));
        Ok((!right).then(|| format!("{}: another payload was answered {answer}", spell.path)))
    }

    /// Whether the answer is a replay, and the rest of it; asked again while nobody knows.
    async fn until_answered(&self, path: &str, said: &[u8], replica: usize) -> Result<(bool, String)> {
        let rpc = self.rpcs.iter().find(|rpc| rpc.path == path).context("an RPC of ours")?;
        let lines = &self.lines[&rpc.service];
        until("a command is answered", async || {
            match lines[replica % lines.len()].send(path, whole(said)).await {
                Answer::Good(bytes) => {
                    let mut answer =
                        DynamicMessage::decode(rpc.output.clone(), bytes).context("read an answer")?;
                    let replayed =
                        answer.get_field_by_name("replayed").is_some_and(|mark| *mark == Value::Bool(true));
                    answer.clear_field_by_name("replayed");
                    Ok(Some((replayed, answer.to_string())))
                }
                Answer::Refused(code, _) if UNKNOWN.contains(&code) => Ok(None),
                // What was refused once is always said to be refused.
                Answer::Refused(code, words) => Ok(Some((true, format!("refused {code}: {words}")))),
                Answer::Nothing(_) => Ok(None),
                Answer::Http(status) => anyhow::bail!("{path} was answered with HTTP {status}"),
            }
        })
        .await
    }
}
