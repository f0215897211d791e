//! Many commands at once, each asked again with the same request id until it is answered.

use std::collections::BTreeMap;

use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use brokerage_types::{Class, Reason};
use brokerctl::dev::MeshService;
use futures::StreamExt;
use service_kit::fault::reason_of;
use test_mesh::{fresh, until};
use tokio::sync::watch;
use tonic::Status;

use super::rig::Rig;

/// How many commands wait for their answers at the same time.
const WIDTH: usize = 40;

/// A service is killed when so many sagas are halfway.
const HALFWAY: i64 = 10;

/// One command of a client.
#[derive(Clone, Debug)]
pub enum Command {
    /// Place an order.
    Create(CreateOrderRequest),
    /// Cancel an order.
    Cancel(CancelOrderRequest),
    /// Match two orders.
    Match(MatchOrdersRequest),
}

/// What the client was told, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in effect.
    Done,
    /// It has no effect.
    Refused(Reason),
}

/// A command with its answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What was asked.
    pub command: Command,
    /// What came back.
    pub verdict: Verdict,
    /// The order or the trade that came of it.
    pub id: String,
}

/// A service that is killed in the middle, once so many commands are answered.
pub type Strike = (usize, MeshService);

/// A customer buys one share.
pub fn buy(customer_id: &str, limit_price: &str) -> Command {
    Command::Create(one_share(customer_id, Side::Buy, limit_price, "1"))
}

/// A customer sells one share.
pub fn sell(customer_id: &str, limit_price: &str) -> Command {
    Command::Create(one_share(customer_id, Side::Sell, limit_price, "1"))
}

/// A request to trade THYAO, with a label of its own.
pub fn one_share(customer_id: &str, side: Side, limit_price: &str, quantity: &str) -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: fresh(),
        customer_id: customer_id.to_owned(),
        client_order_id: format!("label-{}", fresh()),
        instrument: "THYAO".to_owned(),
        side: side.into(),
        limit_price: limit_price.to_owned(),
        quantity: quantity.to_owned(),
        validate_only: false,
    }
}

/// An order is canceled.
pub fn cancel(order_id: &str) -> Command {
    let order_id = order_id.to_owned();
    Command::Cancel(CancelOrderRequest { request_id: fresh(), order_id, ..Default::default() })
}

/// Two orders are matched, as far as they go.
pub fn matched(buy_order_id: &str, sell_order_id: &str) -> Command {
    Command::Match(MatchOrdersRequest {
        request_id: fresh(),
        buy_order_id: buy_order_id.to_owned(),
        sell_order_id: sell_order_id.to_owned(),
        ..Default::default()
    })
}

impl Rig {
    /// Sends all commands, some at a time, and kills on the way. Returns when all are answered and all services are
    /// up again. Every strike must have caught sagas halfway, and have made one process end and another start.
    pub async fn load(&self, commands: Vec<Command>, strikes: &[Strike]) -> Vec<Answered> {
        let starts: Vec<u32> = strikes.iter().map(|(_, service)| self.starts(*service)).collect();
        let count = commands.len();
        let progress = watch::Sender::new(0);
        let answers = async {
            let ask = |command| self.until_answered(command);
            let answers = futures::stream::iter(commands).map(ask).buffer_unordered(WIDTH);
            answers.inspect(|_| progress.send_modify(|answered| *answered += 1)).collect::<Vec<_>>().await
        };
        let (answered, ()) = tokio::join!(answers, self.strike(strikes, progress.subscribe()));
        assert_eq!(answered.len(), count);
        for ((_, service), before) in strikes.iter().zip(starts) {
            self.wait_until_up(*service).await;
            assert_eq!(self.starts(*service), before + 1, "{}", service.name());
        }
        answered
    }

    /// Kills each service when it is its turn and enough is going on.
    async fn strike(&self, strikes: &[Strike], mut progress: watch::Receiver<usize>) {
        for (at, service) in strikes {
            progress.wait_for(|answered| answered >= at).await.unwrap();
            let kill = async || self.kill_with(*service, HALFWAY).await;
            let caught = until("sagas are halfway", kill).await;
            println!("{} died with {caught} sagas halfway", service.name());
        }
    }

    /// Asks again and again until there is an answer that is one.
    pub async fn until_answered(&self, command: Command) -> Answered {
        until("a command is answered", async || self.ask(&command).await).await
    }

    /// Asks once. `None`: the outcome is not known.
    async fn ask(&self, command: &Command) -> Option<Answered> {
        let mut trading = self.api.trading.clone();
        let answer = match command.clone() {
            Command::Create(request) => {
                trading.create_order(request).await.map(|it| it.into_inner().order_id)
            }
            Command::Cancel(request) => {
                trading.cancel_order(request).await.map(|it| it.into_inner().order_id)
            }
            Command::Match(request) => trading.match_orders(request).await.map(|it| it.into_inner().trade_id),
        };
        let (verdict, id) = match answer {
            Ok(id) => (Verdict::Done, id),
            Err(status) => (Verdict::Refused(refusal(&status)?), String::new()),
        };
        Some(Answered { command: command.clone(), verdict, id })
    }

    /// Asks everything once more: every answer is what it was, and every order is as was answered.
    pub async fn stands_by(&self, answered: &[Answered]) {
        let again = answered.iter().map(|one| self.until_answered(one.command.clone()));
        let again: Vec<Answered> = futures::stream::iter(again).buffered(WIDTH).collect().await;
        for (first, second) in answered.iter().zip(&again) {
            assert_eq!((second.verdict, &second.id), (first.verdict, &first.id), "{:?}", first.command);
        }
        let orders = self.orders().await;
        let by_id: BTreeMap<&str, &str> =
            orders.iter().map(|(id, _, status)| (id.as_str(), status.as_str())).collect();
        let by_label: BTreeMap<&str, &str> =
            orders.iter().map(|(_, label, status)| (label.as_str(), status.as_str())).collect();
        for one in answered {
            let found: Vec<Option<&str>> = match &one.command {
                Command::Create(request) => vec![by_label.get(request.client_order_id.as_str()).copied()],
                Command::Cancel(request) => vec![by_id.get(request.order_id.as_str()).copied()],
                Command::Match(request) => [&request.buy_order_id, &request.sell_order_id]
                    .map(|order_id| by_id.get(order_id.as_str()).copied())
                    .to_vec(),
            };
            for status in found {
                assert!(is_as_answered(one, status), "{one:?}, but the order is {status:?}");
            }
        }
    }
}

/// Whether an order may be this after such an answer, if nothing else happened to it.
fn is_as_answered(answered: &Answered, status: Option<&str>) -> bool {
    match (&answered.command, answered.verdict) {
        (Command::Create(_), Verdict::Done) => status == Some("PENDING"),
        (Command::Create(_), Verdict::Refused(_)) => status.is_none() || status == Some("REJECTED"),
        (Command::Cancel(_), Verdict::Done) => status == Some("CANCELED"),
        (Command::Match(_), Verdict::Done) => status == Some("MATCHED"),
        (Command::Cancel(_) | Command::Match(_), Verdict::Refused(_)) => status == Some("PENDING"),
    }
}

/// A refusal that is an answer. `None`: nobody knows what happened.
fn refusal(status: &Status) -> Option<Reason> {
    let reason = reason_of(status)?;
    let is_answer = match reason.class() {
        Class::InvalidArgument
        | Class::NotFound
        | Class::AlreadyExists
        | Class::FailedPrecondition
        | Class::Unauthenticated
        | Class::PermissionDenied
        | Class::OutOfRange => true,
        Class::Aborted
        | Class::ResourceExhausted
        | Class::Unavailable
        | Class::DeadlineExceeded
        | Class::Internal => false,
    };
    is_answer.then_some(reason)
}

/// How many were done.
pub fn done(answered: &[Answered]) -> usize {
    answered.iter().filter(|one| one.verdict == Verdict::Done).count()
}
