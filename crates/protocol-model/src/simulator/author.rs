//! What clients ask for: few customers and few orders, so that sagas collide.

use std::collections::VecDeque;
use std::time::Duration;

use brokerage_types::{OrderId, Price, Quantity, SagaId, Side};
use order_svc::domain::Order;
use saga_orchestrator::sagas::Input;
use uuid::Uuid;

use crate::cast::{cancel, create, deal, fixed};
use crate::floor::Books;
use crate::scenarios;

const CUSTOMERS: [&str; 2] = ["alice", "bob"];
/// Where the numbers of sagas begin.
const FIRST: u128 = 0x1_0000;

/// Asks for sagas, one after another.
pub struct Author {
    times: VecDeque<Duration>,
    number: u128,
    /// Orders that were asked for, with their customers.
    asked: Vec<(OrderId, &'static str, Side)>,
}

impl Author {
    /// So many sagas, spread over this time.
    pub fn new(rng: &mut fastrand::Rng, sagas: usize, within: Duration) -> Self {
        let most = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let mut times: Vec<Duration> = (0..sagas).map(|_| Duration::from_millis(rng.u64(0..most))).collect();
        times.sort_unstable();
        Self { times: times.into(), number: FIRST, asked: Vec::new() }
    }

    /// Two customers whose money runs out now and then.
    pub fn people() -> Books {
        scenarios::people("5000")
    }

    /// Whether nobody will ask for anything any more.
    pub fn is_done(&self) -> bool {
        self.times.is_empty()
    }

    /// What is asked for by now.
    pub fn due(&mut self, rng: &mut fastrand::Rng, now: Duration, books: &Books) -> Vec<(SagaId, Input)> {
        let mut due = Vec::new();
        while self.times.front().is_some_and(|time| *time <= now) {
            self.times.pop_front();
            self.number += 1;
            due.push((SagaId::from(Uuid::from_u128(self.number)), self.write(rng, books)));
        }
        due
    }

    fn write(&mut self, rng: &mut fastrand::Rng, books: &Books) -> Input {
        match rng.u8(0..10) {
            0..=4 if !self.asked.is_empty() => self.meeting(rng, books).unwrap_or_else(|| self.order(rng)),
            5..=6 if !self.asked.is_empty() => {
                // Mostly one of the last: it may still be on its way.
                let last = self.asked.len();
                let (order_id, customer, _) = self.asked[rng.usize(last.saturating_sub(4)..last)];
                cancel(order_id.uuid().as_u128(), customer)
            }
            _ => self.order(rng),
        }
    }

    fn order(&mut self, rng: &mut fastrand::Rng) -> Input {
        let customer = CUSTOMERS[rng.usize(0..CUSTOMERS.len())];
        let side = if rng.bool() { Side::Buy } else { Side::Sell };
        let limit: Price = fixed(["99", "100", "101"][rng.usize(0..3)]);
        let quantity: Quantity = fixed(&rng.u32(1..=12).to_string());
        self.asked.push((Uuid::from_u128(self.number).into(), customer, side));
        create(self.number, customer, side, limit, quantity)
    }

    /// A pair that looks as if it met, or did a moment ago.
    fn meeting(&self, rng: &mut fastrand::Rng, books: &Books) -> Option<Input> {
        let found = |side: Side, rng: &mut fastrand::Rng, not: Option<&Order>| -> Option<Order> {
            let is_fit = |order: &&Order| {
                order.terms.side == side
                    && order.status.is_live()
                    && !order.matchable_quantity().is_zero()
                    && not.is_none_or(|other| {
                        other.terms.customer != order.terms.customer
                            && other.terms.limit_price >= order.terms.limit_price
                    })
            };
            let fit: Vec<&Order> =
                books.order.orders.values().map(|held| &held.order).filter(is_fit).collect();
            (!fit.is_empty()).then(|| fit[rng.usize(0..fit.len())].clone())
        };
        let buy = found(Side::Buy, rng, None)?;
        let sell = found(Side::Sell, rng, Some(&buy))?;
        let whole = buy.matchable_quantity().min(sell.matchable_quantity());
        let quantity = if rng.bool() { whole } else { fixed("1") };
        let name = |order: &Order| (order.terms.order_id.uuid().as_u128(), order.terms.customer.to_string());
        let ((buy_id, buyer), (sell_id, seller)) = (name(&buy), name(&sell));
        Some(deal(self.number, (buy_id, &buyer), (sell_id, &seller), quantity, sell.terms.limit_price))
    }
}
