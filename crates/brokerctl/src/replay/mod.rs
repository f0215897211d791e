//! `brokerctl replay FILE`: recorded order flow, played through the public API and compared with the file.
//!
//! A new order is created, a deletion cancelled, an execution matched against an opposing order of a counterparty.
//! `fold` says what the file means, `play` does it, `compare` looks at both ends. Nothing is skipped silently.

pub mod compare;
pub mod fold;
pub mod latency;
pub mod message;
pub mod play;
pub mod report;
pub mod setup;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use brokerage_proto::order::v1::{ListOrdersRequest, ListTradesRequest, OrderSort, OrderStatus};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use self::compare::{Seen, compare};
use self::fold::fold;
use self::latency::Verb;
use self::play::{Played, play};
use self::report::Report;
use self::setup::{Run, set_up};
use crate::api::Api;
use crate::cli::Connection;
use crate::failure::Failure;

const PAGE_SIZE: i32 = 500;

/// See [`crate::replay`].
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A file in the LOBSTER message format.
    file: PathBuf,
    /// How many messages may be under way at once; those of one order never are.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// Play the first messages only.
    #[arg(long)]
    limit: Option<usize>,
}

impl ReplayArgs {
    /// Plays the file and prints what came of it.
    ///
    /// # Errors
    /// When the file cannot be read, the server cannot be asked, or server and file disagree in the end.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let path = self.file.display();
        let text = std::fs::read_to_string(&self.file)
            .map_err(|error| Failure::usage(format!("{path} cannot be read: {error}")))?;
        let mut messages = message::parse(&text).map_err(|why| Failure::usage(format!("{path}: {why}")))?;
        messages.truncate(self.limit.unwrap_or(usize::MAX));
        let api = Api::new(&connection.server, &connection.token)?;
        let report = replay(api, &messages, self.concurrency).await?;
        report.print(connection.output);
        report.verdict().map_err(Failure::check)
    }
}

/// Plays messages in a market of their own and compares the outcome.
///
/// # Errors
/// When the market could not be set up, or the outcome could not be read.
pub async fn replay(api: Api, messages: &[message::Message], concurrency: usize) -> anyhow::Result<Report> {
    let folded = fold(messages);
    let run = Run::fresh();
    set_up(api.clone(), &run, &folded).await?;
    let bar = progress_bar(folded.playable.len());
    let started = Instant::now();
    let shown = bar.clone();
    let played = play(api.clone(), run.clone(), &folded.playable, concurrency, move |so_far| {
        show(&shown, so_far);
    })
    .await;
    let took = started.elapsed();
    bar.finish_and_clear();
    let seen = read_back(api, &run.symbol).await.context("read the outcome")?;
    let differences = compare(&run, &folded, &seen);
    Ok(Report { run, messages: messages.len(), folded, played, took, differences })
}

fn progress_bar(messages: usize) -> ProgressBar {
    let bar = ProgressBar::new(messages as u64);
    let template = "{wide_bar} {pos}/{len} messages, {per_sec}, {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, so_far: &Played) {
    let latency = |quantile| so_far.latencies.quantile_ms(Verb::Create, quantile);
    bar.set_position((so_far.done + so_far.unplayed.len()) as u64);
    bar.set_message(format!(
        "create p50 {:.1} ms p99 {:.1} ms, {} failed",
        latency(0.5),
        latency(0.99),
        so_far.unplayed.len()
    ));
}

/// Reads every order, the live ones by filter, and every trade.
async fn read_back(api: Api, symbol: &str) -> anyhow::Result<Seen> {
    let live = [
        OrderStatus::Pending,
        OrderStatus::PartiallyMatched,
        OrderStatus::CancelRequested,
        OrderStatus::Init,
    ];
    let all = ListOrdersRequest {
        page_size: PAGE_SIZE,
        instrument: symbol.to_owned(),
        sort: OrderSort::CreatedAsc.into(),
        ..ListOrdersRequest::default()
    };
    let only_live =
        ListOrdersRequest { statuses: live.iter().map(|status| (*status).into()).collect(), ..all.clone() };
    Ok(Seen {
        orders: read_orders(api.clone(), all).await?,
        live: read_orders(api.clone(), only_live).await?,
        trades: read_trades(api, symbol).await?,
    })
}

async fn read_orders(
    mut api: Api,
    mut request: ListOrdersRequest,
) -> anyhow::Result<Vec<brokerage_proto::order::v1::Order>> {
    let mut orders = Vec::new();
    loop {
        let page = api.orders.list_orders(request.clone()).await?.into_inner();
        orders.extend(page.orders);
        if page.next_page_token.is_empty() {
            return Ok(orders);
        }
        request.page_token = page.next_page_token;
    }
}

async fn read_trades(mut api: Api, symbol: &str) -> anyhow::Result<Vec<brokerage_proto::order::v1::Trade>> {
    let mut request = ListTradesRequest {
        page_size: PAGE_SIZE,
        instrument: symbol.to_owned(),
        ..ListTradesRequest::default()
    };
    let mut trades = Vec::new();
    loop {
        let page = api.orders.list_trades(request.clone()).await?.into_inner();
        trades.extend(page.trades);
        if page.next_page_token.is_empty() {
            return Ok(trades);
        }
        request.page_token = page.next_page_token;
    }
}
