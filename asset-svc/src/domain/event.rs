//! What happened, one event per change of one thing. The outbox keeps them; their order per thing is gap-free.

use brokerage_types::{Amount, AssetCode, CustomerId, Reason};
use serde_json::{Value, json};

use super::asset::Asset;
use super::command::SettleTrade;
use super::customer::Customer;
use super::hold::{Capture, Hold, State};
use super::ledger::Head;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What kind of thing changed.
    pub aggregate: &'static str,
    /// Which one.
    pub id: String,
    /// Counts that one's changes from 1.
    pub seq: i64,
    /// What happened.
    pub kind: &'static str,
    /// The content.
    pub payload: Value,
}

impl Event {
    /// A hold was placed.
    #[must_use]
    pub fn hold_placed(hold: &Hold) -> Self {
        let terms = &hold.terms;
        let payload = json!({
            "customer_id": terms.customer, "side": terms.side, "base_asset": terms.base,
            "quote_asset": terms.quote, "limit_price": terms.limit, "quantity": terms.quantity,
            "placed": hold.placed, "fee_ppm": terms.commission.rate, "fee_scale": terms.commission.scale,
        });
        Self::of_hold(hold, "HoldPlaced", payload)
    }

    /// A fill took its share of a hold; the hold is closed if nothing is left.
    #[must_use]
    pub fn hold_captured(capture: &Capture, trade: &SettleTrade) -> Self {
        let hold = &capture.hold;
        let payload = json!({
            "trade_id": trade.trade_id, "quantity": trade.quantity, "price": trade.price, "fee": capture.fee,
            "released": capture.released, "captured": hold.captured, "cum_quantity": hold.cum_quantity,
            "cum_notional": hold.cum_notional, "cum_fee": hold.cum_fee,
            "closed": hold.state == State::Closed,
        });
        Self::of_hold(hold, "HoldCaptured", payload)
    }

    /// A hold was closed and what was left went back.
    #[must_use]
    pub fn hold_released(hold: &Hold, residual: Amount, reason: Option<Reason>) -> Self {
        let payload = json!({ "released": residual, "reason": reason });
        Self::of_hold(hold, "HoldReleased", payload)
    }

    /// A trade was settled; the journal has it under the trade's id.
    #[must_use]
    pub fn trade_settled(trade: &SettleTrade, buy: &Capture, sell: &Capture) -> Self {
        let payload = json!({
            "trade_id": trade.trade_id, "buy_hold_id": trade.buy_hold, "sell_hold_id": trade.sell_hold,
            "buyer_id": trade.buyer, "seller_id": trade.seller, "base_asset": trade.base,
            "quote_asset": trade.quote, "quantity": trade.quantity, "price": trade.price,
            "notional": buy.notional, "buyer_fee": buy.fee, "seller_fee": sell.fee, "improvement": buy.released,
        });
        let id = trade.trade_id.to_string();
        Self { aggregate: "ledger_tx", id, seq: 1, kind: "TradeSettled", payload }
    }

    /// A deposit, withdrawal or transfer was booked. The amount is signed as the customer sees it.
    #[must_use]
    pub fn moved(
        kind: &'static str,
        head: &Head,
        customer: &CustomerId,
        asset: &AssetCode,
        amount: Amount,
    ) -> Self {
        let payload = json!({
            "customer_id": customer, "asset": asset, "amount": amount, "caused_by": head.cause.to_string(),
            "reason": head.reason, "external": head.external,
        });
        Self { aggregate: "ledger_tx", id: head.tx_id.to_string(), seq: 1, kind, payload }
    }

    /// A customer was made or changed.
    #[must_use]
    pub fn customer_upserted(customer: &Customer) -> Self {
        Self {
            aggregate: "customer",
            id: customer.customer_id.to_string(),
            seq: customer.version,
            kind: "CustomerUpserted",
            payload: json!({ "name": customer.name, "tier": customer.tier, "state": customer.state }),
        }
    }

    /// An asset was made.
    #[must_use]
    pub fn asset_upserted(asset: &Asset) -> Self {
        Self {
            aggregate: "asset",
            id: asset.asset.to_string(),
            seq: 1,
            kind: "AssetUpserted",
            payload: json!({ "ledger_scale": asset.ledger_scale, "transfer_scale": asset.transfer_scale }),
        }
    }

    /// A customer got an empty entry of an asset.
    #[must_use]
    pub fn asset_opened(customer: &CustomerId, asset: &AssetCode) -> Self {
        Self {
            aggregate: "balance",
            id: format!("{customer}:{asset}"),
            seq: 1,
            kind: "AssetOpened",
            payload: json!({ "customer_id": customer, "asset": asset }),
        }
    }

    fn of_hold(hold: &Hold, kind: &'static str, payload: Value) -> Self {
        Self { aggregate: "hold", id: hold.id.to_string(), seq: hold.version, kind, payload }
    }
}
