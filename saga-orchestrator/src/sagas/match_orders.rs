//! Match orders: reserve quantity on both, settle money and shares, book the fill on both.
//!
//! | step            | service | kind          | taken back by           |
//! |-----------------|---------|---------------|-------------------------|
//! | `reserve_match` | order   | compensatable | giving the quantity back|
//! | `settle_trade`  | asset   | pivot         | –                       |
//! | `apply_fill`    | order   | retriable     | –                       |
//!
//! Quantity and price are fixed before the saga starts; `reserve_match` refuses if the orders have changed since.
//! All legs of the settlement are one transaction. The saga's id and the trade's are one number.

use brokerage_types::{AssetCode, CustomerId, HoldId, OrderId, Price, Quantity, Symbol, TradeId};
use serde::{Deserialize, Serialize};

use super::command::{asset, order};
use crate::engine::definition::{INTERACTIVE, Kind, Pivot, Retriable, Saga, Step};

/// Everything the saga will ever need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The trade to be: the saga's own number.
    pub trade_id: TradeId,
    /// Instrument of both orders.
    pub instrument: Symbol,
    /// What changes hands.
    pub base_asset: AssetCode,
    /// What is paid with.
    pub quote_asset: AssetCode,
    /// The buy order.
    pub buy_order_id: OrderId,
    /// The sell order.
    pub sell_order_id: OrderId,
    /// The buyer.
    pub buyer_id: CustomerId,
    /// The seller.
    pub seller_id: CustomerId,
    /// How much.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
}

/// The definition.
pub const SAGA: Saga<Input> = Saga {
    kind: "match_orders",
    version: 1,
    stages: &[&[Step {
        name: "reserve_match",
        kind: Kind::Compensatable,
        patience: INTERACTIVE,
        call: |i| {
            order::ReserveMatch {
                trade_id: i.trade_id,
                instrument: i.instrument.clone(),
                buy_order_id: i.buy_order_id,
                sell_order_id: i.sell_order_id,
                quantity: i.quantity,
                price: i.price,
            }
            .into()
        },
    }]],
    pivot: Pivot {
        name: "settle_trade",
        patience: INTERACTIVE,
        call: |i| {
            asset::SettleTrade {
                trade_id: i.trade_id,
                buy_hold_id: HoldId::of_order(i.buy_order_id),
                sell_hold_id: HoldId::of_order(i.sell_order_id),
                buyer_id: i.buyer_id.clone(),
                seller_id: i.seller_id.clone(),
                base_asset: i.base_asset.clone(),
                quote_asset: i.quote_asset.clone(),
                quantity: i.quantity,
                price: i.price,
            }
            .into()
        },
    },
    retriable: &[Retriable {
        name: "apply_fill",
        call: |i| {
            order::ApplyFill {
                trade_id: i.trade_id,
                instrument: i.instrument.clone(),
                buy_order_id: i.buy_order_id,
                sell_order_id: i.sell_order_id,
                quantity: i.quantity,
                price: i.price,
            }
            .into()
        },
    }],
};
