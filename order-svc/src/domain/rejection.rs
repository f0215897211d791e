//! Why a rule refuses. Each variant has one reason of the catalogue; a refused command changes nothing.

use brokerage_types::{FieldViolation, OrderId, Reason, Symbol, TradeId};

use super::Status;
use super::order::Broken;

/// Why a rule refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such order.
    #[error("there is no order {0}")]
    OrderNotFound(OrderId),
    /// There is no such instrument.
    #[error("there is no instrument {0}")]
    InstrumentNotFound(Symbol),
    /// There is no such reservation.
    #[error("there is no match {0}")]
    TradeNotFound(TradeId),
    /// The order's id is taken.
    #[error("order {0} exists")]
    OrderExists(OrderId),
    /// The label is taken by another order of this customer.
    #[error("the customer has another order with this client_order_id")]
    DuplicateClientOrderId,
    /// The instrument does not take such an order. The reason is that of the first violation.
    #[error("the instrument does not take such an order: {}", list(.0))]
    Invalid(Vec<FieldViolation>),
    /// The customer asked to cancel before the order came to market (O-5).
    #[error("a cancel was asked before the order came to market")]
    CancelAsked,
    /// Halted: nothing opens, nothing matches.
    #[error("{0} is halted")]
    MarketHalted(Symbol),
    /// The order has ended.
    #[error("too late to cancel: the order is {0}")]
    TooLateToCancel(Status),
    /// Another cancel is under way.
    #[error("the order is already being canceled")]
    CancelPending,
    /// An order is of another instrument.
    #[error("order {0} is of another instrument")]
    InstrumentMismatch(OrderId),
    /// Not one buy and one sell.
    #[error("a match needs a buy order and a sell order")]
    SameSide,
    /// Both orders have one owner.
    #[error("both orders belong to one customer")]
    SelfTrade,
    /// The buyer pays less than the seller wants.
    #[error("the limits do not cross")]
    NotCrossing,
    /// Not in the market.
    #[error("order {0} is {1}")]
    NotMatchable(OrderId, Status),
    /// More than is free.
    #[error("order {0} has less than that free to match")]
    QuantityExceedsLeaves(OrderId),
    /// Worse than a limit.
    #[error("the price is outside the limits of the orders")]
    PriceOutsideLimits,
    /// Scales and assets of an instrument are for ever.
    #[error("{0} of an instrument cannot change")]
    ScaleImmutable(&'static str),
    /// No rule leads from this status.
    #[error("{what} is illegal: the order is {status}")]
    IllegalTransition {
        /// The command.
        what: &'static str,
        /// What the order is.
        status: Status,
    },
    /// No rule leads from this state of the match.
    #[error("{what} is illegal: the match is {state}")]
    IllegalMatch {
        /// The command.
        what: &'static str,
        /// What the match is.
        state: &'static str,
    },
    /// Not a refusal: an order that breaks its own rules. The store turns it into a fault.
    #[error(transparent)]
    Broken(#[from] Broken),
}

fn list(violations: &[FieldViolation]) -> String {
    violations.iter().map(|v| v.description.as_str()).collect::<Vec<_>>().join("; ")
}

impl Rejection {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        match self {
            Rejection::OrderNotFound(_) => Reason::OrderNotFound,
            Rejection::InstrumentNotFound(_) => Reason::InstrumentNotFound,
            Rejection::TradeNotFound(_) => Reason::TradeNotFound,
            Rejection::OrderExists(_) => Reason::OrderExists,
            Rejection::DuplicateClientOrderId => Reason::DuplicateClientOrderId,
            Rejection::Invalid(violations) => {
                violations.first().map_or(Reason::ValidationFailed, |v| v.reason)
            }
            Rejection::CancelAsked => Reason::CancelAsked,
            Rejection::MarketHalted(_) => Reason::MarketHalted,
            Rejection::TooLateToCancel(_) => Reason::TooLateToCancel,
            Rejection::CancelPending => Reason::CancelPending,
            Rejection::InstrumentMismatch(_) => Reason::InstrumentMismatch,
            Rejection::SameSide => Reason::SameSide,
            Rejection::SelfTrade => Reason::SelfTrade,
            Rejection::NotCrossing => Reason::NotCrossing,
            Rejection::NotMatchable(..) => Reason::NotMatchable,
            Rejection::QuantityExceedsLeaves(_) => Reason::QuantityExceedsLeaves,
            Rejection::PriceOutsideLimits => Reason::PriceOutsideLimits,
            Rejection::ScaleImmutable(_) => Reason::ScaleImmutable,
            Rejection::IllegalTransition { .. } | Rejection::IllegalMatch { .. } => Reason::IllegalTransition,
            Rejection::Broken(_) => Reason::InternalFault,
        }
    }
}
