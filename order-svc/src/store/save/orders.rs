//! Orders and the counters of instruments, as one statement over arrays.

use service_kit::executor::SaveError;
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::all_written;
use crate::store::world::{HeldOrder, Listing};

/// `orders` as arrays, one for each column.
#[derive(Default)]
pub struct OrderColumns<'a> {
    pub order_id: Vec<Uuid>,
    pub customer_id: Vec<&'a str>,
    pub client_order_id: Vec<&'a str>,
    pub instrument: Vec<&'a str>,
    pub side: Vec<&'static str>,
    pub limit_price: Vec<Decimal>,
    pub qty: Vec<Decimal>,
    pub cum_qty: Vec<Decimal>,
    pub inflight_qty: Vec<Decimal>,
    pub canceled_qty: Vec<Decimal>,
    pub cum_notional: Vec<Decimal>,
    pub accept_seq: Vec<Option<i64>>,
    pub cancel_saga: Vec<Option<Uuid>>,
    pub cancel_found: Vec<Option<&'static str>>,
    pub status: Vec<&'static str>,
    pub reason: Vec<Option<&'static str>>,
    pub version: Vec<i64>,
    pub created_by: Vec<&'a str>,
    pub created_at: Vec<chrono::DateTime<chrono::Utc>>,
    pub updated_at: Vec<chrono::DateTime<chrono::Utc>>,
    /// 0 for a new row.
    pub stored_version: Vec<i64>,
}

impl<'a> OrderColumns<'a> {
    /// The columns of these orders.
    pub fn of(orders: &[&'a HeldOrder]) -> Self {
        let mut columns = Self::default();
        for held in orders {
            columns.push(held);
        }
        columns
    }

    fn push(&mut self, held: &'a HeldOrder) {
        let (order, terms) = (&held.order, &held.order.terms);
        self.order_id.push(terms.order_id.uuid());
        self.customer_id.push(terms.customer.as_str());
        self.client_order_id.push(terms.client_order_id.as_str());
        self.instrument.push(terms.instrument.as_str());
        self.side.push(terms.side.as_str());
        self.limit_price.push(terms.limit_price.to_decimal());
        self.qty.push(terms.qty.to_decimal());
        self.cum_qty.push(order.cum_qty.to_decimal());
        self.inflight_qty.push(order.inflight_qty.to_decimal());
        self.canceled_qty.push(order.canceled_qty.to_decimal());
        self.cum_notional.push(order.cum_notional.to_decimal());
        self.accept_seq.push(order.accept_seq);
        self.cancel_saga.push(order.cancel.map(|cancel| cancel.saga.uuid()));
        self.cancel_found.push(order.cancel.map(|cancel| cancel.found.as_str()));
        self.status.push(order.status.as_str());
        self.reason.push(order.reason.map(|reason| reason.as_str()));
        self.version.push(order.version);
        self.created_by.push(terms.created_by.as_str());
        self.created_at.push(order.created_at);
        self.updated_at.push(order.updated_at);
        self.stored_version.push(held.stored_version.unwrap_or(0));
    }
}

/// Writes orders, and the counters of instruments.
pub async fn write_orders(
    tx: &mut PgConnection,
    orders: &[&HeldOrder],
    counted: &[&Listing],
) -> Result<(), SaveError> {
    if orders.is_empty() && counted.is_empty() {
        return Ok(());
    }
    let o = OrderColumns::of(orders);
    let symbols: Vec<&str> = counted.iter().map(|l| l.definition.symbol.as_str()).collect();
    let accept_seqs: Vec<i64> = counted.iter().map(|l| l.accept_seq).collect();
    let trade_seqs: Vec<i64> = counted.iter().map(|l| l.trade_seq).collect();
    let written = sqlx::query_file_scalar!(
        "src/store/save/write_orders.sql",
        &o.order_id,
        &o.customer_id as _,
        &o.client_order_id as _,
        &o.instrument as _,
        &o.side as _,
        &o.limit_price,
        &o.qty,
        &o.cum_qty,
        &o.inflight_qty,
        &o.canceled_qty,
        &o.cum_notional,
        &o.accept_seq as _,
        &o.cancel_saga as _,
        &o.cancel_found as _,
        &o.status as _,
        &o.reason as _,
        &o.version,
        &o.created_by as _,
        &o.created_at,
        &o.updated_at,
        &o.stored_version,
        &symbols as _,
        &accept_seqs,
        &trade_seqs
    )
    .fetch_one(tx)
    .await?;
    all_written(written, orders.len() + counted.len())
}
