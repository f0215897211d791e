//! Transitions of the cancel saga: T10, T11, T14, and the check between them (O-20).

use brokerage_types::{Actor, Reason, SagaId};
use chrono::{DateTime, Utc};
use service_kit::defect;

use super::{Cancel, Change, Changed, Order, Rejection, Status, record};

/// T10: PENDING, PARTIALLY_MATCHED or SUSPENDED → CANCEL_REQUESTED. On INIT only the wish is noted: `open` sees it
/// and refuses (O-5).
pub fn begin(
    order: &Order,
    saga: SagaId,
    requested_by: &Actor,
    now: DateTime<Utc>,
) -> Result<Changed, Rejection> {
    match order.status {
        Status::Init if order.cancel.is_some() => return Err(Rejection::CancelPending),
        Status::CancelRequested => return Err(Rejection::CancelPending),
        Status::Matched | Status::Canceled | Status::Rejected => {
            return Err(Rejection::TooLateToCancel(order.status));
        }
        Status::Init | Status::Pending | Status::PartiallyMatched | Status::Suspended => {}
    }
    let requested_by = requested_by.clone();
    record(order, now, Change::OrderCancelRequested { saga_id: saga, found: order.status, requested_by })
}

/// T14, the inverse of `begin`: the status that it found, or nothing at all when the order has moved on or is being
/// canceled by another saga.
pub fn undo_begin(
    order: &Order,
    saga: SagaId,
    reason: Reason,
    now: DateTime<Utc>,
) -> Result<Option<Changed>, Rejection> {
    let in_force = match order.status {
        Status::Init | Status::CancelRequested => order.cancel.is_some_and(|cancel| cancel.saga == saga),
        Status::Pending
        | Status::PartiallyMatched
        | Status::Matched
        | Status::Canceled
        | Status::Rejected
        | Status::Suspended => false,
    };
    if !in_force {
        return Ok(None);
    }
    record(order, now, Change::OrderCancelRejected { saga_id: saga, reason }).map(Some)
}

/// T11: CANCEL_REQUESTED → CANCELED. Nothing to do when T4 has canceled the order already.
pub fn confirm(order: &Order, now: DateTime<Utc>) -> Result<Option<Changed>, Rejection> {
    match order.status {
        Status::Canceled => Ok(None),
        Status::CancelRequested if order.inflight_qty.is_zero() => {
            record(order, now, Change::OrderCanceled { reason: Reason::CancelAsked }).map(Some)
        }
        Status::CancelRequested
        | Status::Init
        | Status::Pending
        | Status::PartiallyMatched
        | Status::Matched
        | Status::Rejected
        | Status::Suspended => {
            Err(Rejection::IllegalTransition { what: "ConfirmCancel", status: order.status })
        }
    }
}

/// What the check between `begin` and the release of the hold knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Nothing is in flight and nothing can be: the hold's rest may be released.
    Drained,
    /// Ask again.
    NotNow,
    /// The order ended otherwise.
    TooLate,
}

/// O-20. Stable: once drained or too late, for ever the same while the cancel stands. `status` and `inflight` may
/// be a little old: nothing newer can contradict them for this saga's own cancel.
pub fn drain(status: Status, cancel: Option<Cancel>, inflight_is_zero: bool, saga: SagaId) -> Drain {
    match status {
        Status::Matched | Status::Rejected => Drain::TooLate,
        Status::Canceled => Drain::Drained,
        Status::CancelRequested if defect::is_seeded("fill_in_flight_not_awaited") => Drain::Drained,
        Status::CancelRequested if inflight_is_zero && cancel.is_some_and(|c| c.saga == saga) => {
            Drain::Drained
        }
        Status::CancelRequested
        | Status::Init
        | Status::Pending
        | Status::PartiallyMatched
        | Status::Suspended => Drain::NotNow,
    }
}
