//! What an order is. What happened to it is told by its events, and which change is legal by the order domain.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of an order; numbered as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderStatus {
    /// Drafted; its hold is being placed. Not in the market.
    Init,
    /// In the market, nothing filled.
    Pending,
    /// In the market, partly filled.
    PartiallyMatched,
    /// Being canceled; fills already in flight may still land.
    CancelRequested,
    /// Wholly filled. Final.
    Matched,
    /// The rest was canceled. Final.
    Canceled,
    /// Never came to market. Final.
    Rejected,
    /// Taken out of the market by an operator.
    Suspended,
}

/// No order status is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no order status is called {0:?}")]
pub struct UnknownOrderStatus(String);

impl OrderStatus {
    /// Every status, in the order of their numbers.
    pub const ALL: &[Self] = &[
        Self::Init,
        Self::Pending,
        Self::PartiallyMatched,
        Self::CancelRequested,
        Self::Matched,
        Self::Canceled,
        Self::Rejected,
        Self::Suspended,
    ];

    /// How the database and the wire number it.
    pub const fn code(self) -> i16 {
        match self {
            Self::Init => 1,
            Self::Pending => 2,
            Self::PartiallyMatched => 3,
            Self::CancelRequested => 4,
            Self::Matched => 5,
            Self::Canceled => 6,
            Self::Rejected => 7,
            Self::Suspended => 8,
        }
    }

    /// The status of that number, if there is one.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.code() == code)
    }

    /// Its name, such as `PARTIALLY_MATCHED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Pending => "PENDING",
            Self::PartiallyMatched => "PARTIALLY_MATCHED",
            Self::CancelRequested => "CANCEL_REQUESTED",
            Self::Matched => "MATCHED",
            Self::Canceled => "CANCELED",
            Self::Rejected => "REJECTED",
            Self::Suspended => "SUSPENDED",
        }
    }

    /// True if it never changes again.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Matched | Self::Canceled | Self::Rejected => true,
            Self::Init | Self::Pending | Self::PartiallyMatched | Self::CancelRequested | Self::Suspended => {
                false
            }
        }
    }

    /// True if a new match may reserve some of it.
    pub const fn is_matchable(self) -> bool {
        self.is_live()
    }

    /// True if it is in the market.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Pending | Self::PartiallyMatched => true,
            Self::Init
            | Self::CancelRequested
            | Self::Matched
            | Self::Canceled
            | Self::Rejected
            | Self::Suspended => false,
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for OrderStatus {
    type Err = UnknownOrderStatus;

    fn from_str(text: &str) -> Result<Self, UnknownOrderStatus> {
        let found = Self::ALL.iter().copied().find(|status| status.as_str() == text);
        found.ok_or_else(|| UnknownOrderStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::OrderStatus;

    #[test]
    fn every_status_is_what_the_table_says() {
        // status, number, name, live, terminal
        let table = [
            (OrderStatus::Init, 1, "INIT", false, false),
            (OrderStatus::Pending, 2, "PENDING", true, false),
            (OrderStatus::PartiallyMatched, 3, "PARTIALLY_MATCHED", true, false),
            (OrderStatus::CancelRequested, 4, "CANCEL_REQUESTED", false, false),
            (OrderStatus::Matched, 5, "MATCHED", false, true),
            (OrderStatus::Canceled, 6, "CANCELED", false, true),
            (OrderStatus::Rejected, 7, "REJECTED", false, true),
            (OrderStatus::Suspended, 8, "SUSPENDED", false, false),
        ];
        assert_eq!(OrderStatus::ALL, table.map(|row| row.0));
        for (status, code, name, live, terminal) in table {
            assert_eq!((status.code(), status.as_str()), (code, name));
            assert_eq!((OrderStatus::from_code(code), name.parse()), (Some(status), Ok(status)));
            assert_eq!(serde_json::to_value(status).unwrap(), name);
            assert_eq!(
                (status.is_live(), status.is_matchable(), status.is_terminal()),
                (live, live, terminal)
            );
        }
        assert_eq!((OrderStatus::from_code(0), OrderStatus::from_code(9)), (None, None));
        assert!("pending".parse::<OrderStatus>().is_err());
    }
}
