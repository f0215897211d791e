//! Transitions of the match saga: T5–T8, T12, T13, T23. Always both orders or neither.

use brokerage_types::{Instrument, InstrumentState, OrderId, Price, Quantity, Reason, Side, Symbol, TradeId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::defect;

use super::order::may_have_inflight;
use super::{Change, Changed, Order, Rejection, Status, record};

/// A trade to be: what a match saga carries from its reservation to its fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// The trade; also the match saga's id.
    pub trade_id: TradeId,
    /// Instrument of both orders.
    pub instrument: Symbol,
    /// The buy order.
    pub buy_order_id: OrderId,
    /// The sell order.
    pub sell_order_id: OrderId,
    /// Base units.
    pub quantity: Quantity,
    /// Quote units per base unit.
    pub price: Price,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchState {
    /// In flight.
    Reserved,
    /// There is a trade.
    Applied,
    /// There is none, and there will be none.
    Released,
}

impl MatchState {
    /// Every state.
    pub const ALL: [MatchState; 3] = [MatchState::Reserved, MatchState::Applied, MatchState::Released];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchState::Reserved => "RESERVED",
            MatchState::Applied => "APPLIED",
            MatchState::Released => "RELEASED",
        }
    }
}

/// A reservation and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The numbers.
    pub deal: Deal,
    /// What became of it.
    pub state: MatchState,
    /// When it was reserved.
    pub created_at: DateTime<Utc>,
    /// When its state last changed.
    pub updated_at: DateTime<Utc>,
}

/// Both orders of a deal.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The buy order.
    pub buy: &'a Order,
    /// The sell order.
    pub sell: &'a Order,
}

/// Both orders after the change.
#[derive(Clone, Debug)]
pub struct ChangedPair {
    /// The buy order.
    pub buy: Changed,
    /// The sell order.
    pub sell: Changed,
}

impl Pair<'_> {
    fn each(
        self,
        mut change: impl FnMut(&Order) -> Result<Changed, Rejection>,
    ) -> Result<ChangedPair, Rejection> {
        Ok(ChangedPair { buy: change(self.buy)?, sell: change(self.sell)? })
    }

    /// Which side came second, and so took the other's price.
    pub fn aggressor(self) -> Side {
        if self.buy.accept_seq > self.sell.accept_seq { Side::Buy } else { Side::Sell }
    }
}

/// T5: reserves the quantity on both orders, under the preconditions of M-4.
pub fn reserve(
    pair: Pair<'_>,
    deal: &Deal,
    instrument: &Instrument,
    now: DateTime<Utc>,
) -> Result<ChangedPair, Rejection> {
    may_meet(pair, deal)?;
    match instrument.state {
        InstrumentState::Open => {}
        InstrumentState::Halted => return Err(Rejection::MarketHalted(deal.instrument.clone())),
    }
    for order in [pair.buy, pair.sell] {
        if !order.status.is_live() && !defect::is_seeded("cancel_does_not_stop_matches") {
            return Err(Rejection::NotMatchable(order.terms.order_id, order.status));
        }
        if deal.quantity > order.matchable_quantity() {
            return Err(Rejection::QuantityExceedsLeaves(order.terms.order_id));
        }
    }
    if deal.price < pair.sell.terms.limit_price || deal.price > pair.buy.terms.limit_price {
        return Err(Rejection::PriceOutsideLimits);
    }
    let violations = steps_of(instrument, deal);
    if !violations.is_empty() {
        return Err(Rejection::Invalid(violations));
    }
    let Deal { trade_id, quantity, price, .. } = *deal;
    pair.each(|order| record(order, now, Change::MatchReserved { trade_id, quantity, price }))
}

/// What two orders must be to each other, whatever happens to them.
fn may_meet(pair: Pair<'_>, deal: &Deal) -> Result<(), Rejection> {
    for order in [pair.buy, pair.sell] {
        if order.terms.instrument != deal.instrument && !defect::is_seeded("instruments_mixed") {
            return Err(Rejection::InstrumentMismatch(order.terms.order_id));
        }
    }
    if pair.buy.terms.side != Side::Buy || pair.sell.terms.side != Side::Sell {
        return Err(Rejection::SameSide);
    }
    if pair.buy.terms.customer == pair.sell.terms.customer && !defect::is_seeded("self_trade_allowed") {
        return Err(Rejection::SelfTrade);
    }
    if pair.buy.terms.limit_price < pair.sell.terms.limit_price {
        return Err(Rejection::NotCrossing);
    }
    Ok(())
}

/// Tick, lot and decimals. The bounds on the size of an *order* do not bind a part of it.
fn steps_of(instrument: &Instrument, deal: &Deal) -> Vec<brokerage_types::FieldViolation> {
    let mut violations = instrument.check_order(deal.price, deal.quantity);
    violations.retain(|v| {
        !matches!(v.reason, Reason::BelowMinQuantity | Reason::AboveMaxQuantity | Reason::BelowMinNotional)
    });
    violations
}

/// T8, the inverse of `reserve`: the quantity is free again, whatever the orders are by now.
pub fn release(
    pair: Pair<'_>,
    deal: &Deal,
    reason: Reason,
    now: DateTime<Utc>,
) -> Result<ChangedPair, Rejection> {
    let Deal { trade_id, quantity, .. } = *deal;
    pair.each(|order| {
        in_flight(order, "undoing ReserveMatch", quantity)?;
        record(order, now, Change::MatchReleased { trade_id, quantity, reason })
    })
}

/// T6, T7, T12, T13, T23: what was reserved is filled.
pub fn fill(pair: Pair<'_>, deal: &Deal, now: DateTime<Utc>) -> Result<ChangedPair, Rejection> {
    let Deal { trade_id, quantity, price, .. } = *deal;
    pair.each(|order| {
        in_flight(order, "ApplyFill", quantity)?;
        let change = if quantity == order.leaves() {
            let cancel_rejected =
                (order.status == Status::CancelRequested).then_some(Reason::TooLateToCancel);
            Change::OrderMatched { trade_id, quantity, price, cancel_rejected }
        } else {
            Change::OrderPartiallyMatched { trade_id, quantity, price }
        };
        record(order, now, change)
    })
}

fn in_flight(order: &Order, what: &'static str, quantity: Quantity) -> Result<(), Rejection> {
    if !may_have_inflight(order.status) || order.inflight_qty < quantity {
        return Err(Rejection::IllegalTransition { what, status: order.status });
    }
    Ok(())
}
