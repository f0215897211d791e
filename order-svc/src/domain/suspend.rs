//! Suspension: T9 and T24. Commands of this service alone, not saga steps.

use chrono::{DateTime, Utc};

use super::command::Suspension;
use super::{Change, Changed, Order, Rejection, Status, record};

/// T9: a live order leaves the market. Its hold stays, and what is in flight may still land (T23).
pub fn suspend(order: &Order, wish: &Suspension, now: DateTime<Utc>) -> Result<Changed, Rejection> {
    if !order.status.is_live() {
        return Err(Rejection::IllegalTransition { what: "SuspendOrder", status: order.status });
    }
    record(order, now, Change::OrderSuspended { by: wish.by.clone(), why: wish.why.clone() })
}

/// T24: a suspended order comes back, with the priority it had.
pub fn resume(order: &Order, wish: &Suspension, now: DateTime<Utc>) -> Result<Changed, Rejection> {
    if order.status != Status::Suspended {
        return Err(Rejection::IllegalTransition { what: "ResumeOrder", status: order.status });
    }
    record(order, now, Change::OrderResumed { by: wish.by.clone(), why: wish.why.clone() })
}
