//! The order state machine: pure decisions and nothing else.
//!
//! Every transition is a function `(order, …) -> Result<(Order, OrderEvent), Rejection>`: it decides *what happened*,
//! and [`fold::apply`] alone says what an order is after that. So a row is the fold of its events by construction.
//! No async, no SQL, no wire types, no clock, no randomness.

pub mod cancel;
pub mod command;
pub mod create;
pub mod event;
pub mod fold;
pub mod instrument;
pub mod matching;
pub mod order;
pub mod rejection;
pub mod suspend;
#[cfg(test)]
pub(crate) mod tests;

use chrono::{DateTime, Utc};

/// What an order is (docs/rules.md).
pub use brokerage_types::OrderStatus as Status;
pub use event::{Change, OrderEvent};
pub use order::{Cancel, Order, Terms};
pub use rejection::Rejection;

/// An order after a change, and the one event that is the change.
pub type Changed = (Order, OrderEvent);

/// Records a change: builds its event and lets the fold say what the order is now.
fn record(order: &Order, now: DateTime<Utc>, change: Change) -> Result<Changed, Rejection> {
    let event = OrderEvent::after(order, now, change)?;
    let next = fold::apply(Some(order), &event)?;
    Ok((next, event))
}

/// As `record`, for the first event of an order.
fn record_first(now: DateTime<Utc>, change: Change) -> Result<Changed, Rejection> {
    let event = OrderEvent::first(now, change)?;
    let order = fold::apply(None, &event)?;
    Ok((order, event))
}
