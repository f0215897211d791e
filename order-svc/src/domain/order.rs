//! An order, and what must always be true of it (rules O-1 and O-2).

use brokerage_types::{
    Actor, Amount, ClientOrderId, CustomerId, OrderId, Price, Quantity, Reason, SagaId, Side, Symbol,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::defect;

use super::Status;

/// What was ordered. Never changes; also the content of the command that drafts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The order; also the create saga's id, and the hold's.
    pub order_id: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// The client's label, unique per customer.
    pub client_order_id: ClientOrderId,
    /// The symbol.
    pub instrument: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Quote units per base unit.
    pub limit_price: Price,
    /// Ordered, in base units.
    pub qty: Quantity,
    /// Who placed it.
    pub created_by: Actor,
}

/// Who asked last to cancel, and what the order was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The cancel saga.
    pub saga: SagaId,
    /// The status it found.
    pub found: Status,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What was ordered.
    pub terms: Terms,
    /// Filled so far.
    pub cum_qty: Quantity,
    /// Reserved by matches that are being settled.
    pub inflight_qty: Quantity,
    /// Given up: what was open when the order was canceled or rejected.
    pub canceled_qty: Quantity,
    /// Σ price × quantity of the fills.
    pub cum_notional: Amount,
    /// Priority within the instrument; none while it was never open.
    pub accept_seq: Option<i64>,
    /// Set from the moment a cancel is asked; kept when the order ends, cleared when the cancel is taken back.
    pub cancel: Option<Cancel>,
    /// What it is.
    pub status: Status,
    /// Why it ended, for rejected and canceled orders.
    pub reason: Option<Reason>,
    /// Counts the changes; also the number of the last event.
    pub version: i64,
    /// When it was drafted.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// An order that breaks a rule: our fault, never the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken order: {0}")]
pub struct Broken(pub String);

impl Order {
    /// Still open: quantity − cum − canceled. Zero for an order whose parts exceed its quantity, which
    /// `check` refuses.
    pub fn leaves(&self) -> Quantity {
        self.terms
            .qty
            .checked_sub(self.cum_qty)
            .and_then(|open| open.checked_sub(self.canceled_qty))
            .unwrap_or(Quantity::ZERO)
    }

    /// Free to match: leaves − in flight.
    pub fn matchable_quantity(&self) -> Quantity {
        if defect::is_seeded("reserved_quantity_matched_again") {
            return self.leaves();
        }
        self.leaves().checked_sub(self.inflight_qty).unwrap_or(Quantity::ZERO)
    }

    /// PENDING or PARTIALLY_MATCHED, whichever the fills say.
    pub fn live_status(&self) -> Status {
        if self.cum_qty.is_zero() { Status::Pending } else { Status::PartiallyMatched }
    }

    /// O-1 and O-2.
    pub fn check(&self) -> Result<(), Broken> {
        let id = self.terms.order_id;
        let parts = self
            .cum_qty
            .checked_add(self.canceled_qty)
            .and_then(|sum| sum.checked_add(self.inflight_qty))
            .map_err(|_| Broken(format!("{id}: the sum of its parts overflows")))?;
        let broken = |rule: &str| Err(Broken(format!("{id}: {rule}")));
        if !self.terms.qty.is_positive() {
            return broken("the quantity is not positive");
        }
        if parts > self.terms.qty {
            return broken("cum + canceled + inflight exceeds the quantity");
        }
        if self.status.is_terminal() && !(self.leaves().is_zero() && self.inflight_qty.is_zero()) {
            return broken("terminal with quantity left");
        }
        if (self.status == Status::Matched) != (self.cum_qty == self.terms.qty) {
            return broken("MATCHED and filled disagree");
        }
        if !self.inflight_qty.is_zero() && !may_have_inflight(self.status) {
            return broken("quantity in flight in a status without matches");
        }
        if self.status == Status::Pending && !self.cum_qty.is_zero() {
            return broken("PENDING with fills");
        }
        if self.status == Status::PartiallyMatched && self.cum_qty.is_zero() {
            return broken("PARTIALLY_MATCHED without fills");
        }
        if self.status == Status::CancelRequested && self.cancel.is_none() {
            return broken("CANCEL_REQUESTED by nobody");
        }
        Ok(())
    }
}

/// A fill that was reserved earlier may still land or be given back.
pub fn may_have_inflight(status: Status) -> bool {
    match status {
        Status::Pending | Status::PartiallyMatched | Status::CancelRequested | Status::Suspended => true,
        Status::Init | Status::Matched | Status::Canceled | Status::Rejected => false,
    }
}
