//! A command and its answer.

use anyhow::Result;
use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use brokerage_types::{Class, Reason};
use brokerctl::api::Api;
use service_kit::fault::reason_of;
use tonic::Status;
use uuid::Uuid;

/// What every order of the load is about, and at which price.
const INSTRUMENT: &str = "THYAO";
const PRICE: &str = "100";

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in effect.
    Done {
        /// The order or the trade that came of it.
        id: String,
        /// Of a match: how much.
        quantity: u64,
    },
    /// It has no effect.
    Refused(Reason),
}

impl Command {
    /// A new order. `quantity` shares at the one price of the load.
    #[must_use]
    pub fn create(customer_id: &str, side: Side, quantity: u64) -> Self {
        Self::Create(CreateOrderRequest { quantity: quantity.to_string(), ..one_share(customer_id, side) })
    }

    /// An order is canceled.
    #[must_use]
    pub fn cancel(order_id: &str) -> Self {
        let (request_id, order_id) = (Uuid::new_v4().to_string(), order_id.to_owned());
        Self::Cancel(CancelOrderRequest { request_id, order_id, ..CancelOrderRequest::default() })
    }

    /// Two orders are matched, as far as they go.
    #[must_use]
    pub fn matched(buy_order_id: &str, sell_order_id: &str) -> Self {
        Self::Match(MatchOrdersRequest {
            request_id: Uuid::new_v4().to_string(),
            buy_order_id: buy_order_id.to_owned(),
            sell_order_id: sell_order_id.to_owned(),
            ..MatchOrdersRequest::default()
        })
    }
}

/// An order for one share, with a label and a request id of its own.
#[must_use]
pub fn one_share(customer_id: &str, side: Side) -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        customer_id: customer_id.to_owned(),
        client_order_id: format!("label-{}", Uuid::new_v4()),
        instrument: INSTRUMENT.to_owned(),
        side: side.into(),
        limit_price: PRICE.to_owned(),
        quantity: "1".to_owned(),
        validate_only: false,
    }
}

/// Asks once. `Err`: the outcome is not known. With an answer comes whether it was given before.
///
/// # Errors
/// What came instead of an answer.
pub async fn ask(api: &Api, command: &Command) -> Result<(Verdict, bool), Status> {
    let mut trading = api.trading.clone();
    let answer = match command.clone() {
        Command::Create(request) => trading.create_order(request).await.map(|answer| {
            let answer = answer.into_inner();
            (Verdict::Done { id: answer.order_id, quantity: 0 }, answer.replayed)
        }),
        Command::Cancel(request) => trading.cancel_order(request).await.map(|answer| {
            let answer = answer.into_inner();
            (Verdict::Done { id: answer.order_id, quantity: 0 }, answer.replayed)
        }),
        Command::Match(request) => trading.match_orders(request).await.map(|answer| {
            let answer = answer.into_inner();
            let quantity = answer.quantity.parse().unwrap_or(0);
            (Verdict::Done { id: answer.trade_id, quantity }, answer.replayed)
        }),
    };
    match answer {
        Ok(answer) => Ok(answer),
        Err(status) => match reason_of(&status).filter(|reason| is_final(*reason)) {
            Some(reason) => Ok((Verdict::Refused(reason), false)),
            None => Err(status),
        },
    }
}

/// Whether a refusal for this reason is an answer, given again for ever, and not a request to ask again.
#[must_use]
pub fn is_final(reason: Reason) -> bool {
    match reason.class() {
        Class::InvalidArgument
        | Class::NotFound
        | Class::AlreadyExists
        | Class::FailedPrecondition
        | Class::Unauthenticated
        | Class::PermissionDenied
        | Class::OutOfRange => true,
        // The saga was undone: that is how this request ended.
        Class::Aborted => reason == Reason::GaveUp,
        Class::ResourceExhausted | Class::Unavailable | Class::DeadlineExceeded | Class::Internal => false,
    }
}
