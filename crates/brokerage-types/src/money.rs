//! Money and quantities: exact decimal numbers with at most 8 places.
//!
//! Inside, each is an `i128` that counts units of 10⁻⁸. Nothing is ever rounded except a fee, which says how by
//! its name. Every number is smaller than 10¹⁸ in magnitude, so it fits `NUMERIC(26, 8)` and the grammar of the
//! wire; an operation that would leave that range is an error.

mod fee;
mod fixed;
mod kinds;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use fee::{FeeRate, InvalidFeeRate};
pub use fixed::MONEY_SCALE_MAX;
pub use kinds::{Amount, Price, Quantity};

use crate::Reason;
use fixed::UNITS_PER_ONE;

/// Why a text or a number is not the money that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Not a plain decimal number with at most 8 places, written without needless zeros in front.
    #[error("must be a plain decimal number with at most 8 decimals, such as 12.50")]
    Grammar,
    /// Zero or less where only more makes sense.
    #[error("must be more than 0")]
    NotPositive,
    /// Less than zero where that makes no sense.
    #[error("must not be less than 0")]
    Negative,
    /// 10¹⁸ or more in magnitude.
    #[error("must have at most 18 digits before the decimal point")]
    TooLarge,
}

impl InvalidAmount {
    /// What to tell the caller.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Grammar => Reason::AmountGrammar,
            Self::NotPositive | Self::Negative => Reason::AmountNotPositive,
            Self::TooLarge => Reason::AmountTooLarge,
        }
    }
}

/// The result leaves the range of its type: too large, or below the least value the type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result is out of range")]
pub struct Overflow;

/// Why a product of money does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result is 10¹⁸ or more in magnitude.
    #[error("the result is out of range")]
    Overflow,
    /// The result needs more than 8 decimals.
    #[error("the result needs more than 8 decimals")]
    Inexact,
}

impl From<Overflow> for MoneyError {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

/// `price × quantity`, exactly, or an error. It never rounds.
pub fn notional(price: Price, quantity: Quantity) -> Result<Amount, MoneyError> {
    // A product too large for i128 is far out of range already: the bound is 10²⁶ units, so 10³⁴ here.
    let product = price.units().checked_mul(quantity.units()).ok_or(MoneyError::Overflow)?;
    if product % UNITS_PER_ONE != 0 {
        return Err(MoneyError::Inexact);
    }
    Amount::from_units(product / UNITS_PER_ONE).map_err(|_| MoneyError::Overflow)
}
