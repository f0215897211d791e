//! Plays messages: each order's in the file's order and one at a time, those of different orders side by side.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use brokerage_types::{Reason, Side};
use service_kit::fault::reason_of;
use tokio::sync::{Semaphore, oneshot};
use tonic::{Code, Response, Status};

use super::latency::{Latencies, Verb};
use super::message::{Kind, Message, Reference};
use super::setup::Run;
use crate::api::Api;
use crate::failure::Failure;

/// How long one command is repeated while the server cannot be reached.
const PATIENCE: Duration = Duration::from_secs(120);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How often a command is made anew that the server gave up: it had no effect, and its request id is used up.
const TRIES_MAX: u32 = 20;

/// A message that could not be played.
#[derive(Clone, Debug)]
pub struct Unplayed {
    /// The message.
    pub message: Message,
    /// Why.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Played {
    /// Messages whose every command succeeded.
    pub done: usize,
    /// The others.
    pub unplayed: Vec<Unplayed>,
    /// Commands that were repeated because their answer was lost.
    pub repeated: usize,
    /// Commands that were made anew because the server gave them up.
    pub given_up: usize,
    /// How long the commands took.
    pub latencies: Latencies,
}

struct Player {
    api: Api,
    run: Run,
    /// The server's ids of the file's orders.
    placed: Mutex<HashMap<Reference, String>>,
    played: Mutex<Played>,
    progress: Box<dyn Fn(&Played) + Send + Sync>,
}

/// Plays all messages with at most `concurrency` of them under way, and answers when all have an outcome.
pub async fn play(
    api: Api,
    run: Run,
    messages: &[Message],
    concurrency: usize,
    progress: impl Fn(&Played) + Send + Sync + 'static,
) -> Played {
    let player = Arc::new(Player {
        api,
        run,
        placed: Mutex::default(),
        played: Mutex::default(),
        progress: Box::new(progress),
    });
    let slots = Arc::new(Semaphore::new(concurrency.max(1)));
    let mut last_of: HashMap<Reference, oneshot::Receiver<()>> = HashMap::new();
    for message in messages.iter().copied() {
        // Slots are given in the file's order and a message waits only for an earlier one, so nobody waits for ever.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let (done, next) = oneshot::channel();
        let before = last_of.insert(message.reference, next);
        let player = Arc::clone(&player);
        tokio::spawn(async move {
            if let Some(before) = before {
                // Dropped or sent: either way the earlier message is over.
                drop(before.await);
            }
            player.play_one(message).await;
            drop((done, slot));
        });
    }
    // All slots free: everything is over.
    let all = u32::try_from(concurrency.max(1)).unwrap_or(u32::MAX);
    drop(slots.acquire_many(all).await);
    std::mem::take(&mut *lock(&player.played))
}

impl Player {
    async fn play_one(&self, message: Message) {
        let outcome = match message.kind {
            Kind::New => self.create(message).await,
            Kind::Delete => self.cancel(message).await,
            Kind::Execute => self.execute(message).await,
            Kind::PartialCancel | Kind::ExecuteHidden | Kind::Cross | Kind::Halt => {
                Err("is not playable; the fold should have skipped it".to_owned())
            }
        };
        let mut played = lock(&self.played);
        match outcome {
            Ok(()) => played.done += 1,
            Err(why) => played.unplayed.push(Unplayed { message, why }),
        }
        (self.progress)(&played);
    }

    async fn create(&self, message: Message) -> Result<(), String> {
        let label = message.reference.to_string();
        let order_id = self.place(message, self.run.maker, message.side, &label).await?;
        lock(&self.placed).insert(message.reference, order_id);
        Ok(())
    }

    async fn cancel(&self, message: Message) -> Result<(), String> {
        let order_id = self.resting(message)?;
        let call = |attempt| {
            let request = CancelOrderRequest {
                request_id: self.request_id(message, "cancel", attempt),
                order_id: order_id.clone(),
                ..CancelOrderRequest::default()
            };
            let mut client = self.api.trading.clone();
            async move { client.cancel_order(request).await }
        };
        self.until_answered(Verb::Cancel, call).await.map(drop)
    }

    /// The file shows one side of a trade only: the other side is an order of the taker, of just that size.
    async fn execute(&self, message: Message) -> Result<(), String> {
        let resting = self.resting(message)?;
        let label = format!("line-{}", message.line);
        let opposing = self.place(message, self.run.taker, message.side.opposite(), &label).await?;
        let (buy_order_id, sell_order_id) = match message.side {
            Side::Buy => (resting, opposing),
            Side::Sell => (opposing, resting),
        };
        let call = |attempt| {
            let request = MatchOrdersRequest {
                request_id: self.request_id(message, "match", attempt),
                buy_order_id: buy_order_id.clone(),
                sell_order_id: sell_order_id.clone(),
                quantity: message.size.to_string(),
                ..MatchOrdersRequest::default()
            };
            let mut client = self.api.trading.clone();
            async move { client.match_orders(request).await }
        };
        self.until_answered(Verb::Match, call).await.map(drop)
    }

    async fn place(
        &self,
        message: Message,
        customer: &str,
        side: Side,
        label: &str,
    ) -> Result<String, String> {
        let call = |attempt| {
            let request = CreateOrderRequest {
                request_id: self.request_id(message, "create", attempt),
                customer_id: customer.to_owned(),
                client_order_id: self.run.label(label, attempt),
                instrument: self.run.symbol.clone(),
                side: i32::from(side.code()),
                limit_price: message.price.to_string(),
                quantity: message.size.to_string(),
                validate_only: false,
            };
            let mut client = self.api.trading.clone();
            async move { client.create_order(request).await }
        };
        Ok(self.until_answered(Verb::Create, call).await?.order_id)
    }

    fn resting(&self, message: Message) -> Result<String, String> {
        let placed = lock(&self.placed);
        placed.get(&message.reference).cloned().ok_or_else(|| "its order could not be created".to_owned())
    }

    fn request_id(&self, message: Message, what: &str, attempt: u32) -> String {
        self.run.request_id(&format!("{}/{what}/{attempt}", message.line))
    }

    /// Repeats a command, under its one request id, until the server says what became of it. A command that was given
    /// up is made anew, under another one.
    async fn until_answered<T, C, F>(&self, verb: Verb, call: C) -> Result<T, String>
    where
        C: Fn(u32) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let started = Instant::now();
        let mut backoff = BACKOFF_MIN;
        let mut attempt = 0;
        loop {
            match call(attempt).await {
                Ok(answer) => {
                    lock(&self.played).latencies.record(verb, started.elapsed());
                    return Ok(answer.into_inner());
                }
                Err(status) if was_given_up(&status) && attempt < TRIES_MAX => {
                    lock(&self.played).given_up += 1;
                    attempt += 1;
                }
                Err(status) if is_unknown(&status) && started.elapsed() < PATIENCE => {
                    lock(&self.played).repeated += 1;
                    tokio::time::sleep(backoff.mul_f64(fastrand::f64())).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
                Err(status) => return Err(Failure::from(status).to_string()),
            }
        }
    }
}

/// Whether the command had no effect because it ran out of time.
fn was_given_up(status: &Status) -> bool {
    reason_of(status) == Some(Reason::GaveUp)
}

/// Whether the command may or may not have had its effect, or may simply be tried again.
fn is_unknown(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unknown => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
