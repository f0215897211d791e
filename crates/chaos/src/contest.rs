//! Two commands that want the same order, sent at nearly the same time.
//!
//! How long one of them waits is drawn around a lead that moves towards whoever loses, so that both win often.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest};
use brokerage_types::Reason;
use brokerctl::api::Api;
use brokerctl::dev::MeshService;
use sqlx::Connection;
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::{Command, Entry, Verdict, ask, one_share};
use crate::wait::until_within;
use crate::world::World;

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// A balance is held for no longer than this.
const HELD_MAX: Duration = Duration::from_millis(400);
/// The lead changes by so much when somebody loses.
const STEP_US: i64 = 300;
/// Waits differ by so much from the lead.
const SPREAD_US: i64 = 4_000;
/// No lead is longer.
const LEAD_US_MAX: i64 = 40_000;

/// Who had to wait how long, so far.
#[derive(Debug, Default)]
pub struct Lead(AtomicI64);

impl Lead {
    /// How long the first and the second side wait this time.
    pub fn draw(&self, rng: &mut fastrand::Rng) -> [Duration; 2] {
        let lead = self.0.load(Ordering::Relaxed) + rng.i64(-SPREAD_US..=SPREAD_US);
        let wait = |us: i64| Duration::from_micros(us.max(0).unsigned_abs());
        [wait(-lead), wait(lead)]
    }

    /// The first side has won: it waits longer from now on.
    pub fn moves(&self, first_won: bool) {
        let step = if first_won { -STEP_US } else { STEP_US };
        let moved = self.0.load(Ordering::Relaxed) + step;
        self.0.store(moved.clamp(-LEAD_US_MAX, LEAD_US_MAX), Ordering::Relaxed);
    }
}

/// How a contest ended: its commands in the order in which they took effect, and what is wrong about that.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whether the match, or the create, has won.
    pub first_won: bool,
    /// Both gave up, for want of time: nobody has won.
    pub undecided: bool,
    /// For the history.
    pub entries: Vec<Entry>,
    /// Answers that cannot both be true.
    pub wrong: Option<String>,
}

/// Places a buy and a sell order of two shares, then matches `quantity` of them and cancels one at the same time.
///
/// # Errors
/// The mesh could not be asked.
pub async fn match_against_cancel(
    api: &Api,
    customers: [&str; 2],
    quantity: u64,
    waits: [Duration; 2],
    cancel_the_buy: bool,
) -> Result<Ended> {
    let buy = until_answered(api, Command::create(customers[0], Side::Buy, 2)).await?;
    let sell = until_answered(api, Command::create(customers[1], Side::Sell, 2)).await?;
    let (buy_id, sell_id) = (placed(&buy)?, placed(&sell)?);
    let mut matched = Command::matched(&buy_id, &sell_id);
    if let Command::Match(request) = &mut matched {
        request.quantity = quantity.to_string();
    }
    let cancel = Command::cancel(if cancel_the_buy { &buy_id } else { &sell_id });
    let (matched, canceled) = tokio::try_join!(after(waits[0], api, matched), after(waits[1], api, cancel))?;
    let wins = |entry: &Entry| matches!(entry.verdict, Some(Verdict::Done { .. }));
    let (first_won, second_won) = (wins(&matched), wins(&canceled));
    let gave_up =
        [&matched, &canceled].iter().any(|entry| entry.verdict == Some(Verdict::Refused(Reason::GaveUp)));
    // The whole order goes to one of them; of a part, what is left can be canceled after the match.
    let right = if quantity == 2 { first_won != second_won } else { second_won };
    let wrong = (!right && !gave_up).then(|| format!("{:?} and {:?}", matched, canceled));
    let race = if first_won { [matched, canceled] } else { [canceled, matched] };
    let undecided = !first_won && !second_won;
    Ok(Ended { first_won, undecided, entries: [buy, sell].into_iter().chain(race).collect(), wrong })
}

/// Places an order, and cancels it by its label as soon as there is one.
///
/// # Errors
/// The mesh could not be asked.
pub async fn create_against_cancel(api: &Api, customer: &str, waits: [Duration; 2]) -> Result<Ended> {
    let request = one_share(customer, Side::Buy);
    let (created, canceled) = tokio::try_join!(
        after(waits[0], api, Command::Create(request.clone())),
        cancel_once_it_is_there(waits[1], api, &request)
    )?;
    let first_won = matches!(created.verdict, Some(Verdict::Done { .. }));
    let canceled_it = matches!(canceled.verdict, Some(Verdict::Done { .. }));
    let refused = |entry: &Entry, reason| entry.verdict == Some(Verdict::Refused(reason));
    let gave_up = refused(&created, Reason::GaveUp) || refused(&canceled, Reason::GaveUp);
    // A create that lost says so, and the order is canceled either way.
    let right = canceled_it && (first_won || refused(&created, Reason::CancelAsked));
    let wrong = (!right && !gave_up).then(|| format!("{created:?} and {canceled:?}"));
    Ok(Ended { first_won, undecided: gave_up, entries: vec![created, canceled], wrong })
}

/// The same, forced: the order's hold waits for its customer's balance until the cancel has left its mark on the order.
///
/// # Errors
/// The mesh or a database could not be asked.
pub async fn forced_cancel_of_create(world: &World, api: &Api, customer: &str) -> Result<Ended> {
    let mut assets = world.connect(MeshService::Asset).await?;
    let mut orders = world.connect(MeshService::Order).await?;
    let mut held = assets.begin().await?;
    sqlx::query("SELECT 1 FROM balances WHERE owner = $1 FOR UPDATE")
        .bind(customer)
        .fetch_all(&mut *held)
        .await
        .context("hold a balance")?;
    let released = async {
        // Shorter than anybody waits for a lock: whether it came in time or not, everybody goes on.
        let marked = until_within(HELD_MAX, "the cancel leaves its mark", async || {
            let query = "SELECT count(*) FROM orders WHERE customer_id = $1 AND status = 'INIT' AND cancel_saga IS NOT NULL";
            let marks: i64 = sqlx::query_scalar(query).bind(customer).fetch_one(&mut orders).await?;
            Ok((marks > 0).then_some(()))
        });
        drop(marked.await);
        held.rollback().await.context("let the balance go")
    };
    let (ended, ()) = tokio::try_join!(create_against_cancel(api, customer, [Duration::ZERO; 2]), released)?;
    Ok(ended)
}

async fn cancel_once_it_is_there(wait: Duration, api: &Api, of: &CreateOrderRequest) -> Result<Entry> {
    pause(wait).await;
    let give_up = Instant::now() + PATIENCE;
    loop {
        let cancel = Command::Cancel(CancelOrderRequest {
            request_id: Uuid::new_v4().to_string(),
            customer_id: of.customer_id.clone(),
            client_order_id: of.client_order_id.clone(),
            ..CancelOrderRequest::default()
        });
        let entry = until_answered(api, cancel).await?;
        if entry.verdict != Some(Verdict::Refused(Reason::OrderNotFound)) || Instant::now() > give_up {
            return Ok(entry);
        }
    }
}

async fn after(wait: Duration, api: &Api, command: Command) -> Result<Entry> {
    pause(wait).await;
    until_answered(api, command).await
}

/// Not to synchronise: the pause is what the contest is about.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

async fn until_answered(api: &Api, command: Command) -> Result<Entry> {
    let begun = Instant::now();
    let mut unknown = 0;
    while begun.elapsed() < PATIENCE {
        if let Ok((verdict, _)) = ask(api, &command).await {
            return Ok(Entry { command, verdict: Some(verdict), unknown, took: begun.elapsed() });
        }
        unknown += 1;
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("no answer within {PATIENCE:?}: {command:?}")
}

fn placed(entry: &Entry) -> Result<String> {
    match &entry.verdict {
        Some(Verdict::Done { id, .. }) => Ok(id.clone()),
        Some(Verdict::Refused(_)) | None => Err(anyhow::anyhow!("an order was not placed: {entry:?}")),
    }
    .context("prepare a contest")
}
