//! One client: what it sends, one command after another, and what it has seen.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use brokerage_types::Reason;
use brokerctl::api::Authorised;
use hdrhistogram::Histogram;
use tonic::Status;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::preload::{INSTRUMENT, LABEL, PRICE, customer};
use crate::redelivery::Redelivery;
use crate::sample::histogram;

/// More than anybody can pay for.
const UNAFFORDABLE: &str = "100000000";

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Each order for a customer drawn at random.
    Create,
    /// Every order for the same customer.
    Hot,
    /// [`MIXED_TURN`], again and again.
    Mixed,
    /// Orders that nobody can pay for: the hold is refused, and the draft is taken back.
    Unaffordable,
    /// Orders under a label that the customer has used: the draft is refused, and the hold is taken back.
    TakenLabel,
    /// As `Create`, and so many of a hundred steps are delivered once more.
    Redelivered(u8),
}

/// One saga of a mixed turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Somebody buys.
    Buy,
    /// Somebody else sells.
    Sell,
    /// The last buy order is matched with the last sell order.
    Match,
    /// The last buy order is canceled.
    Cancel,
}

/// What each client of the mixed run does in turn: 70 % create, 15 % match, 15 % cancel.
pub const MIXED_TURN: [Move; 20] = {
    use Move::{Buy, Cancel, Match, Sell};
    [
        Buy, Sell, Match, Buy, Cancel, Buy, Buy, //
        Buy, Sell, Match, Buy, Cancel, Buy, Buy, //
        Buy, Sell, Match, Buy, Cancel, Buy,
    ]
};

/// When answers count.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// From here.
    pub begin: Instant,
    /// Until here, without it.
    pub end: Instant,
}

/// What one client has seen.
pub struct Seen {
    /// Of the sagas that were answered within the window.
    pub latencies: Histogram<u64>,
    /// Commands that were not answered as they should be.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<Status>,
}

impl Seen {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never, in practice.
    pub fn nothing() -> Result<Self> {
        Ok(Self { latencies: histogram()?, errors: 0, first_error: None })
    }

    /// Notes a command that was not answered as it should be.
    pub fn fail(&mut self, status: Status) {
        self.errors += 1;
        self.first_error.get_or_insert(status);
    }
}

/// One client.
pub struct Client {
    /// How it reaches the mesh.
    pub trading: TradingServiceClient<Authorised>,
    /// What it does.
    pub workload: Workload,
    /// Customers are drawn from so many.
    pub customers: u32,
    /// When it stops, and which answers count.
    pub window: Window,
    /// Delivers steps once more.
    pub redelivery: Option<Arc<Redelivery>>,
}

impl Client {
    /// Sends until the window ends.
    ///
    /// # Errors
    /// Never, in practice.
    pub async fn run(mut self) -> Result<Seen> {
        let mut seen = Seen::nothing()?;
        while Instant::now() < self.window.end {
            if let Err(status) = self.turn(&mut seen).await {
                seen.fail(status);
                // A mesh that refuses at once must not turn this loop into a busy one.
                tokio::task::yield_now().await;
            }
        }
        Ok(seen)
    }

    async fn turn(&mut self, seen: &mut Seen) -> Result<(), Status> {
        let who = fastrand::u32(..self.customers);
        match self.workload {
            Workload::Create => self.create(order(who, Side::Buy), seen).await.map(drop),
            Workload::Hot => self.create(order(0, Side::Buy), seen).await.map(drop),
            Workload::Mixed => self.mixed_turn(seen).await,
            Workload::Unaffordable => {
                let request =
                    CreateOrderRequest { quantity: UNAFFORDABLE.to_owned(), ..order(who, Side::Buy) };
                self.refused(request, Reason::InsufficientUsable, seen).await
            }
            Workload::TakenLabel => {
                let request =
                    CreateOrderRequest { client_order_id: LABEL.to_owned(), ..order(who, Side::Buy) };
                self.refused(request, Reason::DuplicateClientOrderId, seen).await
            }
            Workload::Redelivered(_) => {
                let request = order(who, Side::Buy);
                let saga_id = self.create(request.clone(), seen).await?;
                if let Some(redelivery) = &self.redelivery {
                    redelivery.perhaps(&request, &saga_id);
                }
                Ok(())
            }
        }
    }

    async fn mixed_turn(&mut self, seen: &mut Seen) -> Result<(), Status> {
        let (mut buyer, mut buy_order_id, mut sell_order_id) = (0, String::new(), String::new());
        for made in MIXED_TURN {
            match made {
                Move::Buy => {
                    buyer = fastrand::u32(..self.customers);
                    buy_order_id = self.create(order(buyer, Side::Buy), seen).await?;
                }
                Move::Sell => {
                    let seller = (buyer + 1 + fastrand::u32(..self.customers - 1)) % self.customers;
                    sell_order_id = self.create(order(seller, Side::Sell), seen).await?;
                }
                Move::Match => {
                    let request = MatchOrdersRequest {
                        request_id: Uuid::new_v4().to_string(),
                        buy_order_id: buy_order_id.clone(),
                        sell_order_id: sell_order_id.clone(),
                        ..MatchOrdersRequest::default()
                    };
                    let sent = Instant::now();
                    self.trading.match_orders(request).await?;
                    self.record(sent, seen);
                }
                Move::Cancel => {
                    let (request_id, order_id) = (Uuid::new_v4().to_string(), buy_order_id.clone());
                    let request =
                        CancelOrderRequest { request_id, order_id, ..CancelOrderRequest::default() };
                    let sent = Instant::now();
                    self.trading.cancel_order(request).await?;
                    self.record(sent, seen);
                }
            }
        }
        Ok(())
    }

    /// The order's id, which is the saga's too.
    async fn create(&mut self, request: CreateOrderRequest, seen: &mut Seen) -> Result<String, Status> {
        let sent = Instant::now();
        let answer = self.trading.create_order(request).await?;
        self.record(sent, seen);
        Ok(answer.into_inner().order_id)
    }

    /// An order that must be refused, for this reason.
    async fn refused(
        &mut self,
        request: CreateOrderRequest,
        reason: Reason,
        seen: &mut Seen,
    ) -> Result<(), Status> {
        let sent = Instant::now();
        match self.trading.create_order(request).await {
            Ok(_) => Err(Status::unknown(format!("it was not refused with {reason}"))),
            Err(status) if says(&status, reason) => {
                self.record(sent, seen);
                Ok(())
            }
            Err(status) => Err(status),
        }
    }

    fn record(&self, sent: Instant, seen: &mut Seen) {
        let now = Instant::now();
        if now >= self.window.begin && now < self.window.end {
            let latency = u64::try_from(now.duration_since(sent).as_micros()).unwrap_or(u64::MAX);
            seen.latencies.saturating_record(latency.max(1));
        }
    }
}

fn says(status: &Status, reason: Reason) -> bool {
    status.get_error_details().error_info().is_some_and(|told| told.reason == reason.as_str())
}

/// A new order for one unit.
pub fn order(who: u32, side: Side) -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        customer_id: customer(who),
        instrument: INSTRUMENT.to_owned(),
        side: side.into(),
        limit_price: PRICE.to_owned(),
        quantity: "1".to_owned(),
        ..CreateOrderRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixed_turn_is_70_15_15_and_touches_each_order_once() {
        let count = |of: &[Move]| MIXED_TURN.iter().filter(|made| of.contains(made)).count();
        assert_eq!(count(&[Move::Buy, Move::Sell]), 14);
        assert_eq!((count(&[Move::Match]), count(&[Move::Cancel])), (3, 3));
        for pair in MIXED_TURN.windows(2) {
            match pair[1] {
                // The last buy order is still the one before the sell order.
                Move::Match => assert_eq!(pair[0], Move::Sell),
                Move::Cancel | Move::Sell => assert_eq!(pair[0], Move::Buy),
                Move::Buy => {}
            }
        }
    }
}
