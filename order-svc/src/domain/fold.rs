//! What an order is after an event: the one place that changes an order (A11).
//!
//! Deliberately not here: whether the event may happen. The transitions decide that before they record it; this is
//! only strict enough to notice a history that cannot be.

use brokerage_types::{Amount, Price, Quantity, notional};

use super::order::{Broken, Cancel};
use super::{Change, Order, OrderEvent, Status, Terms};

/// The order that these events tell of, in their order. An error when they tell of none.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a OrderEvent>) -> Result<Order, Broken> {
    let mut order = None;
    for event in events {
        order = Some(apply(order.as_ref(), event)?);
    }
    order.ok_or_else(|| Broken("no events".to_owned()))
}

/// The order after `event`. Refuses an event out of turn, of another order, after the end, or with another status
/// than the fold gives; and an order that breaks O-1 or O-2.
pub fn apply(order: Option<&Order>, event: &OrderEvent) -> Result<Order, Broken> {
    let status = status_after(order, &event.change)?;
    if status != event.status {
        return Err(Broken(format!(
            "{}: the event says {}, the fold {status}",
            event.order_id, event.status
        )));
    }
    let mut next = match order {
        Some(order) => continued(order, event)?,
        None => begun(event)?,
    };
    next.status = status;
    next.check()?;
    Ok(next)
}

/// The status after `change`; an error when no rule leads there.
pub fn status_after(order: Option<&Order>, change: &Change) -> Result<Status, Broken> {
    let Some(order) = order else {
        return match change {
            Change::OrderCreated { .. } => Ok(Status::Init),
            Change::OrderRejected { terms: Some(_), .. } => Ok(Status::Rejected),
            other => Err(Broken(format!("{} before the order exists", other.kind()))),
        };
    };
    match change {
        Change::OrderValidated { .. } => Ok(Status::Pending),
        Change::OrderRejected { .. } => Ok(Status::Rejected),
        Change::OrderCanceled { .. } => Ok(Status::Canceled),
        Change::OrderMatched { .. } => Ok(Status::Matched),
        Change::OrderSuspended { .. } => Ok(Status::Suspended),
        Change::OrderResumed { .. } => Ok(order.live_status()),
        Change::MatchReserved { .. } | Change::MatchReleased { .. } => Ok(order.status),
        Change::OrderPartiallyMatched { .. } if order.status.is_live() => Ok(Status::PartiallyMatched),
        Change::OrderPartiallyMatched { .. } => Ok(order.status),
        // On INIT it is only a wish, which Open will see.
        Change::OrderCancelRequested { .. } if order.status == Status::Init => Ok(Status::Init),
        Change::OrderCancelRequested { .. } => Ok(Status::CancelRequested),
        Change::OrderCancelRejected { .. } => restored(order),
        Change::OrderCreated { .. } => Err(Broken(format!("{}: created twice", order.terms.order_id))),
    }
}

/// What a cancel that is taken back leaves: what it found, but never PENDING once something was filled.
fn restored(order: &Order) -> Result<Status, Broken> {
    let Some(cancel) = order.cancel else {
        return Err(Broken(format!("{}: no cancel to take back", order.terms.order_id)));
    };
    Ok(if cancel.found.is_live() { order.live_status() } else { cancel.found })
}

fn begun(event: &OrderEvent) -> Result<Order, Broken> {
    let Some(terms) = event.change.terms() else {
        return Err(Broken(format!("{} cannot begin an order", event.change.kind())));
    };
    if event.version != 1 {
        return Err(Broken(format!("{}: the first event has number {}", event.order_id, event.version)));
    }
    let mut order = drafted(terms, event);
    if let Change::OrderRejected { reason, .. } = &event.change {
        order.canceled_qty = terms.qty;
        order.reason = Some(*reason);
    }
    Ok(order)
}

fn drafted(terms: &Terms, event: &OrderEvent) -> Order {
    Order {
        terms: terms.clone(),
        cum_qty: Quantity::ZERO,
        inflight_qty: Quantity::ZERO,
        canceled_qty: Quantity::ZERO,
        cum_notional: Amount::ZERO,
        accept_seq: None,
        cancel: None,
        status: Status::Init,
        reason: None,
        version: event.version,
        created_at: event.at,
        updated_at: event.at,
    }
}

fn continued(order: &Order, event: &OrderEvent) -> Result<Order, Broken> {
    let id = order.terms.order_id;
    if event.order_id != id {
        return Err(Broken(format!("{id}: an event of {}", event.order_id)));
    }
    if event.version != order.version + 1 {
        return Err(Broken(format!("{id}: event {} after {}", event.version, order.version)));
    }
    if order.status.is_terminal() {
        return Err(Broken(format!("{id}: {} after its end", event.change.kind())));
    }
    let mut next = order.clone();
    next.version = event.version;
    next.updated_at = event.at;
    match &event.change {
        Change::OrderValidated { accept_seq } => next.accept_seq = Some(*accept_seq),
        Change::OrderRejected { reason, .. } | Change::OrderCanceled { reason } => {
            next.canceled_qty = order.leaves();
            next.reason = Some(*reason);
        }
        Change::MatchReserved { quantity, .. } => {
            next.inflight_qty =
                order.inflight_qty.checked_add(*quantity).map_err(|_| overflow(order, "in flight"))?;
        }
        Change::MatchReleased { quantity, .. } => {
            next.inflight_qty =
                order.inflight_qty.checked_sub(*quantity).map_err(|_| overflow(order, "in flight"))?;
        }
        Change::OrderPartiallyMatched { quantity, price, .. }
        | Change::OrderMatched { quantity, price, .. } => fill(&mut next, *quantity, *price)?,
        Change::OrderCancelRequested { saga_id, found, .. } => {
            next.cancel = Some(Cancel { saga: *saga_id, found: *found });
        }
        Change::OrderCancelRejected { .. } => next.cancel = None,
        Change::OrderSuspended { .. } | Change::OrderResumed { .. } | Change::OrderCreated { .. } => {}
    }
    Ok(next)
}

fn fill(order: &mut Order, quantity: Quantity, price: Price) -> Result<(), Broken> {
    let paid = notional(price, quantity).map_err(|e| Broken(format!("{}: {e}", order.terms.order_id)))?;
    order.inflight_qty =
        order.inflight_qty.checked_sub(quantity).map_err(|_| overflow(order, "in flight"))?;
    order.cum_qty = order.cum_qty.checked_add(quantity).map_err(|_| overflow(order, "filled"))?;
    order.cum_notional = order.cum_notional.checked_add(paid).map_err(|_| overflow(order, "notional"))?;
    Ok(())
}

fn overflow(order: &Order, what: &str) -> Broken {
    Broken(format!("{}: {what} goes out of bounds", order.terms.order_id))
}
