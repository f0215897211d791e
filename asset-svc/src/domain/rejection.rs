//! Why the ledger refuses a command: business answers only, each with its reason of the catalogue.
//!
//! A rejection is remembered by the executor, so it must follow from locked rows alone. Faults are not here.

use brokerage_types::{
    Amount, AssetCode, CustomerId, HoldId, MoneyError, Overflow, Price, Quantity, Reason, TradeId,
};

/// A business refusal. The world is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the sentences say")]
pub enum Rejection {
    /// No such customer.
    #[error("customer {0} does not exist")]
    CustomerNotFound(CustomerId),
    /// A frozen customer places no hold, settles no trade and withdraws nothing.
    #[error("customer {0} is frozen")]
    CustomerFrozen(CustomerId),
    /// No such asset.
    #[error("asset {0} does not exist")]
    AssetNotFound(AssetCode),
    /// Less usable than is needed. What is held does not count.
    #[error("customer {customer} has {usable} {asset} usable, less than is needed by {missing}")]
    InsufficientUsable { customer: CustomerId, asset: AssetCode, usable: Amount, missing: Amount },
    /// A hold of that id was placed before, by another step.
    #[error("hold {0} exists already")]
    HoldExists(HoldId),
    /// No such hold.
    #[error("hold {0} does not exist")]
    HoldNotFound(HoldId),
    /// Nothing can be taken from a closed hold.
    #[error("hold {0} is closed")]
    HoldClosed(HoldId),
    /// More than the hold has left. Never by a race: order-svc reserved the quantity first.
    #[error("hold {hold} has {leaves} left, less than {quantity}")]
    HoldInsufficient { hold: HoldId, leaves: Quantity, quantity: Quantity },
    /// The held account has less than its holds say. Only a broken ledger answers this.
    #[error("customer {customer} has less {asset} held than his holds say")]
    HeldShort { customer: CustomerId, asset: AssetCode },
    /// The hold is not what the command says it is.
    #[error("hold {hold}: {difference}")]
    HoldMismatch { hold: HoldId, difference: &'static str },
    /// One trade is settled once; a second saga with the same trade id is refused.
    #[error("trade {0} is settled already, by another saga")]
    TradeSettled(TradeId),
    /// The price is worse than an order allows.
    #[error("price {price} is outside the limit {limit} of hold {hold}")]
    PriceOutsideLimits { hold: HoldId, limit: Price, price: Price },
    /// A customer does not trade with himself.
    #[error("customer {0} is on both sides")]
    SelfTrade(CustomerId),
    /// The ledger of the asset keeps fewer decimals.
    #[error("{what} needs {decimals} decimals of {asset}, whose ledger keeps {scale}")]
    ScaleExceeded { what: &'static str, asset: AssetCode, decimals: u32, scale: u32 },
    /// Transfers of the asset have fewer decimals.
    #[error("{amount} has more than the {scale} decimals of a transfer of {asset}")]
    TooManyDecimals { asset: AssetCode, amount: Amount, scale: u32 },
    /// Only more than 0 can be moved.
    #[error("an amount of {0} cannot be moved")]
    NotPositive(Amount),
    /// The channel has brought this payment before.
    #[error("channel {channel} has brought payment {reference} before")]
    DuplicateExternalRef { channel: String, reference: String },
    /// The scales of an asset never change.
    #[error("asset {0} exists with other scales")]
    ScaleImmutable(AssetCode),
    /// The numbers leave the ledger's range.
    #[error("the amount leaves the ledger's range of 18 digits")]
    BalanceOverflow,
    /// A defect of ours, caught before it could do harm.
    #[error("a rule of the ledger was broken: {0}")]
    Broken(&'static str),
}

impl Rejection {
    /// The reason of the catalogue.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::CustomerNotFound(_) => Reason::CustomerNotFound,
            Self::CustomerFrozen(_) => Reason::CustomerFrozen,
            Self::AssetNotFound(_) => Reason::AssetNotFound,
            Self::InsufficientUsable { .. } => Reason::InsufficientUsable,
            Self::HoldExists(_) => Reason::HoldExists,
            Self::HoldNotFound(_) => Reason::HoldNotFound,
            Self::HoldClosed(_) => Reason::HoldClosed,
            Self::HoldInsufficient { .. } | Self::HeldShort { .. } => Reason::HoldInsufficient,
            Self::HoldMismatch { .. } | Self::TradeSettled(_) => Reason::HoldMismatch,
            Self::PriceOutsideLimits { .. } => Reason::PriceOutsideLimits,
            Self::SelfTrade(_) => Reason::SelfTrade,
            Self::ScaleExceeded { .. } => Reason::ScaleExceeded,
            Self::TooManyDecimals { .. } => Reason::TooManyDecimals,
            Self::NotPositive(_) => Reason::AmountNotPositive,
            Self::DuplicateExternalRef { .. } => Reason::DuplicateExternalRef,
            Self::ScaleImmutable(_) => Reason::ScaleImmutable,
            Self::BalanceOverflow => Reason::BalanceOverflow,
            Self::Broken(_) => Reason::InternalFault,
        }
    }
}

impl From<Overflow> for Rejection {
    fn from(_: Overflow) -> Self {
        Self::BalanceOverflow
    }
}

impl From<MoneyError> for Rejection {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::Overflow => Self::BalanceOverflow,
            // Scales are checked first, so nothing that needs more decimals gets as far as a product.
            MoneyError::Inexact => Self::Broken("a product needs more decimals than were checked"),
        }
    }
}
