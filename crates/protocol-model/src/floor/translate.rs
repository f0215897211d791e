//! The orchestrator's commands as the services read them from the wire.

use asset_svc::domain::command as asset;
use order_svc::domain::Terms;
use order_svc::domain::command as order;
use order_svc::domain::matching::Deal;
use saga_orchestrator::sagas::command::{asset as asked_asset, order as asked_order};

/// What order-svc is asked: a command for its books, or the check that only reads.
pub enum Order {
    /// For the books.
    Command(order::Command),
    /// The check.
    AwaitDrain(brokerage_types::OrderId),
}

/// To order-svc.
pub fn to_order(command: &asked_order::Command) -> Order {
    use asked_order::Command as Asked;
    Order::Command(match command.clone() {
        Asked::AwaitDrain(asked) => return Order::AwaitDrain(asked.order_id),
        Asked::Draft(asked) => order::Command::Draft(Terms {
            order_id: asked.order_id,
            customer: asked.customer_id,
            client_order_id: asked.client_order_id,
            instrument: asked.instrument,
            side: asked.side,
            limit_price: asked.limit_price,
            qty: asked.quantity,
            created_by: asked.created_by,
        }),
        Asked::Open(asked) => {
            order::Command::Open(order::Open { order_id: asked.order_id, instrument: asked.instrument })
        }
        Asked::BeginCancel(asked) => order::Command::BeginCancel(order::BeginCancel {
            order_id: asked.order_id,
            requested_by: asked.requested_by,
        }),
        Asked::ConfirmCancel(asked) => {
            order::Command::ConfirmCancel(order::ConfirmCancel { order_id: asked.order_id })
        }
        Asked::ReserveMatch(asked) => order::Command::ReserveMatch(Deal {
            trade_id: asked.trade_id,
            instrument: asked.instrument,
            buy_order_id: asked.buy_order_id,
            sell_order_id: asked.sell_order_id,
            quantity: asked.quantity,
            price: asked.price,
        }),
        Asked::ApplyFill(asked) => order::Command::ApplyFill(Deal {
            trade_id: asked.trade_id,
            instrument: asked.instrument,
            buy_order_id: asked.buy_order_id,
            sell_order_id: asked.sell_order_id,
            quantity: asked.quantity,
            price: asked.price,
        }),
    })
}

/// To asset-svc.
pub fn to_asset(command: &asked_asset::Command) -> asset::Command {
    use asked_asset::Command as Asked;
    match command.clone() {
        Asked::PlaceHold(asked) => asset::Command::PlaceHold(asset::PlaceHold {
            hold_id: asked.hold_id,
            customer: asked.customer_id,
            side: asked.side,
            base: asked.base_asset,
            quote: asked.quote_asset,
            limit: asked.limit_price,
            quantity: asked.quantity,
        }),
        Asked::ReleaseHold(asked) => {
            asset::Command::ReleaseHold(asset::ReleaseHold { hold_id: asked.hold_id })
        }
        Asked::SettleTrade(asked) => asset::Command::SettleTrade(asset::SettleTrade {
            trade_id: asked.trade_id,
            buy_hold: asked.buy_hold_id,
            sell_hold: asked.sell_hold_id,
            buyer: asked.buyer_id,
            seller: asked.seller_id,
            base: asked.base_asset,
            quote: asked.quote_asset,
            quantity: asked.quantity,
            price: asked.price,
        }),
    }
}
