//! The catalogue of reasons: every refusal of ours carries one of these. `METHOD_UNKNOWN` and bare gRPC codes come from the
//! transport, and from what is between us and our callers.
//!
//! One table makes the enum, the names, the classes and the list, so they cannot drift apart. A reason's class
//! says what kind of answer it is; which gRPC code that becomes is for the services to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What kind of answer a reason is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    /// The request is wrong whatever the state of the system.
    InvalidArgument,
    /// There is no such thing, or it is not the caller's to see.
    NotFound,
    /// The key is taken.
    AlreadyExists,
    /// The state of the system forbids it.
    FailedPrecondition,
    /// Lost a race; try again.
    Aborted,
    /// Who is asking is not known.
    Unauthenticated,
    /// Who is asking may not.
    PermissionDenied,
    /// Too much at once; try later.
    ResourceExhausted,
    /// Beyond a limit of size.
    OutOfRange,
    /// Cannot serve right now; try again.
    Unavailable,
    /// Took longer than the caller would wait; the outcome is not known.
    DeadlineExceeded,
    /// Our fault.
    Internal,
}

/// No reason is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reason is called {0:?}")]
pub struct UnknownReason(String);

macro_rules! reasons {
    ($($class:ident { $(#[doc = $meaning:literal] $name:ident = $text:literal,)+ })+) => {
        /// Why a request was not served as asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $meaning] $name,)+)+
        }

        impl Reason {
            /// Every reason, by class.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// Its name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$name => $text,)+)+
                }
            }

            /// What kind of answer it is.
            pub const fn class(self) -> Class {
                match self {
                    $($(Self::$name)|+ => Class::$class,)+
                }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $($(Self::$name => $meaning.trim_ascii(),)+)+
                }
            }
        }
    };
}

reasons! {
    InvalidArgument {
        /// A field that must be given is empty.
        FieldRequired = "FIELD_REQUIRED",
        /// A field's value is not one that the field can have.
        FieldInvalid = "FIELD_INVALID",
        /// Not a plain decimal number with at most 8 decimals.
        AmountGrammar = "AMOUNT_GRAMMAR",
        /// The number must be more than 0, or at least 0 where 0 makes sense.
        AmountNotPositive = "AMOUNT_NOT_POSITIVE",
        /// The number, or what follows from it, has more than 18 digits before the decimal point.
        AmountTooLarge = "AMOUNT_TOO_LARGE",
        /// More decimals than the instrument or asset allows.
        TooManyDecimals = "TOO_MANY_DECIMALS",
        /// The price is not a multiple of the tick that applies to it.
        OffTick = "OFF_TICK",
        /// The quantity is not a multiple of the lot.
        OffLot = "OFF_LOT",
        /// The quantity is less than the instrument's least.
        BelowMinQuantity = "BELOW_MIN_QUANTITY",
        /// The quantity is more than the instrument's most.
        AboveMaxQuantity = "ABOVE_MAX_QUANTITY",
        /// Price times quantity is less than the instrument's least.
        BelowMinNotional = "BELOW_MIN_NOTIONAL",
        /// The page size is less than 0.
        PageSizeNegative = "PAGE_SIZE_NEGATIVE",
        /// The page token was not made by this list with these filters.
        PageTokenInvalid = "PAGE_TOKEN_INVALID",
        /// The request id is not a UUID.
        RequestIdInvalid = "REQUEST_ID_INVALID",
        /// Some fields are wrong; the field violations say which.
        ValidationFailed = "VALIDATION_FAILED",
        /// Scales and assets cannot change once they are set.
        ScaleImmutable = "SCALE_IMMUTABLE",
    }
    NotFound {
        /// No such order that the caller may see.
        OrderNotFound = "ORDER_NOT_FOUND",
        /// No such instrument.
        InstrumentNotFound = "INSTRUMENT_NOT_FOUND",
        /// No such customer that the caller may see.
        CustomerNotFound = "CUSTOMER_NOT_FOUND",
        /// No such asset.
        AssetNotFound = "ASSET_NOT_FOUND",
        /// No such saga that the caller may see.
        SagaNotFound = "SAGA_NOT_FOUND",
        /// No such hold that the caller may see.
        HoldNotFound = "HOLD_NOT_FOUND",
        /// No such trade that the caller may see.
        TradeNotFound = "TRADE_NOT_FOUND",
    }
    AlreadyExists {
        /// The request id was used before with another payload; nothing was done.
        RequestIdReused = "REQUEST_ID_REUSED",
        /// The customer has an order with this label already.
        DuplicateClientOrderId = "DUPLICATE_CLIENT_ORDER_ID",
        /// An order with this id exists already.
        OrderExists = "ORDER_EXISTS",
        /// A hold with this id exists already.
        HoldExists = "HOLD_EXISTS",
        /// A movement with this external reference is booked already.
        DuplicateExternalRef = "DUPLICATE_EXTERNAL_REF",
    }
    FailedPrecondition {
        /// The order's state does not allow this change.
        IllegalTransition = "ILLEGAL_TRANSITION",
        /// The usable balance is less than what is needed.
        InsufficientUsable = "INSUFFICIENT_USABLE",
        /// Both orders belong to one customer.
        SelfTrade = "SELF_TRADE",
        /// The buy limit is below the sell limit.
        NotCrossing = "NOT_CROSSING",
        /// Both orders are on one side.
        SameSide = "SAME_SIDE",
        /// The orders are of different instruments.
        InstrumentMismatch = "INSTRUMENT_MISMATCH",
        /// More than an order has left that is not being settled already.
        QuantityExceedsLeaves = "QUANTITY_EXCEEDS_LEAVES",
        /// The trade's price is above the buy limit or below the sell limit.
        PriceOutsideLimits = "PRICE_OUTSIDE_LIMITS",
        /// The order is not in the market.
        NotMatchable = "NOT_MATCHABLE",
        /// Nothing is left of the order to cancel.
        TooLateToCancel = "TOO_LATE_TO_CANCEL",
        /// A cancel was asked before the order came to market.
        CancelAsked = "CANCEL_ASKED",
        /// The order is being canceled already.
        CancelPending = "CANCEL_PENDING",
        /// The instrument is halted.
        MarketHalted = "MARKET_HALTED",
        /// The customer is frozen.
        CustomerFrozen = "CUSTOMER_FROZEN",
        /// The hold is closed.
        HoldClosed = "HOLD_CLOSED",
        /// The hold has less left than this needs.
        HoldInsufficient = "HOLD_INSUFFICIENT",
        /// The hold is not for this order, side or asset.
        HoldMismatch = "HOLD_MISMATCH",
        /// The amount has more decimals than the asset's ledger keeps.
        ScaleExceeded = "SCALE_EXCEEDED",
        /// An operator ended the saga before its pivot and it was undone.
        AbortedByOperator = "ABORTED_BY_OPERATOR",
        /// An operator parked the saga; it goes on when one retries or aborts it.
        PausedByOperator = "PAUSED_BY_OPERATOR",
        /// Only a parked saga can be resumed.
        SagaNotParked = "SAGA_NOT_PARKED",
        /// The saga has ended.
        SagaEnded = "SAGA_ENDED",
        /// The balance would have more than 18 digits before the decimal point.
        BalanceOverflow = "BALANCE_OVERFLOW",
        /// The log does not hold the cursor's event: it is from another log, or was truncated or restored.
        CursorUnknown = "CURSOR_UNKNOWN",
    }
    Aborted {
        /// Lost a race for the same rows; nothing was done, try again.
        ConflictRetry = "CONFLICT_RETRY",
        /// The saga ran out of time before its pivot and was undone; ask anew, under a new request id.
        GaveUp = "GAVE_UP",
    }
    Unauthenticated {
        /// The call carries no token.
        TokenMissing = "TOKEN_MISSING",
        /// No one has this token.
        TokenUnknown = "TOKEN_UNKNOWN",
        /// The token's time is over.
        TokenExpired = "TOKEN_EXPIRED",
        /// The calling service's secret is missing or wrong.
        ServiceSecretInvalid = "SERVICE_SECRET_INVALID",
    }
    PermissionDenied {
        /// The caller's role may not call this.
        RoleNotAllowed = "ROLE_NOT_ALLOWED",
        /// The customer is not assigned to the calling employee.
        CustomerNotAssigned = "CUSTOMER_NOT_ASSIGNED",
    }
    ResourceExhausted {
        /// Too many calls at once; nothing was done, try later.
        Overloaded = "OVERLOADED",
    }
    OutOfRange {
        /// The message is larger than this listener takes.
        MessageTooLarge = "MESSAGE_TOO_LARGE",
    }
    Unavailable {
        /// The database cannot be reached; try again with the same request id.
        DatabaseUnavailable = "DATABASE_UNAVAILABLE",
        /// Another service cannot be reached; try again with the same request id.
        ParticipantUnavailable = "PARTICIPANT_UNAVAILABLE",
        /// The service is shutting down; try again with the same request id.
        ShuttingDown = "SHUTTING_DOWN",
        /// The command is accepted and still running; ask again with the same request id.
        StillRunning = "STILL_RUNNING",
    }
    DeadlineExceeded {
        /// The caller's time is over and the outcome is not known; ask again with the same request id.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
    }
    Internal {
        /// Our fault; it is logged.
        InternalFault = "INTERNAL_FAULT",
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        let found = Self::ALL.iter().copied().find(|reason| reason.as_str() == text);
        found.ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Class, Reason};

    #[test]
    fn every_reason_has_one_name_that_leads_back_to_it() {
        let mut names = HashSet::new();
        for reason in Reason::ALL {
            let name = reason.as_str();
            assert!(names.insert(name), "{name} is used twice");
            assert_eq!(name.parse(), Ok(*reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), name);
            assert_eq!(serde_json::from_value::<Reason>(name.into()).unwrap(), *reason);
            assert!(name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{name}");
            assert!(name.len() <= 63, "{name} is longer than an error's reason may be");
        }
        assert_eq!(names.len(), 68);
    }

    #[test]
    fn a_name_is_its_variant_in_capitals() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().replace('_', ""), format!("{reason:?}").to_uppercase());
        }
    }

    #[test]
    fn every_reason_says_what_it_means_in_a_sentence() {
        for reason in Reason::ALL {
            let meaning = reason.meaning();
            assert!(meaning.ends_with('.') && !meaning.starts_with(' '), "{reason}: {meaning:?}");
        }
    }

    #[test]
    fn an_unknown_name_is_no_reason() {
        for text in ["", "order_not_found", "ORDER_NOT_FOUND ", "NO_SUCH_REASON"] {
            assert!(text.parse::<Reason>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn classes_are_those_of_the_table() {
        let table = [
            (Reason::FieldRequired, Class::InvalidArgument),
            (Reason::TradeNotFound, Class::NotFound),
            (Reason::RequestIdReused, Class::AlreadyExists),
            (Reason::InsufficientUsable, Class::FailedPrecondition),
            (Reason::ConflictRetry, Class::Aborted),
            (Reason::TokenExpired, Class::Unauthenticated),
            (Reason::RoleNotAllowed, Class::PermissionDenied),
            (Reason::Overloaded, Class::ResourceExhausted),
            (Reason::MessageTooLarge, Class::OutOfRange),
            (Reason::StillRunning, Class::Unavailable),
            (Reason::DeadlineExceeded, Class::DeadlineExceeded),
            (Reason::InternalFault, Class::Internal),
        ];
        for (reason, class) in table {
            assert_eq!(reason.class(), class, "{reason}");
        }
    }
}
