//! Buy or sell.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which way an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Pays the quote asset for the base asset.
    #[serde(rename = "BUY")]
    Buy,
    /// Gives the base asset for the quote asset.
    #[serde(rename = "SELL")]
    Sell,
}

/// Neither `BUY` nor `SELL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be BUY or SELL")]
pub struct UnknownSide;

impl Side {
    /// `BUY` or `SELL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }

    /// Who it trades with.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// How the database and the wire number it.
    pub const fn code(self) -> i16 {
        match self {
            Self::Buy => 1,
            Self::Sell => 2,
        }
    }

    /// The side of that number, if there is one.
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Buy),
            2 => Some(Self::Sell),
            _ => None,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Side {
    type Err = UnknownSide;

    fn from_str(text: &str) -> Result<Self, UnknownSide> {
        [Self::Buy, Self::Sell].into_iter().find(|side| side.as_str() == text).ok_or(UnknownSide)
    }
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn each_side_has_one_name_and_one_number() {
        for (side, name, code) in [(Side::Buy, "BUY", 1), (Side::Sell, "SELL", 2)] {
            assert_eq!((side.as_str(), side.code()), (name, code));
            assert_eq!((name.parse(), Side::from_code(code)), (Ok(side), Some(side)));
            assert_eq!(serde_json::to_value(side).unwrap(), name);
            assert_ne!(side.opposite(), side);
            assert_eq!(side.opposite().opposite(), side);
        }
        assert_eq!((Side::from_code(0), Side::from_code(3)), (None, None));
        assert!("buy".parse::<Side>().is_err());
    }
}
