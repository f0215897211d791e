//! Ids that are UUIDs, one type for each thing that has one.
//!
//! Some of them are the same number on purpose: a saga that creates an order mints one UUIDv7 that is also the
//! order's id and its hold's id. The `of_` functions are the only place that knows so. Nothing here mints an id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Reason;

/// The text is not a UUID in its hyphenated form, or is the nil UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3")]
pub struct InvalidId {
    reason: Reason,
}

impl InvalidId {
    /// What to tell the caller.
    pub const fn reason(&self) -> Reason {
        self.reason
    }
}

/// Only the hyphenated form: the other spellings that the uuid crate takes would give one id several names.
fn parse_hyphenated(text: &str) -> Option<Uuid> {
    const HYPHENATED_LENGTH: usize = 36;
    if text.len() != HYPHENATED_LENGTH {
        return None;
    }
    Uuid::try_parse(text).ok().filter(|uuid| !uuid.is_nil())
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident => $reason:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Reads the hyphenated form, in either case. The nil UUID is refused.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                parse_hyphenated(text).map(Self).ok_or(InvalidId { reason: Reason::$reason })
            }

            /// The number itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), out)
            }
        }
    )+};
}

uuid_ids! {
    /// An order.
    OrderId => FieldInvalid;
    /// A saga.
    SagaId => FieldInvalid;
    /// The money or assets that are held for an order.
    HoldId => FieldInvalid;
    /// A trade between two orders.
    TradeId => FieldInvalid;
    /// A ledger transaction.
    TxId => FieldInvalid;
    /// What a client chose to make its command idempotent.
    RequestId => RequestIdInvalid;
}

impl OrderId {
    /// The order that a create saga makes.
    pub const fn of_saga(saga: SagaId) -> Self {
        Self(saga.0)
    }
}

impl HoldId {
    /// The one hold of an order.
    pub const fn of_order(order: OrderId) -> Self {
        Self(order.0)
    }
}

impl TradeId {
    /// The trade that a match saga makes.
    pub const fn of_saga(saga: SagaId) -> Self {
        Self(saga.0)
    }
}

impl TxId {
    /// The one ledger transaction that settles a trade.
    pub const fn of_trade(trade: TradeId) -> Self {
        Self(trade.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HoldId, OrderId, RequestId, SagaId, TradeId, TxId};
    use crate::Reason;

    const HYPHENATED: &str = "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3";

    #[test]
    fn an_id_has_one_spelling() {
        let id = OrderId::parse(HYPHENATED).unwrap();
        assert_eq!(id.to_string(), HYPHENATED);
        assert_eq!(OrderId::parse(&HYPHENATED.to_uppercase()), Ok(id));
        assert_eq!(serde_json::to_value(id).unwrap(), HYPHENATED);
        assert_eq!(serde_json::from_value::<OrderId>(HYPHENATED.into()).unwrap(), id);
        let refused = [
            "",
            "0192f0c12d3e7a4b8c5d6e7f8091a2b3",
            "{0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3}",
            "urn:uuid:0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3",
            "0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2bg",
            " 0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b",
            "00000000-0000-0000-0000-000000000000",
        ];
        for text in refused {
            assert!(OrderId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_request_id_has_its_own_reason() {
        assert_eq!(RequestId::parse("1").unwrap_err().reason(), Reason::RequestIdInvalid);
        assert_eq!(OrderId::parse("1").unwrap_err().reason(), Reason::FieldInvalid);
    }

    #[test]
    fn one_saga_gives_one_number_to_all_it_makes() {
        let saga = SagaId::parse(HYPHENATED).unwrap();
        assert_eq!(HoldId::of_order(OrderId::of_saga(saga)).uuid(), saga.uuid());
        assert_eq!(TxId::of_trade(TradeId::of_saga(saga)).uuid(), saga.uuid());
    }
}
