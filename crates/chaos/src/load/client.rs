//! One client: decides what to do next, asks until it is answered, remembers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brokerage_proto::common::v1::Side;
use brokerctl::api::Api;
use service_kit::fault::code_name;
use tokio::sync::watch;
use tokio::time::Instant;

use super::command::ask;
use super::{Book, Command, Entry, History, Verdict};

/// More of anything than anybody has.
const TOO_MUCH: u64 = 1_000_000_000;
/// A client keeps so many orders open of each side.
const OPEN_MAX: usize = 4;
/// The longest pause before a command is asked again.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// What all clients of a crowd share.
#[derive(Debug)]
pub(super) struct Shared {
    /// How many commands were answered.
    pub answered: watch::Sender<usize>,
    /// True: no new commands.
    pub stop: watch::Sender<bool>,
    /// After the stop, an unanswered command is asked for so long.
    pub patience: Duration,
    /// No more commands than this for each client.
    pub commands_max: usize,
}

/// One client.
pub(super) struct Client {
    pub name: String,
    /// Where calls go, in turn.
    pub apis: Vec<Api>,
    pub rng: fastrand::Rng,
    pub shared: Arc<Shared>,
}

impl Client {
    /// Its customers: the buyer and the seller.
    pub fn customers(name: &str) -> [String; 2] {
        [format!("{name}-buyer"), format!("{name}-seller")]
    }

    pub async fn run(mut self) -> History {
        let mut history = History { client: self.name.clone(), ..History::default() };
        let mut book = Book::default();
        let stop = self.shared.stop.subscribe();
        while !*stop.borrow() && history.entries.len() < self.shared.commands_max {
            let command = self.next(&book);
            let entry = self.until_answered(command, &stop, &mut history.troubles).await;
            if let Err(surprise) = book.take(&entry.command, entry.verdict.as_ref()) {
                history.surprises.push(format!("{}: {surprise}: {:?}", self.name, entry.command));
            }
            if entry.verdict.is_some() {
                self.shared.answered.send_modify(|answered| *answered += 1);
            }
            history.entries.push(entry);
        }
        history
    }

    fn next(&mut self, book: &Book) -> Command {
        let (buys, sells) = (book.open(true), book.open(false));
        let dice = self.rng.u8(..100);
        if let (Some(buy), Some(sell)) = (self.rng.choice(&buys), self.rng.choice(&sells))
            && dice < 40
        {
            return Command::matched(buy, sell);
        }
        let all: Vec<&&str> = buys.iter().chain(&sells).collect();
        if dice < 60
            && let Some(order_id) = self.rng.choice(all)
        {
            return Command::cancel(order_id);
        }
        let is_buy = if buys.len() >= OPEN_MAX { false } else { sells.len() >= OPEN_MAX || self.rng.bool() };
        let [buyer, seller] = Self::customers(&self.name);
        let (customer, side) = if is_buy { (buyer, Side::Buy) } else { (seller, Side::Sell) };
        // Some orders are beyond anybody's means: a refusal must stay one.
        let quantity = if dice >= 95 { TOO_MUCH } else { self.rng.u64(1..=3) };
        Command::create(&customer, side, quantity)
    }

    async fn until_answered(
        &mut self,
        command: Command,
        stop: &watch::Receiver<bool>,
        troubles: &mut BTreeMap<String, u64>,
    ) -> Entry {
        let started = Instant::now();
        let (mut unknown, mut give_up) = (0, None);
        let verdict: Option<Verdict> = loop {
            let at = self.rng.usize(..self.apis.len());
            match ask(&self.apis[at], &command).await {
                Ok((verdict, _)) => break Some(verdict),
                Err(status) => *troubles.entry(code_name(status.code()).to_owned()).or_default() += 1,
            }
            unknown += 1;
            if *stop.borrow()
                && Instant::now() > *give_up.get_or_insert(Instant::now() + self.shared.patience)
            {
                break None;
            }
            // Not to synchronise: a client that is refused at once must not turn into a busy loop.
            tokio::time::sleep(PAUSE_MAX.mul_f64(self.rng.f64())).await;
        };
        Entry { command, verdict, unknown, took: started.elapsed() }
    }
}
