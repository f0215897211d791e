//! Fees: the only numbers that are rounded.
//!
//! A fee is a function of an order's *cumulative* notional, and a fill pays the difference of two such fees. So
//! the total does not depend on how an order was sliced into fills, no fill pays a negative fee, and tiny fills
//! cannot round their way to a free trade. Who takes the difference is the ledger's affair, not this file's.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fixed::power_of_ten;
use super::{Amount, MONEY_SCALE_MAX, MoneyError};

/// How many parts make the whole notional.
const PARTS: i128 = 1_000_000;
const PPM_MAX: u32 = 1_000_000;

/// The rate is more than the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at most 1000000 parts per million")]
pub struct InvalidFeeRate;

/// A share of the notional, in parts per million; at most the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct FeeRate {
    ppm: u32,
}

#[derive(Clone, Copy)]
enum Rounding {
    HalfUp,
    Up,
}

impl FeeRate {
    /// Free of charge.
    pub const ZERO: Self = Self { ppm: 0 };

    /// From parts per million: 1500 is 0.15 %.
    pub const fn from_ppm(ppm: u32) -> Result<Self, InvalidFeeRate> {
        if ppm <= PPM_MAX { Ok(Self { ppm }) } else { Err(InvalidFeeRate) }
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.ppm
    }

    /// The fee on a notional, its magnitude rounded half up at `transfer_scale` decimals.
    pub fn fee(self, notional: Amount, transfer_scale: u32) -> Result<Amount, MoneyError> {
        self.rounded(notional, transfer_scale, Rounding::HalfUp)
    }

    /// The fee on a notional, its magnitude rounded up at `transfer_scale` decimals: what to hold for a fee to
    /// come. It is never less than [`FeeRate::fee`] and never falls when the notional grows.
    pub fn fee_ceil(self, notional: Amount, transfer_scale: u32) -> Result<Amount, MoneyError> {
        self.rounded(notional, transfer_scale, Rounding::Up)
    }

    fn rounded(
        self,
        notional: Amount,
        transfer_scale: u32,
        rounding: Rounding,
    ) -> Result<Amount, MoneyError> {
        let places_cut = MONEY_SCALE_MAX.checked_sub(transfer_scale).ok_or(MoneyError::Inexact)?;
        let unit = power_of_ten(places_cut).ok_or(MoneyError::Overflow)?;
        let divisor = PARTS * unit;
        // Below 10²⁶ × 10⁶, and the divisor is at most 10¹⁴: far inside i128.
        let share = notional.abs().units() * i128::from(self.ppm);
        let (whole, rest) = (share / divisor, share % divisor);
        let goes_up = match rounding {
            Rounding::HalfUp => rest * 2 >= divisor,
            Rounding::Up => rest > 0,
        };
        let magnitude = (whole + i128::from(goes_up)) * unit;
        let signed = if notional.is_negative() { -magnitude } else { magnitude };
        Amount::from_units(signed).map_err(|_| MoneyError::Overflow)
    }
}

impl TryFrom<u32> for FeeRate {
    type Error = InvalidFeeRate;

    fn try_from(ppm: u32) -> Result<Self, InvalidFeeRate> {
        Self::from_ppm(ppm)
    }
}

impl From<FeeRate> for u32 {
    fn from(rate: FeeRate) -> Self {
        rate.ppm
    }
}

impl fmt::Display for FeeRate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ppm", self.ppm)
    }
}
