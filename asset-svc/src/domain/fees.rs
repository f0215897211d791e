//! Commission of one order: a rate and the decimals it is charged in, fixed when its hold is placed.
//!
//! A fee is a function of the order's *cumulative* notional (rule L-4), so the total does not depend on how the
//! order was filled. A fill pays the difference to what was charged before.

use brokerage_types::{Amount, FeeRate, MoneyError};
use serde::Serialize;
use service_kit::defect;

/// A rate with the scale of its fees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Commission {
    /// The share of the notional, snapshot of the tier's.
    pub rate: FeeRate,
    /// Decimals that a fee has: the transfer scale of the quote asset.
    pub scale: u32,
}

impl Commission {
    /// Free of charge.
    pub const FREE: Self = Self { rate: FeeRate::ZERO, scale: 2 };

    /// What an order with this cumulative notional has to have been charged, rounded half up.
    ///
    /// # Errors
    /// Out of range.
    pub fn due(self, cumulative: Amount) -> Result<Amount, MoneyError> {
        if defect::is_seeded("fee_rounded_up") {
            return self.reserve(cumulative);
        }
        self.rate.fee(cumulative, self.scale)
    }

    /// What to keep for the fee of a cumulative notional to come, rounded up: never less than [`Commission::due`].
    ///
    /// # Errors
    /// Out of range.
    pub fn reserve(self, cumulative: Amount) -> Result<Amount, MoneyError> {
        self.rate.fee_ceil(cumulative, self.scale)
    }
}
