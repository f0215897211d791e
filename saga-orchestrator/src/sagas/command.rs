//! What a saga asks of a participant: plain values, every id and amount already fixed.
//!
//! Not here: how a command travels (`participants/`), and what it does there (the participants' own domain).

use brokerage_types::{
    Actor, AssetCode, ClientOrderId, CustomerId, HoldId, OrderId, Price, Quantity, Side, Symbol, TradeId,
};

/// A service that does steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Participant {
    /// order-svc.
    Order,
    /// asset-svc.
    Asset,
}

impl Participant {
    /// Both.
    pub const ALL: [Participant; 2] = [Participant::Order, Participant::Asset];

    /// The service's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Participant::Order => "order-svc",
            Participant::Asset => "asset-svc",
        }
    }
}

/// A command to one participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To order-svc.
    Order(order::Command),
    /// To asset-svc.
    Asset(asset::Command),
}

impl Command {
    /// Who does it.
    #[must_use]
    pub fn participant(&self) -> Participant {
        match self {
            Command::Order(_) => Participant::Order,
            Command::Asset(_) => Participant::Asset,
        }
    }

    /// As steps are called, in stories and in telemetry.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Command::Order(order::Command::Draft(_)) => "draft",
            Command::Order(order::Command::Open(_)) => "open",
            Command::Order(order::Command::BeginCancel(_)) => "begin_cancel",
            Command::Order(order::Command::AwaitDrain(_)) => "await_drain",
            Command::Order(order::Command::ConfirmCancel(_)) => "confirm_cancel",
            Command::Order(order::Command::ReserveMatch(_)) => "reserve_match",
            Command::Order(order::Command::ApplyFill(_)) => "apply_fill",
            Command::Asset(asset::Command::PlaceHold(_)) => "place_hold",
            Command::Asset(asset::Command::ReleaseHold(_)) => "release_hold",
            Command::Asset(asset::Command::SettleTrade(_)) => "settle_trade",
        }
    }
}

/// Makes a struct a command of its participant.
macro_rules! commands {
    ($participant:ident: $($name:ident),+) => {
        $(impl From<$name> for super::Command {
            fn from(command: $name) -> Self {
                super::Command::$participant(Command::$name(command))
            }
        })+
    };
}

/// Commands to order-svc.
pub mod order {
    use super::{Actor, ClientOrderId, CustomerId, OrderId, Price, Quantity, Side, Symbol, TradeId};

    /// Any of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Command {
        /// See [`Draft`].
        Draft(Draft),
        /// See [`Open`].
        Open(Open),
        /// See [`BeginCancel`].
        BeginCancel(BeginCancel),
        /// See [`AwaitDrain`].
        AwaitDrain(AwaitDrain),
        /// See [`ConfirmCancel`].
        ConfirmCancel(ConfirmCancel),
        /// See [`ReserveMatch`].
        ReserveMatch(ReserveMatch),
        /// See [`ApplyFill`].
        ApplyFill(ApplyFill),
    }

    /// Creates the order as INIT. Taken back by rejecting it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Draft {
        /// The order to be.
        pub order_id: OrderId,
        /// Whose.
        pub customer_id: CustomerId,
        /// The client's label.
        pub client_order_id: ClientOrderId,
        /// What is traded.
        pub instrument: Symbol,
        /// Buy or sell.
        pub side: Side,
        /// Worst acceptable price.
        pub limit_price: Price,
        /// How much.
        pub quantity: Quantity,
        /// Who placed it.
        pub created_by: Actor,
    }

    /// INIT → PENDING.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Open {
        /// The order.
        pub order_id: OrderId,
        /// Its instrument.
        pub instrument: Symbol,
    }

    /// Live → CANCEL_REQUESTED. Taken back by restoring the state it found.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BeginCancel {
        /// The order.
        pub order_id: OrderId,
        /// Who asked.
        pub requested_by: Actor,
    }

    /// A check: nothing in flight any more.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AwaitDrain {
        /// The order.
        pub order_id: OrderId,
    }

    /// CANCEL_REQUESTED → CANCELED.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ConfirmCancel {
        /// The order.
        pub order_id: OrderId,
    }

    /// Reserves quantity on both orders. Taken back by giving it back.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReserveMatch {
        /// The trade to be.
        pub trade_id: TradeId,
        /// Instrument of both orders.
        pub instrument: Symbol,
        /// The buy order.
        pub buy_order_id: OrderId,
        /// The sell order.
        pub sell_order_id: OrderId,
        /// How much.
        pub quantity: Quantity,
        /// At which price.
        pub price: Price,
    }

    /// Books the fill on both orders; the numbers are its reservation's.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ApplyFill {
        /// The trade.
        pub trade_id: TradeId,
        /// Instrument of both orders.
        pub instrument: Symbol,
        /// The buy order.
        pub buy_order_id: OrderId,
        /// The sell order.
        pub sell_order_id: OrderId,
        /// How much.
        pub quantity: Quantity,
        /// At which price.
        pub price: Price,
    }

    commands!(Order: Draft, Open, BeginCancel, AwaitDrain, ConfirmCancel, ReserveMatch, ApplyFill);
}

/// Commands to asset-svc.
pub mod asset {
    use super::{AssetCode, CustomerId, HoldId, Price, Quantity, Side, TradeId};

    /// Any of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Command {
        /// See [`PlaceHold`].
        PlaceHold(PlaceHold),
        /// See [`ReleaseHold`].
        ReleaseHold(ReleaseHold),
        /// See [`SettleTrade`].
        SettleTrade(SettleTrade),
    }

    /// Holds what an order may cost. Taken back by releasing the hold.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PlaceHold {
        /// The hold to be; the order's number.
        pub hold_id: HoldId,
        /// Whose.
        pub customer_id: CustomerId,
        /// Buy or sell.
        pub side: Side,
        /// What is bought or sold.
        pub base_asset: AssetCode,
        /// What is paid with.
        pub quote_asset: AssetCode,
        /// Worst acceptable price.
        pub limit_price: Price,
        /// How much.
        pub quantity: Quantity,
    }

    /// Releases what is left in a hold and closes it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ReleaseHold {
        /// The hold.
        pub hold_id: HoldId,
    }

    /// Moves money and shares of one trade.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SettleTrade {
        /// The trade.
        pub trade_id: TradeId,
        /// The buyer's hold.
        pub buy_hold_id: HoldId,
        /// The seller's hold.
        pub sell_hold_id: HoldId,
        /// The buyer.
        pub buyer_id: CustomerId,
        /// The seller.
        pub seller_id: CustomerId,
        /// What changes hands.
        pub base_asset: AssetCode,
        /// What is paid with.
        pub quote_asset: AssetCode,
        /// How much.
        pub quantity: Quantity,
        /// At which price.
        pub price: Price,
    }

    commands!(Asset: PlaceHold, ReleaseHold, SettleTrade);
}
