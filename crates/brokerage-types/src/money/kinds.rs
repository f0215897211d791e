//! The three kinds of money: what one unit costs, how many units, and how much of an asset in a ledger.

use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{InvalidAmount, Overflow, fixed};

const fn any_sign(_: i128) -> Result<(), InvalidAmount> {
    Ok(())
}

const fn not_negative(units: i128) -> Result<(), InvalidAmount> {
    if units < 0 { Err(InvalidAmount::Negative) } else { Ok(()) }
}

const fn positive(units: i128) -> Result<(), InvalidAmount> {
    if units <= 0 { Err(InvalidAmount::NotPositive) } else { Ok(()) }
}

macro_rules! money_kinds {
    ($($(#[$doc:meta])* $name:ident: $sign:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(i128);

        impl $name {
            /// Reads a plain decimal number. Nothing is rounded, trimmed or guessed.
            pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
                Self::from_units(fixed::parse(text)?)
            }

            /// From a count of 10⁻⁸.
            pub const fn from_units(units: i128) -> Result<Self, InvalidAmount> {
                if let Err(refused) = $sign(units) {
                    return Err(refused);
                }
                if fixed::in_range(units) { Ok(Self(units)) } else { Err(InvalidAmount::TooLarge) }
            }

            /// The number as a count of 10⁻⁸.
            pub const fn units(self) -> i128 {
                self.0
            }

            /// How many decimals the number uses; `1.50` uses one.
            pub const fn decimals(self) -> u32 {
                fixed::decimals(self.0)
            }

            /// True if this is a whole number of `step`s. Only zero is a multiple of zero.
            pub const fn is_multiple_of(self, step: Self) -> bool {
                fixed::is_multiple(self.0, step.0)
            }

            /// The sum, unless it leaves the type's range.
            pub const fn checked_add(self, other: Self) -> Result<Self, Overflow> {
                // Both are below 10²⁶, so i128 itself cannot overflow.
                match Self::from_units(self.0 + other.0) {
                    Ok(sum) => Ok(sum),
                    Err(_) => Err(Overflow),
                }
            }

            /// The difference, unless it leaves the type's range; below what the type allows is out of range too.
            pub const fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
                match Self::from_units(self.0 - other.0) {
                    Ok(difference) => Ok(difference),
                    Err(_) => Err(Overflow),
                }
            }

            /// True for 0.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// True above 0.
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }

            /// True below 0.
            pub const fn is_negative(self) -> bool {
                self.0 < 0
            }

            /// The same number for SQL's NUMERIC, without needless zeros.
            pub fn to_decimal(self) -> Decimal {
                fixed::to_decimal(self.0)
            }

            /// The same number from SQL's NUMERIC, exactly or not at all.
            pub fn from_decimal(decimal: Decimal) -> Result<Self, InvalidAmount> {
                Self::from_units(fixed::from_decimal(decimal)?)
            }
        }

        impl fmt::Display for $name {
            /// The one canonical form: `0`, `12.5`, `-1.5`.
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fixed::print(self.0, out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidAmount;

            fn from_str(text: &str) -> Result<Self, InvalidAmount> {
                Self::parse(text)
            }
        }

        impl TryFrom<Decimal> for $name {
            type Error = InvalidAmount;

            fn try_from(decimal: Decimal) -> Result<Self, InvalidAmount> {
                Self::from_decimal(decimal)
            }
        }

        impl From<$name> for Decimal {
            fn from(money: $name) -> Self {
                money.to_decimal()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )+};
}

money_kinds! {
    /// Quote units per base unit; more than 0.
    Price: positive;
    /// How many base units; 0 or more.
    Quantity: not_negative;
    /// So much of an asset, in a ledger; of either sign.
    Amount: any_sign;
}

impl Price {
    /// The price as a number among amounts.
    pub const fn amount(self) -> Amount {
        Amount(self.0)
    }
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The quantity as an amount of the base asset.
    pub const fn amount(self) -> Amount {
        Amount(self.0)
    }
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The same amount the other way. The range is symmetric, so this cannot fail.
    pub const fn neg(self) -> Self {
        Self(-self.0)
    }

    /// The amount without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Default for Amount {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self::neg(self)
    }
}
