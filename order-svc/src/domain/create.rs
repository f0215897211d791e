//! Transitions of the create saga: T1–T4.

use brokerage_types::{Instrument, InstrumentState, Reason, Symbol};
use chrono::{DateTime, Utc};
use service_kit::defect;

use super::{Change, Changed, Order, Rejection, Status, Terms, record, record_first};

/// T1: ∅ → INIT, when the instrument takes such an order. That id and label are free is the caller's to know.
pub fn draft(
    terms: &Terms,
    instrument: Option<&Instrument>,
    now: DateTime<Utc>,
) -> Result<Changed, Rejection> {
    let Some(instrument) = instrument else {
        return Err(Rejection::InstrumentNotFound(terms.instrument.clone()));
    };
    let violations = instrument.check_order(terms.limit_price, terms.qty);
    if !violations.is_empty() {
        return Err(Rejection::Invalid(violations));
    }
    record_first(now, Change::OrderCreated { terms: terms.clone() })
}

/// T3 from nothing: the draft was given up before it ran. The client finds a rejected order.
pub fn reject_unborn(terms: &Terms, reason: Reason, now: DateTime<Utc>) -> Result<Changed, Rejection> {
    record_first(now, Change::OrderRejected { reason, terms: Some(terms.clone()) })
}

/// Inverse of `draft`. T4 when the customer asked to cancel, else T3.
pub fn undo_draft(order: &Order, reason: Reason, now: DateTime<Utc>) -> Result<Changed, Rejection> {
    if order.status != Status::Init {
        return Err(Rejection::IllegalTransition { what: "undoing Draft", status: order.status });
    }
    let change = if reason == Reason::CancelAsked {
        Change::OrderCanceled { reason }
    } else {
        Change::OrderRejected { reason, terms: None }
    };
    record(order, now, change)
}

/// What `open` needs of the instrument besides the order's own terms.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    /// Which.
    pub symbol: &'a Symbol,
    /// Open or halted.
    pub state: InstrumentState,
    /// The priority that the order gets.
    pub accept_seq: i64,
}

/// T2: INIT → PENDING. The pivot of the create saga.
pub fn open(order: &Order, market: Market<'_>, now: DateTime<Utc>) -> Result<Changed, Rejection> {
    if order.terms.instrument != *market.symbol {
        return Err(Rejection::InstrumentMismatch(order.terms.order_id));
    }
    if order.status != Status::Init {
        return Err(Rejection::IllegalTransition { what: "Open", status: order.status });
    }
    if order.cancel.is_some() && !defect::is_seeded("early_cancel_overlooked") {
        return Err(Rejection::CancelAsked);
    }
    match market.state {
        InstrumentState::Open => {}
        InstrumentState::Halted => return Err(Rejection::MarketHalted(market.symbol.clone())),
    }
    record(order, now, Change::OrderValidated { accept_seq: market.accept_seq })
}
