//! Who plays: people, instruments and the sagas they start.

use std::str::FromStr;

use brokerage_types::{Instrument, InstrumentState, OrderId, Price, Quantity, SagaId, Side, TickBand};
use saga_orchestrator::engine::definition::Script;
use saga_orchestrator::sagas::{Input, cancel_order, create_order, match_orders};
use uuid::Uuid;

/// One saga of a scenario.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Its number.
    pub saga_id: SagaId,
    /// Its shape and commands.
    pub script: Script,
    /// How many drivers drive it at once.
    pub drivers: usize,
}

impl Cast {
    /// A saga of the book.
    #[must_use]
    pub fn new(saga_id: u128, input: &Input, drivers: usize) -> Self {
        Self { saga_id: Uuid::from_u128(saga_id).into(), script: input.script(), drivers }
    }
}

/// Parses what is written in this crate.
///
/// # Panics
/// When it is written wrongly.
#[expect(clippy::panic, reason = "a constant of this crate; there is nobody to tell")]
pub fn fixed<T: FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(_) => panic!("`{text}` is not what it should be"),
    }
}

/// Everybody trades this.
#[must_use]
pub fn thyao() -> Instrument {
    Instrument {
        symbol: fixed("THYAO"),
        base: fixed("THYAO"),
        quote: fixed("TRY"),
        price_scale: 2,
        quantity_scale: 0,
        quote_ledger_scale: 6,
        tick_bands: vec![TickBand { from: fixed("0"), tick: fixed("0.01") }],
        lot: fixed("1"),
        min_quantity: None,
        max_quantity: None,
        min_notional: None,
        state: InstrumentState::Open,
    }
}

/// An order to be created.
#[must_use]
pub fn create(order: u128, customer: &str, side: Side, limit_price: Price, quantity: Quantity) -> Input {
    let order_id = Uuid::from_u128(order).into();
    Input::CreateOrder(create_order::Input {
        order_id,
        customer_id: fixed(customer),
        client_order_id: fixed(&format!("order-{order}")),
        instrument: fixed("THYAO"),
        base_asset: fixed("THYAO"),
        quote_asset: fixed("TRY"),
        side,
        limit_price,
        quantity,
        created_by: fixed(customer),
    })
}

/// An order to be canceled.
#[must_use]
pub fn cancel(order: u128, customer: &str) -> Input {
    let order_id: OrderId = Uuid::from_u128(order).into();
    Input::CancelOrder(cancel_order::Input { order_id, requested_by: fixed(customer) })
}

/// A pair to be matched, the buyer first.
#[must_use]
pub fn deal(trade: u128, buy: (u128, &str), sell: (u128, &str), quantity: Quantity, price: Price) -> Input {
    Input::MatchOrders(match_orders::Input {
        trade_id: Uuid::from_u128(trade).into(),
        instrument: fixed("THYAO"),
        base_asset: fixed("THYAO"),
        quote_asset: fixed("TRY"),
        buy_order_id: Uuid::from_u128(buy.0).into(),
        sell_order_id: Uuid::from_u128(sell.0).into(),
        buyer_id: fixed(buy.1),
        seller_id: fixed(sell.1),
        quantity,
        price,
    })
}
