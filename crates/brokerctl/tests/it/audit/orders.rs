//! Rows of order-svc, each order with the events that lead to it.

use brokerage_types::{
    Actor, Amount, Instrument, InstrumentState, OrderId, Price, Quantity, SagaId, Side, TickBand,
};
use chrono::{DateTime, Utc};
use order_svc::domain::{Change, Order, OrderEvent, Status, Terms, fold};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::world::id;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap()
}

pub fn terms(number: u128, customer: &str, side: Side, limit: &str, quantity: &str) -> Terms {
    Terms {
        order_id: OrderId::from(id(number)),
        customer: customer.parse().unwrap(),
        client_order_id: format!("label-{number}").parse().unwrap(),
        instrument: "XYZ".parse().unwrap(),
        side,
        limit_price: Price::parse(limit).unwrap(),
        qty: Quantity::parse(quantity).unwrap(),
        created_by: Actor::parse(customer).unwrap(),
    }
}

/// Changes that trades make.
pub mod filled {
    use super::{Change, Price, Quantity, id};
    use brokerage_types::TradeId;

    pub fn reserved(trade: u128, quantity: &str, price: &str) -> Change {
        Change::MatchReserved {
            trade_id: TradeId::from(id(trade)),
            quantity: Quantity::parse(quantity).unwrap(),
            price: Price::parse(price).unwrap(),
        }
    }

    pub fn partly(trade: u128, quantity: &str, price: &str) -> Change {
        Change::OrderPartiallyMatched {
            trade_id: TradeId::from(id(trade)),
            quantity: Quantity::parse(quantity).unwrap(),
            price: Price::parse(price).unwrap(),
        }
    }

    pub fn wholly(trade: u128, quantity: &str, price: &str) -> Change {
        Change::OrderMatched {
            trade_id: TradeId::from(id(trade)),
            quantity: Quantity::parse(quantity).unwrap(),
            price: Price::parse(price).unwrap(),
            cancel_rejected: None,
        }
    }
}

/// An order and how it came to be.
pub struct History {
    order: Order,
    events: Vec<OrderEvent>,
}

impl History {
    pub fn drafted(terms: Terms) -> Self {
        let event = OrderEvent::first(now(), Change::OrderCreated { terms }).unwrap();
        Self { order: fold::apply(None, &event).unwrap(), events: vec![event] }
    }

    pub fn opened(terms: Terms, accept_seq: i64) -> Self {
        let mut history = Self::drafted(terms);
        history.all([Change::OrderValidated { accept_seq }]);
        history
    }

    pub fn all(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            let event = OrderEvent::after(&self.order, now(), change).unwrap();
            self.order = fold::apply(Some(&self.order), &event).unwrap();
            self.events.push(event);
        }
    }

    pub fn cancel_asked(&mut self, saga: u128, found: Status) {
        let requested_by = Actor::parse("alice").unwrap();
        self.all([Change::OrderCancelRequested { saga_id: SagaId::from(id(saga)), found, requested_by }]);
    }

    pub async fn write(self, db: &mut PgConnection) {
        let (order, terms) = (&self.order, &self.order.terms);
        sqlx::query(
            "INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                 inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason,
                 version, created_by, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        )
        .bind(terms.order_id.uuid())
        .bind(terms.customer.as_str())
        .bind(terms.client_order_id.as_str())
        .bind(terms.instrument.as_str())
        .bind(terms.side.as_str())
        .bind(terms.limit_price.to_decimal())
        .bind(terms.qty.to_decimal())
        .bind(order.cum_qty.to_decimal())
        .bind(order.inflight_qty.to_decimal())
        .bind(order.canceled_qty.to_decimal())
        .bind(order.cum_notional.to_decimal())
        .bind(order.accept_seq)
        .bind(order.cancel.map(|cancel| cancel.saga.uuid()))
        .bind(order.cancel.map(|cancel| cancel.found.as_str()))
        .bind(order.status.as_str())
        .bind(order.reason.map(|reason| reason.as_str()))
        .bind(order.version)
        .bind(terms.created_by.as_str())
        .bind(order.created_at)
        .bind(order.updated_at)
        .execute(&mut *db)
        .await
        .unwrap();
        for event in &self.events {
            sqlx::query(
                "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq)
                 VALUES ($1, 'order', $2, $3, $4, $5)",
            )
            .bind(Uuid::now_v7())
            .bind(event.order_id.to_string())
            .bind(event.change.kind())
            .bind(Json(event))
            .bind(event.version)
            .execute(&mut *db)
            .await
            .unwrap();
        }
    }
}

pub async fn instrument(db: &mut PgConnection, accept_seq: i64, trade_seq: i64) {
    let definition = Instrument {
        symbol: "XYZ".parse().unwrap(),
        base: "XYZ".parse().unwrap(),
        quote: "TRY".parse().unwrap(),
        price_scale: 2,
        quantity_scale: 0,
        quote_ledger_scale: 6,
        tick_bands: vec![TickBand { from: Amount::ZERO, tick: Price::parse("0.01").unwrap() }],
        lot: Quantity::parse("1").unwrap(),
        min_quantity: None,
        max_quantity: None,
        min_notional: None,
        state: InstrumentState::Open,
    };
    sqlx::query(
        "INSERT INTO instruments (symbol, definition, version, accept_seq, trade_seq, created_at, updated_at)
         VALUES ('XYZ', $1, 1, $2, $3, $4, $4)",
    )
    .bind(Json(definition))
    .bind(accept_seq)
    .bind(trade_seq)
    .bind(now())
    .execute(db)
    .await
    .unwrap();
}

/// A match at 99 of (buy, sell).
pub async fn matched(db: &mut PgConnection, trade: u128, state: &str, orders: (u128, u128), quantity: &str) {
    sqlx::query(
        "INSERT INTO matches (trade_id, instrument, buy_order_id, sell_order_id, quantity, price, state, created_at, updated_at)
         VALUES ($1, 'XYZ', $2, $3, $4::text::numeric, 99, $5, $6, $6)",
    )
    .bind(id(trade))
    .bind(id(orders.0))
    .bind(id(orders.1))
    .bind(quantity)
    .bind(state)
    .bind(now())
    .execute(db)
    .await
    .unwrap();
}

/// The trade of orders 1 and 2.
pub async fn trade(db: &mut PgConnection, trade: u128, quantity: &str, price: &str) {
    sqlx::query(
        "INSERT INTO trades (trade_id, instrument, trade_seq, buy_order_id, sell_order_id, buy_customer_id,
             sell_customer_id, quantity, price, aggressor, created_at)
         VALUES ($1, 'XYZ', 1, $2, $3, 'alice', 'bob', $4::text::numeric, $5::text::numeric, 'SELL', $6)",
    )
    .bind(id(trade))
    .bind(id(1))
    .bind(id(2))
    .bind(quantity)
    .bind(price)
    .bind(now())
    .execute(db)
    .await
    .unwrap();
}
