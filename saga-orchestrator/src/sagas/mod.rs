//! The sagas: one file, one business process. Here: how a stored one is read back.
//!
//! Not here: how a saga is driven (`engine/`) and how its commands travel (`participants/`). No wire types, no async,
//! no clock.

pub mod cancel_order;
pub mod command;
pub mod create_order;
pub mod match_orders;

use brokerage_types::OrderId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::definition::{Saga, Script};

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`create_order`].
    CreateOrder,
    /// See [`cancel_order`].
    CancelOrder,
    /// See [`match_orders`].
    MatchOrders,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::CreateOrder, Kind::CancelOrder, Kind::MatchOrders];

    /// As stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::CreateOrder => create_order::SAGA.kind,
            Kind::CancelOrder => cancel_order::SAGA.kind,
            Kind::MatchOrders => match_orders::SAGA.kind,
        }
    }

    /// The version that new sagas of this kind get.
    #[must_use]
    pub fn version(self) -> u16 {
        match self {
            Kind::CreateOrder => create_order::SAGA.version,
            Kind::CancelOrder => cancel_order::SAGA.version,
            Kind::MatchOrders => match_orders::SAGA.version,
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The input of one saga of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Input {
    /// See [`create_order`].
    CreateOrder(create_order::Input),
    /// See [`cancel_order`].
    CancelOrder(cancel_order::Input),
    /// See [`match_orders`].
    MatchOrders(match_orders::Input),
}

impl Input {
    /// Which process it belongs to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Input::CreateOrder(_) => Kind::CreateOrder,
            Input::CancelOrder(_) => Kind::CancelOrder,
            Input::MatchOrders(_) => Kind::MatchOrders,
        }
    }

    /// Every command the saga may ever send, in order.
    #[must_use]
    pub fn script(&self) -> Script {
        match self {
            Input::CreateOrder(input) => create_order::SAGA.script(input),
            Input::CancelOrder(input) => cancel_order::SAGA.script(input),
            Input::MatchOrders(input) => match_orders::SAGA.script(input),
        }
    }

    /// The orders it touches besides the one that has the saga's own number.
    #[must_use]
    pub fn orders(&self) -> [Option<OrderId>; 2] {
        match self {
            Input::CreateOrder(_) => [None, None],
            Input::CancelOrder(input) => [Some(input.order_id), None],
            Input::MatchOrders(input) => [Some(input.buy_order_id), Some(input.sell_order_id)],
        }
    }

    /// At most one active saga has this key. Cancels of one order share one saga.
    #[must_use]
    pub fn conflict_key(&self) -> Option<String> {
        match self {
            Input::CancelOrder(input) => Some(format!("cancel:{}", input.order_id)),
            Input::CreateOrder(_) | Input::MatchOrders(_) => None,
        }
    }
}

/// Why a stored saga cannot be driven by this process.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A newer or an older process wrote it.
    #[error("no definition of {kind} version {version}")]
    UnknownDefinition {
        /// As stored.
        kind: String,
        /// As stored.
        version: i16,
    },
    /// The input does not decode.
    #[error("the input does not decode")]
    Input(#[from] serde_json::Error),
}

/// Reads a stored saga back. An old version keeps its definition here until none of its sagas is active.
///
/// # Errors
/// See [`Unreadable`]; such a saga is parked, never dropped.
pub fn read(kind: &str, version: i16, input: &serde_json::Value) -> Result<Input, Unreadable> {
    let unknown = || Unreadable::UnknownDefinition { kind: kind.to_owned(), version };
    match Kind::parse(kind).ok_or_else(unknown)? {
        Kind::CreateOrder => decode(&create_order::SAGA, version, input, unknown).map(Input::CreateOrder),
        Kind::CancelOrder => decode(&cancel_order::SAGA, version, input, unknown).map(Input::CancelOrder),
        Kind::MatchOrders => decode(&match_orders::SAGA, version, input, unknown).map(Input::MatchOrders),
    }
}

fn decode<I: DeserializeOwned>(
    saga: &Saga<I>,
    version: i16,
    input: &serde_json::Value,
    unknown: impl Fn() -> Unreadable,
) -> Result<I, Unreadable> {
    if i32::from(version) != i32::from(saga.version) {
        return Err(unknown());
    }
    Ok(I::deserialize(input)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::definition;

    /// Its row says why a saga was rolled back (`engine/decide.rs`), so whoever rolls back must have asked it.
    #[test]
    fn every_saga_begins_with_a_step_that_can_be_taken_back() {
        let first_kinds = [
            first_kind(&create_order::SAGA),
            first_kind(&cancel_order::SAGA),
            first_kind(&match_orders::SAGA),
        ];
        assert_eq!(first_kinds, [Some(definition::Kind::Compensatable); Kind::ALL.len()]);
    }

    fn first_kind<I>(saga: &Saga<I>) -> Option<definition::Kind> {
        saga.stages.first().and_then(|stage| stage.first()).map(|step| step.kind)
    }
}
