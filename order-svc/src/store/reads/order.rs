//! One order, with what happened to it.

use brokerage_types::{Price, Quantity, TradeId};
use chrono::{DateTime, Utc};
use service_kit::defect;
use service_kit::fault::{Fault, FaultContext};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{OrderKey, Visible};
use crate::domain::Order;
use crate::store::rows::{OrderRow, read};

/// One fill of one order.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The trade.
    pub trade_id: TradeId,
    /// Base units.
    pub quantity: Quantity,
    /// Quote units per base unit.
    pub price: Price,
    /// When it took effect.
    pub created_at: DateTime<Utc>,
}

/// One event, as stored.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// Counts the order's events from 1.
    pub seq: i64,
    /// What happened.
    pub kind: String,
    /// The content.
    pub payload: serde_json::Value,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// An order and, if asked, its fills and events, all of one moment.
#[derive(Clone, Debug)]
pub struct OrderView {
    /// The order.
    pub order: Order,
    /// Oldest first.
    pub fills: Vec<Fill>,
    /// Oldest first.
    pub history: Vec<HistoryEntry>,
}

/// What to read besides the order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detail {
    /// The fills.
    pub fills: bool,
    /// The events.
    pub history: bool,
}

/// The order, if it exists and may be seen.
pub async fn order(
    pool: PgPool,
    key: OrderKey,
    visible: Visible,
    detail: Detail,
) -> Result<Option<OrderView>, Fault> {
    // One snapshot for all statements, so that the parts agree with each other.
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let Some(order) = find(&mut tx, &key, visible.as_deref()).await? else { return Ok(None) };
    let id = order.terms.order_id.uuid();
    let fills = if detail.fills { fills(&mut tx, id).await? } else { Vec::new() };
    let history = if detail.history { history(&mut tx, id).await? } else { Vec::new() };
    tx.commit().await.context("end a read")?;
    Ok(Some(OrderView { order, fills, history }))
}

async fn find(
    tx: &mut PgConnection,
    key: &OrderKey,
    visible: Option<&[String]>,
) -> Result<Option<Order>, sqlx::Error> {
    let (id, customer, label) = key.parts();
    let visible = visible.filter(|_| !defect::is_seeded("foreign_order_shown"));
    let row = sqlx::query_as!(
        OrderRow,
        "SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty,
                canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason, version,
                created_by, created_at, updated_at
         FROM orders
         WHERE (order_id = $1 OR (customer_id = $2 AND client_order_id = $3))
           AND ($4::text[] IS NULL OR customer_id = ANY($4))",
        id,
        customer,
        label,
        visible as _
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(OrderRow::into_order).transpose()?)
}

async fn fills(tx: &mut PgConnection, order_id: Uuid) -> Result<Vec<Fill>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT trade_id, quantity, price, created_at FROM trades
         WHERE buy_order_id = $1 OR sell_order_id = $1 ORDER BY trade_seq",
        order_id
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Fill {
                trade_id: TradeId::from(row.trade_id),
                quantity: read("quantity", Quantity::from_decimal(row.quantity))?,
                price: read("price", Price::from_decimal(row.price))?,
                created_at: row.created_at,
            })
        })
        .collect()
}

async fn history(tx: &mut PgConnection, order_id: Uuid) -> Result<Vec<HistoryEntry>, sqlx::Error> {
    sqlx::query_as!(
        HistoryEntry,
        "SELECT seq, type AS kind, payload, created_at FROM outbox
         WHERE aggregatetype = 'order' AND aggregateid = $1 ORDER BY seq",
        order_id.to_string()
    )
    .fetch_all(tx)
    .await
}
