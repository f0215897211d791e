//! V14: many commands on few orders and accounts, from both sides, without one deadlock; and one account that everybody
//! wants, nearly as fast as plain SQL.

use std::time::Duration;

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerctl::api::Api;
use brokerctl::dev::MeshService;
use futures::StreamExt;
use futures::future::try_join_all;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use crate::findings::Findings;
use crate::hot;
use crate::load::{Command, Verdict, ask};
use crate::postgres;
use crate::stage::Stage;
use crate::world::{Plan, World};

/// Few, so that everybody meets everybody.
const CUSTOMERS: usize = 4;
const ORDERS_OF_EACH: usize = 2;
const QUANTITY: u64 = 1_000_000;
const RICH: [(&str, &str); 2] = [("TRY", "100000000000"), ("THYAO", "100000000")];
/// Lanes of each process: with two processes, four connections write into each database.
const LANES: &str = "2";
/// One command in so many cancels.
const CANCEL_ONE_IN: u8 = 10;
/// What the mesh reaches of the baseline, in the form that is built for it and in the one that is not.
const SHARE_MIN: f64 = 0.6;
const SHARE_MIN_UNOPTIMISED: f64 = 0.3;
const HOT_CLIENTS: usize = 64;
const HOT: &str = "hot-customer";

/// An order that is matched again and again.
#[derive(Clone, Debug)]
struct Quote {
    id: String,
    customer: usize,
}

/// Everybody against everybody, then everybody on one account.
///
/// # Errors
/// The mesh cannot be started, asked or stopped.
pub async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut rng = stage.rng();
    let lanes = MeshService::ALL.iter().map(|service| (*service, "DATABASE__LANES", LANES.to_owned()));
    let plan = Plan { durable: true, settings: lanes.collect(), ..Plan::default() };
    let mut world = stage.world(plan).await?;
    let counter_works = counts_deadlocks(&world).await?;
    findings.bar("a deadlock that was made is counted", counter_works >= 1, counter_works);
    let before = deadlocks(&world).await?;
    let (done, refused) = oppose(&world, stage, &mut rng).await?;
    let seen = deadlocks(&world).await? - before;
    findings.bar("0 deadlocks", seen == 0, format!("{seen} in {done} commands done and {refused} refused"));
    findings.faults += done;
    findings.acknowledged += done;
    findings.refused += refused;
    heat(&mut world, stage, &mut findings).await?;
    let after = deadlocks(&world).await? - before;
    findings.bar("0 deadlocks on the hot account", after == seen, after - seen);
    world.prove(&[], &mut findings).await?;
    world.stop().await?;
    Ok(findings)
}

/// Matches in both directions between the same few orders, and cancels among them; how many were done and refused.
async fn oppose(world: &World, stage: &Stage, rng: &mut fastrand::Rng) -> Result<(u64, u64)> {
    let api = world.api()?;
    let names: Vec<String> = (0..CUSTOMERS).map(name).collect();
    try_join_all(names.iter().map(|name| world.customer(name, &RICH))).await?;
    let (mut buys, mut sells) = (Vec::new(), Vec::new());
    for at in 0..CUSTOMERS * ORDERS_OF_EACH {
        buys.push(Mutex::new(quote(&api, at % CUSTOMERS, Side::Buy).await?));
        sells.push(Mutex::new(quote(&api, at % CUSTOMERS, Side::Sell).await?));
    }
    let commands = (0..stage.count("opposing commands")?).map(|_| {
        let (api, mut rng, buys, sells) = (&api, rng.fork(), &buys, &sells);
        async move { clash(api, buys, sells, &mut rng).await }
    });
    let mut answers = futures::stream::iter(commands).buffer_unordered(stage.count("clients")?);
    let (mut done, mut refused) = (0, 0);
    while let Some(answer) = answers.next().await {
        match answer? {
            Some(Verdict::Done { .. }) => done += 1,
            Some(Verdict::Refused(_)) | None => refused += 1,
        }
    }
    Ok((done, refused))
}

/// One command on orders that others use at the same time. `None`: nobody knows what came of it.
async fn clash(
    api: &Api,
    buys: &[Mutex<Quote>],
    sells: &[Mutex<Quote>],
    rng: &mut fastrand::Rng,
) -> Result<Option<Verdict>> {
    if rng.u8(..CANCEL_ONE_IN) == 0 {
        let (side, quotes) = if rng.bool() { (Side::Buy, buys) } else { (Side::Sell, sells) };
        let place = &quotes[rng.usize(..quotes.len())];
        let Quote { id, customer } = place.lock().await.clone();
        let answer = ask(api, &Command::cancel(&id)).await.ok();
        // Whoever canceled it puts another one in its place.
        if matches!(answer, Some((Verdict::Done { .. }, _))) {
            let next = quote(api, customer, side).await?;
            *place.lock().await = next;
        }
        return Ok(answer.map(|(verdict, _)| verdict));
    }
    let (buy, sell) = loop {
        let buy = buys[rng.usize(..buys.len())].lock().await.clone();
        let sell = sells[rng.usize(..sells.len())].lock().await.clone();
        if buy.customer != sell.customer {
            break (buy, sell);
        }
    };
    let mut command = Command::matched(&buy.id, &sell.id);
    if let Command::Match(request) = &mut command {
        request.quantity = "1".to_owned();
    }
    Ok(ask(api, &command).await.ok().map(|(verdict, _)| verdict))
}

async fn quote(api: &Api, customer: usize, side: Side) -> Result<Quote> {
    match ask(api, &Command::create(&name(customer), side, QUANTITY)).await.context("place an order")? {
        (Verdict::Done { id, .. }, _) => Ok(Quote { id, customer }),
        (Verdict::Refused(reason), _) => anyhow::bail!("an order was refused: {reason}"),
    }
}

/// The mesh and the baseline in turn, so that a slow second of the machine hits both.
async fn heat(world: &mut World, stage: &Stage, findings: &mut Findings) -> Result<()> {
    let time = Duration::from_secs(stage.count("seconds on the hot account")? as u64);
    world.customer(HOT, &RICH).await?;
    hot::prepare_baseline(world).await?;
    let (mut ours, mut theirs) = (0.0, 0.0);
    for run in 1..=2 {
        ours += hot::mesh(world, HOT, HOT_CLIENTS, time / 2).await? / 2.0;
        theirs += hot::baseline(world, run, HOT_CLIENTS, time / 2).await? / 2.0;
    }
    let least = if cfg!(optimised) { SHARE_MIN } else { SHARE_MIN_UNOPTIMISED };
    let share = ours / theirs.max(1.0);
    findings.bar(
        &format!("one hot account ≥ {least} × plain ordered SQL"),
        share >= least,
        format!("{share:.2} × ({ours:.0} and {theirs:.0} orders/s)"),
    );
    Ok(())
}

/// Of all databases of the cluster.
async fn deadlocks(world: &World) -> Result<i64> {
    let mut admin = postgres::superuser(world).await?;
    let query = "SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database";
    sqlx::query_scalar(query).fetch_one(&mut admin).await.context("count the deadlocks")
}

/// Makes one deadlock in a table of its own; how many the cluster has counted then.
async fn counts_deadlocks(world: &World) -> Result<i64> {
    let (mut one, mut other) = (postgres::superuser(world).await?, postgres::superuser(world).await?);
    let before = deadlocks(world).await?;
    sqlx::raw_sql("CREATE TABLE two (id int PRIMARY KEY); INSERT INTO two VALUES (1), (2)")
        .execute(&mut one)
        .await?;
    let (mut first, mut second) = (one.begin().await?, other.begin().await?);
    lock(&mut first, 1).await?;
    lock(&mut second, 2).await?;
    let (a, b) = tokio::join!(lock(&mut first, 2), async {
        let waited = lock(&mut second, 1).await;
        second.rollback().await?;
        waited
    });
    anyhow::ensure!(a.is_err() != b.is_err(), "two sessions that wait for each other: one is a victim");
    first.rollback().await?;
    drop((one, other));
    crate::wait::until("the deadlock is counted", async || {
        let counted = deadlocks(world).await? - before;
        Ok((counted > 0).then_some(counted))
    })
    .await
}

async fn lock(session: &mut PgConnection, id: i32) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT 1 FROM two WHERE id = $1 FOR UPDATE").bind(id).execute(session).await.map(drop)
}

fn name(customer: usize) -> String {
    format!("quoting-{customer}")
}
