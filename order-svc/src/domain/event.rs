//! What happened to an order. Every change is exactly one event (O-3); side facts are its fields.

use brokerage_types::{Actor, OrderId, Price, Quantity, Reason, SagaId, TradeId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::fold;
use super::order::Broken;
use super::{Order, Status, Terms};

/// One change of one order, as stored in the outbox and shown as history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The order.
    pub order_id: OrderId,
    /// Counts the order's events from 1; the order's version after this one.
    pub version: i64,
    /// The order's status after this one.
    pub status: Status,
    /// Database time of the transaction.
    pub at: DateTime<Utc>,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Change {
    /// T1.
    OrderCreated {
        /// What was ordered.
        terms: Terms,
    },
    /// T2: it came to market.
    OrderValidated {
        /// Its priority.
        accept_seq: i64,
    },
    /// T3: it never came to market.
    OrderRejected {
        /// Why.
        reason: Reason,
        /// What would have been ordered: only when nothing was drafted before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Terms>,
    },
    /// T4, T11: what was still open is given up.
    OrderCanceled {
        /// Why.
        reason: Reason,
    },
    /// T5: reserved for a trade that is being settled.
    MatchReserved {
        /// The trade to be.
        trade_id: TradeId,
        /// Base units.
        quantity: Quantity,
        /// Quote units per base unit.
        price: Price,
    },
    /// T8: the reservation is given back; there will be no such trade.
    MatchReleased {
        /// The trade that is not to be.
        trade_id: TradeId,
        /// Base units.
        quantity: Quantity,
        /// Why.
        reason: Reason,
    },
    /// T6, T13, T23: filled in part.
    OrderPartiallyMatched {
        /// The trade.
        trade_id: TradeId,
        /// Base units.
        quantity: Quantity,
        /// Quote units per base unit.
        price: Price,
    },
    /// T7, T12, T23: filled wholly.
    OrderMatched {
        /// The trade.
        trade_id: TradeId,
        /// Base units.
        quantity: Quantity,
        /// Quote units per base unit.
        price: Price,
        /// A cancel that was asked came too late (T12).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancel_rejected: Option<Reason>,
    },
    /// T10, and on INIT the customer's wish, which `Open` will see (O-5).
    OrderCancelRequested {
        /// The cancel saga.
        saga_id: SagaId,
        /// What the order was.
        found: Status,
        /// Who asked.
        requested_by: Actor,
    },
    /// T14: the cancel is taken back.
    OrderCancelRejected {
        /// The cancel saga.
        saga_id: SagaId,
        /// Why.
        reason: Reason,
    },
    /// T9.
    OrderSuspended {
        /// Who did it.
        by: Actor,
        /// Why, in words.
        why: String,
    },
    /// T24.
    OrderResumed {
        /// Who did it.
        by: Actor,
        /// Why, in words.
        why: String,
    },
}

impl Change {
    /// The event's type, as in the outbox.
    pub fn kind(&self) -> &'static str {
        match self {
            Change::OrderCreated { .. } => "OrderCreated",
            Change::OrderValidated { .. } => "OrderValidated",
            Change::OrderRejected { .. } => "OrderRejected",
            Change::OrderCanceled { .. } => "OrderCanceled",
            Change::MatchReserved { .. } => "MatchReserved",
            Change::MatchReleased { .. } => "MatchReleased",
            Change::OrderPartiallyMatched { .. } => "OrderPartiallyMatched",
            Change::OrderMatched { .. } => "OrderMatched",
            Change::OrderCancelRequested { .. } => "OrderCancelRequested",
            Change::OrderCancelRejected { .. } => "OrderCancelRejected",
            Change::OrderSuspended { .. } => "OrderSuspended",
            Change::OrderResumed { .. } => "OrderResumed",
        }
    }

    /// What was ordered, in the events that begin an order.
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Change::OrderCreated { terms } => Some(terms),
            Change::OrderRejected { terms, .. } => terms.as_ref(),
            Change::OrderValidated { .. }
            | Change::OrderCanceled { .. }
            | Change::MatchReserved { .. }
            | Change::MatchReleased { .. }
            | Change::OrderPartiallyMatched { .. }
            | Change::OrderMatched { .. }
            | Change::OrderCancelRequested { .. }
            | Change::OrderCancelRejected { .. }
            | Change::OrderSuspended { .. }
            | Change::OrderResumed { .. } => None,
        }
    }
}

impl OrderEvent {
    /// The event that follows `order` as it is.
    pub fn after(order: &Order, at: DateTime<Utc>, change: Change) -> Result<OrderEvent, Broken> {
        let status = fold::status_after(Some(order), &change)?;
        Ok(OrderEvent { order_id: order.terms.order_id, version: order.version + 1, status, at, change })
    }

    /// The first event of an order.
    pub fn first(at: DateTime<Utc>, change: Change) -> Result<OrderEvent, Broken> {
        let order_id = match change.terms() {
            Some(terms) => terms.order_id,
            None => return Err(Broken(format!("{} cannot begin an order", change.kind()))),
        };
        let status = fold::status_after(None, &change)?;
        Ok(OrderEvent { order_id, version: 1, status, at, change })
    }
}
