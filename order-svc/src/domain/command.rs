//! What this service can be told to do. The serialised form is what a request hash covers.

use brokerage_types::{Actor, Instrument, OrderId, Symbol};
use serde::Serialize;

use super::Terms;
use super::matching::Deal;

/// Brings an order to market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Open {
    /// The order.
    pub order_id: OrderId,
    /// Its instrument, whose row is locked first.
    pub instrument: Symbol,
}

/// Starts to cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BeginCancel {
    /// The order.
    pub order_id: OrderId,
    /// Who asked.
    pub requested_by: Actor,
}

/// Ends a cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfirmCancel {
    /// The order.
    pub order_id: OrderId,
}

/// Suspends or resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspension {
    /// The order.
    pub order_id: OrderId,
    /// Who does it.
    pub by: Actor,
    /// Why, in words.
    pub why: String,
}

/// Any command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Command {
    /// Create saga, compensatable.
    Draft(Terms),
    /// Create saga, pivot.
    Open(Open),
    /// Cancel saga, compensatable.
    BeginCancel(BeginCancel),
    /// Cancel saga, retriable.
    ConfirmCancel(ConfirmCancel),
    /// Match saga, compensatable.
    ReserveMatch(Deal),
    /// Match saga, retriable.
    ApplyFill(Deal),
    /// This service alone.
    UpsertInstrument(Instrument),
    /// This service alone.
    SuspendOrder(Suspension),
    /// This service alone.
    ResumeOrder(Suspension),
}

impl Command {
    /// As in logs, metrics and the inbox.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Draft(_) => "Draft",
            Command::Open(_) => "Open",
            Command::BeginCancel(_) => "BeginCancel",
            Command::ConfirmCancel(_) => "ConfirmCancel",
            Command::ReserveMatch(_) => "ReserveMatch",
            Command::ApplyFill(_) => "ApplyFill",
            Command::UpsertInstrument(_) => "UpsertInstrument",
            Command::SuspendOrder(_) => "SuspendOrder",
            Command::ResumeOrder(_) => "ResumeOrder",
        }
    }

    /// The orders whose rows it locks.
    pub fn orders(&self) -> Vec<OrderId> {
        match self {
            Command::Draft(terms) => vec![terms.order_id],
            Command::Open(open) => vec![open.order_id],
            Command::BeginCancel(begin) => vec![begin.order_id],
            Command::ConfirmCancel(confirm) => vec![confirm.order_id],
            Command::ReserveMatch(deal) | Command::ApplyFill(deal) => {
                vec![deal.buy_order_id, deal.sell_order_id]
            }
            Command::SuspendOrder(wish) | Command::ResumeOrder(wish) => vec![wish.order_id],
            Command::UpsertInstrument(_) => Vec::new(),
        }
    }

    /// The instrument whose row it locks.
    pub fn locked_instrument(&self) -> Option<&Symbol> {
        match self {
            Command::Open(open) => Some(&open.instrument),
            Command::ReserveMatch(deal) | Command::ApplyFill(deal) => Some(&deal.instrument),
            Command::UpsertInstrument(instrument) => Some(&instrument.symbol),
            Command::Draft(_)
            | Command::BeginCancel(_)
            | Command::ConfirmCancel(_)
            | Command::SuspendOrder(_)
            | Command::ResumeOrder(_) => None,
        }
    }
}
