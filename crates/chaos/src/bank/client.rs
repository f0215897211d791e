//! Clients of the bank: they move what is in accounts that all of them share, and look at what they did through the
//! public reads.
//!
//! Each order belongs to one client, which does one thing at a time, so it knows what the order must be. A balance
//! belongs to everybody; of that a client knows that it never sees an older version than it has seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use brokerage_proto::asset::v1 as asset;
use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::{GetOrderRequest, Order, OrderStatus};
use brokerctl::api::Api;
use service_kit::fault::reason_of;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

use crate::load::{Book, Command, Entry, History, Verdict, ask, is_final, one_share};
use crate::world::World;

/// How many accounts there are.
pub const ACCOUNTS: usize = 20;
/// What each of them has: money, and two kinds of shares.
pub const ASSETS: [&str; 3] = ["TRY", "THYAO", "GARAN"];
const MONEY: &str = ASSETS[0];
/// So much of each at first: little enough that some commands are refused.
const FIRST: [&str; 3] = ["1500", "12", "12"];
/// A client keeps no more orders open of one side.
const OPEN_MAX: usize = 4;
const PAUSE_MAX: Duration = Duration::from_millis(60);

/// How a client of the bank shall be.
#[derive(Clone)]
pub struct BankPlan {
    /// Where it calls, drawn at random for each call.
    pub apis: Vec<Api>,
    /// How many commands it gets answered.
    pub commands: usize,
    /// Counts what all clients got answered.
    pub answered: Arc<watch::Sender<usize>>,
    /// Nobody waits longer for an answer.
    pub patience: Duration,
}

/// A movement and its answer.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The deposit or withdrawal.
    pub movement: Movement,
    /// Its transaction, or the refusal.
    pub told: Result<String, brokerage_types::Reason>,
}

/// A deposit or a withdrawal.
#[derive(Clone, Debug)]
pub enum Movement {
    /// Into an account.
    In(asset::DepositRequest),
    /// Out of an account.
    Out(asset::WithdrawRequest),
}

/// What a client did and saw.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    /// Its orders' commands.
    pub history: History,
    /// Its movements.
    pub movements: Vec<Moved>,
    /// Reads that showed what was written.
    pub reads: u64,
    /// Reads that were not answered.
    pub unread: u64,
    /// Movements of which no answer came at all.
    pub unanswered: u64,
}

/// The name of an account's owner.
fn owner(number: usize) -> String {
    format!("bank-{number}")
}

/// Opens every account and puts the first amounts into it.
///
/// # Errors
/// The mesh refused, or could not be asked.
pub async fn open(world: &World) -> Result<()> {
    let first: Vec<(&str, &str)> = ASSETS.into_iter().zip(FIRST).collect();
    let owners: Vec<String> = (0..ACCOUNTS).map(owner).collect();
    futures::future::try_join_all(owners.iter().map(|owner| world.customer(owner, &first))).await.map(drop)
}

/// One client at work.
struct Client {
    plan: BankPlan,
    rng: fastrand::Rng,
    teller: Teller,
    book: Book,
    /// Whose order it is, and of what.
    orders: HashMap<String, (String, String)>,
    /// The newest version seen, by owner and asset.
    versions: HashMap<(String, String), i64>,
}

impl Teller {
    /// Works until so many commands are answered.
    pub async fn work(name: String, plan: BankPlan, rng: fastrand::Rng) -> Self {
        let history = History { client: name, ..History::default() };
        let mut client = Client {
            plan,
            rng,
            teller: Self { history, ..Self::default() },
            book: Book::default(),
            orders: HashMap::new(),
            versions: HashMap::new(),
        };
        while client.teller.history.entries.len() + client.teller.movements.len() < client.plan.commands {
            if client.rng.u8(..100) < 35 {
                client.moves().await;
            } else {
                client.trades().await;
            }
            client.plan.answered.send_modify(|answered| *answered += 1);
        }
        client.teller
    }
}

impl Client {
    async fn trades(&mut self) {
        let (command, of) = self.next();
        let entry = self.until_answered(command).await;
        if let (Command::Create(_), Some(Verdict::Done { id, .. }), Some(of)) =
            (&entry.command, &entry.verdict, of)
        {
            self.orders.insert(id.clone(), of);
        }
        if let Err(surprise) = self.book.take(&entry.command, entry.verdict.as_ref()) {
            self.surprised(format!("{surprise}: {:?}", entry.command));
        }
        let touched: Vec<String> = match (&entry.command, &entry.verdict) {
            (Command::Create(_), Some(Verdict::Done { id, .. })) => vec![id.clone()],
            (Command::Create(_), Some(Verdict::Refused(_)) | None) => Vec::new(),
            (Command::Cancel(request), _) => vec![request.order_id.clone()],
            (Command::Match(request), _) => vec![request.buy_order_id.clone(), request.sell_order_id.clone()],
        };
        self.teller.history.entries.push(entry);
        for order_id in touched {
            self.reads_order(&order_id).await;
        }
    }

    fn next(&mut self) -> (Command, Option<(String, String)>) {
        let open =
            |is_buy| -> Vec<String> { self.book.open(is_buy).into_iter().map(str::to_owned).collect() };
        let (buys, sells) = (open(true), open(false));
        let dice = self.rng.u8(..100);
        if dice < 45 {
            let crossing = buys.iter().flat_map(|buy| sells.iter().map(move |sell| (buy, sell)));
            let crossing: Vec<_> = crossing.filter(|(buy, sell)| self.fit(buy, sell)).collect();
            if let Some((buy, sell)) = self.rng.choice(crossing) {
                return (Command::matched(buy, sell), None);
            }
        }
        if dice < 60
            && let Some(order_id) = self.rng.choice([buys.as_slice(), &sells].concat())
        {
            return (Command::cancel(&order_id), None);
        }
        let is_buy = if buys.len() >= OPEN_MAX { false } else { sells.len() >= OPEN_MAX || self.rng.bool() };
        let of = (owner(self.rng.usize(..ACCOUNTS)), ASSETS[self.rng.usize(1..ASSETS.len())].to_owned());
        let mut request = one_share(&of.0, if is_buy { Side::Buy } else { Side::Sell });
        request.instrument.clone_from(&of.1);
        request.quantity = self.rng.u64(1..=3).to_string();
        (Command::Create(request), Some(of))
    }

    /// Same instrument, and not the same owner.
    fn fit(&self, buy: &str, sell: &str) -> bool {
        match (self.orders.get(buy), self.orders.get(sell)) {
            (Some(buy), Some(sell)) => buy.1 == sell.1 && buy.0 != sell.0,
            (Some(_) | None, _) => false,
        }
    }

    async fn until_answered(&mut self, command: Command) -> Entry {
        let begun = Instant::now();
        let mut unknown = 0;
        loop {
            let api = self.api();
            if let Ok((verdict, _)) = ask(&api, &command).await {
                return Entry { command, verdict: Some(verdict), unknown, took: begun.elapsed() };
            }
            unknown += 1;
            if begun.elapsed() > self.plan.patience {
                return Entry { command, verdict: None, unknown, took: begun.elapsed() };
            }
            self.breathe().await;
        }
    }

    async fn moves(&mut self) {
        let (customer_id, asset) =
            (owner(self.rng.usize(..ACCOUNTS)), ASSETS[self.rng.usize(..ASSETS.len())]);
        let amount = self.rng.u64(1..=if asset == MONEY { 300 } else { 3 }).to_string();
        let (request_id, asset) = (Uuid::from_u128(self.rng.u128(..)).to_string(), asset.to_owned());
        let movement = if self.rng.bool() {
            Movement::In(asset::DepositRequest {
                request_id,
                customer_id,
                asset,
                amount,
                ..Default::default()
            })
        } else {
            Movement::Out(asset::WithdrawRequest { request_id, customer_id, asset, amount })
        };
        let begun = Instant::now();
        loop {
            let api = self.api();
            match movement.send(&api).await {
                Ok(answer) => {
                    self.sees(
                        movement.account(),
                        answer.balance.map_or(0, |balance| balance.version),
                        answer.replayed,
                    );
                    self.teller.movements.push(Moved { movement: movement.clone(), told: Ok(answer.tx_id) });
                    break;
                }
                Err(status) => {
                    if let Some(reason) = reason_of(&status).filter(|reason| is_final(*reason)) {
                        self.teller.movements.push(Moved { movement: movement.clone(), told: Err(reason) });
                        break;
                    }
                }
            }
            if begun.elapsed() > self.plan.patience {
                self.teller.unanswered += 1;
                return;
            }
            self.breathe().await;
        }
        self.reads_balance(movement.account()).await;
    }

    /// The public read shows what was acknowledged.
    async fn reads_order(&mut self, order_id: &str) {
        let request = GetOrderRequest { order_id: order_id.to_owned(), ..Default::default() };
        let Ok(order) = self.api().orders.get_order(request).await else {
            self.teller.unread += 1;
            return;
        };
        let order = order.into_inner();
        let expected =
            self.book.orders().find(|(_, expected)| expected.order_id.as_deref() == Some(order_id));
        let allowed =
            expected.is_none_or(|(_, expected)| expected.allows(Some((status(&order), filled(&order)))));
        let expected = expected.map(|(_, expected)| expected.clone());
        self.teller.reads += 1;
        if !allowed {
            self.surprised(format!("{order_id} must be {expected:?}, and GetOrder shows {order:?}"));
        }
    }

    async fn reads_balance(&mut self, (customer_id, asset): (String, String)) {
        let request = asset::ListAssetsRequest {
            customer_id: customer_id.clone(),
            asset: asset.clone(),
            ..Default::default()
        };
        let Ok(listed) = self.api().assets.list_assets(request).await else {
            self.teller.unread += 1;
            return;
        };
        let version = listed.into_inner().balances.first().map_or(0, |balance| balance.version);
        self.teller.reads += 1;
        self.sees((customer_id, asset), version, false);
    }

    /// A replayed answer is as old as its first sending; nothing else may be older than what was seen before.
    fn sees(&mut self, account: (String, String), version: i64, replayed: bool) {
        let newest = self.versions.entry(account.clone()).or_default();
        let before = *newest;
        *newest = before.max(version);
        if version < before && !replayed {
            self.surprised(format!("{account:?} has version {version} after it had {before}"));
        }
    }

    fn surprised(&mut self, what: String) {
        let client = &self.teller.history.client;
        let told = format!("{client}: {what}");
        self.teller.history.surprises.push(told);
    }

    fn api(&mut self) -> Api {
        self.plan.apis[self.rng.usize(..self.plan.apis.len())].clone()
    }

    /// Not to synchronise: a client that is refused at once must not turn into a busy loop.
    async fn breathe(&mut self) {
        tokio::time::sleep(PAUSE_MAX.mul_f64(self.rng.f64())).await;
    }
}

impl Movement {
    /// Sends it once.
    ///
    /// # Errors
    /// The refusal, or what came instead of an answer.
    pub async fn send(&self, api: &Api) -> Result<asset::MovementResponse, Status> {
        let mut assets = api.assets.clone();
        let answer = match self.clone() {
            Self::In(request) => assets.deposit(request).await,
            Self::Out(request) => assets.withdraw(request).await,
        };
        answer.map(tonic::Response::into_inner)
    }

    fn account(&self) -> (String, String) {
        match self {
            Self::In(request) => (request.customer_id.clone(), request.asset.clone()),
            Self::Out(request) => (request.customer_id.clone(), request.asset.clone()),
        }
    }
}

fn status(order: &Order) -> &'static str {
    OrderStatus::as_str_name(&order.status()).trim_start_matches("ORDER_STATUS_")
}

fn filled(order: &Order) -> u64 {
    order.cum_quantity.parse().unwrap_or(u64::MAX)
}
