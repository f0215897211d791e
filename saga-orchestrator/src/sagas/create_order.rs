//! Create order: draft it and, at the same time, hold what it may cost; then open it to the market.
//!
//! | step         | service | kind          | taken back by       |
//! |--------------|---------|---------------|---------------------|
//! | `draft`      | order   | compensatable | rejecting the order |
//! | `place_hold` | asset   | compensatable | releasing the hold  |
//! | `open`       | order   | pivot         | –                   |
//!
//! `open` refuses when a cancel was asked meanwhile or the instrument is halted; the hold is then released and the
//! order ends CANCELED or REJECTED. The saga's id, the order's and the hold's are one number.

use brokerage_types::{
    Actor, AssetCode, ClientOrderId, CustomerId, HoldId, OrderId, Price, Quantity, Side, Symbol,
};
use serde::{Deserialize, Serialize};

use super::command::{asset, order};
use crate::engine::definition::{INTERACTIVE, Kind, Pivot, Saga, Step};

/// Everything the saga will ever need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The order to be: the saga's own number.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// The client's label; the order's id if the client gave none.
    pub client_order_id: ClientOrderId,
    /// What is traded.
    pub instrument: Symbol,
    /// What is bought or sold.
    pub base_asset: AssetCode,
    /// What is paid with.
    pub quote_asset: AssetCode,
    /// Buy or sell.
    pub side: Side,
    /// Worst acceptable price.
    pub limit_price: Price,
    /// How much.
    pub quantity: Quantity,
    /// Who placed it.
    pub created_by: Actor,
}

/// The definition.
pub const SAGA: Saga<Input> = Saga {
    kind: "create_order",
    version: 1,
    stages: &[
        // At once: neither needs the other, and whichever is refused, the other is taken back.
        &[
            Step {
                name: "draft",
                kind: Kind::Compensatable,
                patience: INTERACTIVE,
                call: |i| {
                    order::Draft {
                        order_id: i.order_id,
                        customer_id: i.customer_id.clone(),
                        client_order_id: i.client_order_id.clone(),
                        instrument: i.instrument.clone(),
                        side: i.side,
                        limit_price: i.limit_price,
                        quantity: i.quantity,
                        created_by: i.created_by.clone(),
                    }
                    .into()
                },
            },
            Step {
                name: "place_hold",
                kind: Kind::Compensatable,
                patience: INTERACTIVE,
                call: |i| {
                    asset::PlaceHold {
                        hold_id: HoldId::of_order(i.order_id),
                        customer_id: i.customer_id.clone(),
                        side: i.side,
                        base_asset: i.base_asset.clone(),
                        quote_asset: i.quote_asset.clone(),
                        limit_price: i.limit_price,
                        quantity: i.quantity,
                    }
                    .into()
                },
            },
        ],
    ],
    pivot: Pivot {
        name: "open",
        patience: INTERACTIVE,
        call: |i| order::Open { order_id: i.order_id, instrument: i.instrument.clone() }.into(),
    },
    retriable: &[],
};
