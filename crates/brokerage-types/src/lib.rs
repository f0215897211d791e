//! The values the brokerage speaks in: ids, money, sides, order states, instruments and reasons.
//!
//! Every type is parsed once at the edge and cannot be wrong afterwards. Nothing here reads a clock, a random
//! number, a file or the network, and nothing knows the wire or the database; it converts from and to
//! `rust_decimal::Decimal` only because that is how SQL's NUMERIC arrives.

mod ids;
mod instrument;
mod money;
mod reason;
mod side;
mod status;
mod text;
mod violation;

pub use ids::{HoldId, InvalidId, OrderId, RequestId, SagaId, TradeId, TxId};
pub use instrument::{Instrument, InstrumentState, TickBand};
pub use money::{
    Amount, FeeRate, InvalidAmount, InvalidFeeRate, MONEY_SCALE_MAX, MoneyError, Overflow, Price, Quantity,
    notional,
};
pub use reason::{Class, Reason, UnknownReason};
pub use side::{Side, UnknownSide};
pub use status::{OrderStatus, UnknownOrderStatus};
pub use text::{Actor, AssetCode, ClientOrderId, CustomerId, InvalidText, Symbol};
pub use violation::FieldViolation;
