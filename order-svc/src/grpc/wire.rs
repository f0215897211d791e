//! Domain values as they go over the wire.

use brokerage_proto::common::v1 as common;
use brokerage_proto::order::v1 as wire;
use brokerage_types::{Amount, Instrument, InstrumentState, Quantity, Side};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::domain::{Order, Status};
use crate::store::reads::{Fill, HistoryEntry, Listed, OrderView, TermsView, TradeView};

/// An instant.
pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: at.timestamp(), nanos }
}

/// Buy or sell.
pub fn side(side: Side) -> common::Side {
    match side {
        Side::Buy => common::Side::Buy,
        Side::Sell => common::Side::Sell,
    }
}

/// What an order is.
pub fn status(status: Status) -> wire::OrderStatus {
    match status {
        Status::Init => wire::OrderStatus::Init,
        Status::Pending => wire::OrderStatus::Pending,
        Status::PartiallyMatched => wire::OrderStatus::PartiallyMatched,
        Status::CancelRequested => wire::OrderStatus::CancelRequested,
        Status::Matched => wire::OrderStatus::Matched,
        Status::Canceled => wire::OrderStatus::Canceled,
        Status::Rejected => wire::OrderStatus::Rejected,
        Status::Suspended => wire::OrderStatus::Suspended,
    }
}

/// An order without fills and history.
pub fn order(order: &Order) -> wire::Order {
    let terms = &order.terms;
    wire::Order {
        order_id: terms.order_id.to_string(),
        customer_id: terms.customer.to_string(),
        client_order_id: terms.client_order_id.to_string(),
        instrument: terms.instrument.to_string(),
        side: side(terms.side).into(),
        limit_price: terms.limit_price.to_string(),
        quantity: terms.qty.to_string(),
        cum_quantity: order.cum_qty.to_string(),
        inflight_quantity: order.inflight_qty.to_string(),
        canceled_quantity: order.canceled_qty.to_string(),
        leaves_quantity: order.leaves().to_string(),
        cum_notional: order.cum_notional.to_string(),
        average_price: average(order.cum_notional, order.cum_qty),
        status: status(order.status).into(),
        reason: order.reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        accept_seq: order.accept_seq.unwrap_or_default(),
        version: order.version,
        created_by: terms.created_by.to_string(),
        created_at: Some(timestamp(order.created_at)),
        updated_at: Some(timestamp(order.updated_at)),
        fills: Vec::new(),
        history: Vec::new(),
    }
}

/// An order with what was asked for besides.
pub fn order_view(view: &OrderView) -> wire::Order {
    wire::Order {
        fills: view.fills.iter().map(fill).collect(),
        history: view.history.iter().map(history_entry).collect(),
        ..order(&view.order)
    }
}

fn fill(fill: &Fill) -> wire::Fill {
    wire::Fill {
        trade_id: fill.trade_id.to_string(),
        quantity: fill.quantity.to_string(),
        price: fill.price.to_string(),
        created_at: Some(timestamp(fill.created_at)),
    }
}

fn history_entry(entry: &HistoryEntry) -> wire::OrderEvent {
    wire::OrderEvent {
        seq: entry.seq,
        r#type: entry.kind.clone(),
        payload_json: entry.payload.to_string(),
        created_at: Some(timestamp(entry.created_at)),
    }
}

/// For display only: rounded half up at 8 places. Empty when nothing was filled.
fn average(cum_notional: Amount, cum_qty: Quantity) -> String {
    const UNIT: i128 = 100_000_000;
    let (paid, bought) = (cum_notional.units(), cum_qty.units());
    if bought == 0 {
        return String::new();
    }
    // units = paid × UNIT ÷ bought, in two parts so that the product stays within i128.
    let (whole, rest) = (paid / bought, paid % bought);
    let fraction = (rest * UNIT * 2 + bought) / (bought * 2);
    match Amount::from_units(whole * UNIT + fraction) {
        Ok(average) => average.to_string(),
        Err(_) => String::new(),
    }
}

/// A trade as the caller may see it.
pub fn trade(trade: &TradeView) -> wire::Trade {
    wire::Trade {
        trade_id: trade.trade_id.to_string(),
        instrument: trade.instrument.to_string(),
        trade_seq: trade.trade_seq,
        buy_order_id: trade.buy_order_id.map(|id| id.to_string()).unwrap_or_default(),
        sell_order_id: trade.sell_order_id.map(|id| id.to_string()).unwrap_or_default(),
        quantity: trade.quantity.to_string(),
        price: trade.price.to_string(),
        aggressor: side(trade.aggressor).into(),
        created_at: Some(timestamp(trade.created_at)),
    }
}

/// An instrument.
pub fn instrument(definition: &Instrument, version: i64) -> wire::Instrument {
    let bands = definition.tick_bands.iter();
    let state = match definition.state {
        InstrumentState::Open => wire::InstrumentState::Open,
        InstrumentState::Halted => wire::InstrumentState::Halted,
    };
    wire::Instrument {
        symbol: definition.symbol.to_string(),
        base_asset: definition.base.to_string(),
        quote_asset: definition.quote.to_string(),
        price_scale: definition.price_scale,
        quantity_scale: definition.quantity_scale,
        quote_ledger_scale: definition.quote_ledger_scale,
        tick_bands: bands
            .map(|band| wire::TickBand { from_price: band.from.to_string(), tick: band.tick.to_string() })
            .collect(),
        lot: definition.lot.to_string(),
        min_quantity: definition.min_quantity.map(|q| q.to_string()).unwrap_or_default(),
        max_quantity: definition.max_quantity.map(|q| q.to_string()).unwrap_or_default(),
        min_notional: definition.min_notional.map(|n| n.to_string()).unwrap_or_default(),
        state: state.into(),
        version,
    }
}

/// An instrument as stored.
pub fn listed(listed: &Listed) -> wire::Instrument {
    instrument(&listed.definition, listed.version)
}

/// What a saga's input needs to know of an order.
pub fn terms(view: &TermsView) -> wire::OrderTerms {
    let (order, terms) = (&view.order, &view.order.terms);
    wire::OrderTerms {
        order_id: terms.order_id.to_string(),
        customer_id: terms.customer.to_string(),
        instrument: terms.instrument.to_string(),
        base_asset: view.instrument.base.to_string(),
        quote_asset: view.instrument.quote.to_string(),
        side: side(terms.side).into(),
        limit_price: terms.limit_price.to_string(),
        matchable_quantity: order.matchable_quantity().to_string(),
        status: status(order.status).into(),
        accept_seq: order.accept_seq.unwrap_or_default(),
        client_order_id: terms.client_order_id.to_string(),
        read_at: Some(timestamp(view.read_at)),
    }
}

#[cfg(test)]
mod tests {
    use brokerage_types::{Amount, Quantity};

    use super::average;

    #[test]
    fn the_average_price_is_rounded_half_up_at_eight_places() {
        for (paid, bought, expected) in [
            ("0", "0", ""),
            ("1000", "10", "100"),
            ("1", "3", "0.33333333"),
            ("2", "3", "0.66666667"),
            ("0.00000001", "2", "0.00000001"),
            ("999999999999999999", "0.5", ""),
            ("999999999999999999.99999999", "999999999999999999.99999999", "1"),
        ] {
            let average = average(Amount::parse(paid).unwrap(), Quantity::parse(bought).unwrap());
            assert_eq!(average, expected, "{paid} ÷ {bought}");
        }
    }
}
