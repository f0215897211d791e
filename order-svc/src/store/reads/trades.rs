//! Trades in effect: the tape, which everybody sees, with order ids that not everybody sees.

use brokerage_types::{OrderId, Price, Quantity, Side, Symbol, TradeId};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::fault::Fault;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Position, Visible};
use crate::store::rows::read;

/// What to list. An empty filter does not filter.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TradeFilter {
    /// Whose order ids may be seen.
    pub visible: Visible,
    /// The symbol.
    pub instrument: Option<String>,
    /// Either order.
    pub order_id: Option<Uuid>,
    /// Either owner.
    pub customer: Option<String>,
}

/// A trade as one caller sees it.
#[derive(Clone, Debug)]
pub struct TradeView {
    /// The trade.
    pub trade_id: TradeId,
    /// The symbol.
    pub instrument: Symbol,
    /// Counts the instrument's trades from 1.
    pub trade_seq: i64,
    /// None when it is not the caller's to see.
    pub buy_order_id: Option<OrderId>,
    /// None when it is not the caller's to see.
    pub sell_order_id: Option<OrderId>,
    /// Base units.
    pub quantity: Quantity,
    /// Quote units per base unit.
    pub price: Price,
    /// Which side came second.
    pub aggressor: Side,
    /// When it took effect.
    pub created_at: DateTime<Utc>,
}

impl TradeView {
    /// Where a list stands at this trade.
    pub fn position(&self) -> Position {
        Position { at: self.created_at, id: self.trade_id.uuid() }
    }
}

/// Whether there is such an order and it may be seen.
pub async fn is_visible(pool: PgPool, order_id: OrderId, visible: Visible) -> Result<bool, Fault> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM orders
                          WHERE order_id = $1 AND ($2::text[] IS NULL OR customer_id = ANY($2))) AS "found!""#,
        order_id.uuid(),
        visible.as_deref() as _
    )
    .fetch_one(&pool)
    .await?;
    Ok(found)
}

/// At most `limit` trades before `after`, newest first.
pub async fn trades(
    pool: PgPool,
    filter: TradeFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<TradeView>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT trade_id, instrument, trade_seq, quantity, price, aggressor, created_at,
                  CASE WHEN $1::text[] IS NULL OR buy_customer_id = ANY($1) THEN buy_order_id END AS buy_order_id,
                  CASE WHEN $1::text[] IS NULL OR sell_customer_id = ANY($1) THEN sell_order_id END AS sell_order_id
           FROM trades
           WHERE ($2::text IS NULL OR instrument = $2)
             AND ($3::uuid IS NULL OR buy_order_id = $3 OR sell_order_id = $3)
             AND ($4::text IS NULL OR buy_customer_id = $4 OR sell_customer_id = $4)
             AND ($5::timestamptz IS NULL OR (created_at, trade_id) < ($5, $6))
           ORDER BY created_at DESC, trade_id DESC LIMIT $7"#,
        filter.visible.as_deref() as _,
        filter.instrument,
        filter.order_id,
        filter.customer,
        after.map(|position| position.at),
        after.map(|position| position.id),
        limit
    )
    .fetch_all(&pool)
    .await?;
    let trades: Result<Vec<TradeView>, sqlx::Error> = rows
        .into_iter()
        .map(|row| {
            Ok(TradeView {
                trade_id: TradeId::from(row.trade_id),
                instrument: read("instrument", row.instrument.parse())?,
                trade_seq: row.trade_seq,
                buy_order_id: row.buy_order_id.map(OrderId::from),
                sell_order_id: row.sell_order_id.map(OrderId::from),
                quantity: read("quantity", Quantity::from_decimal(row.quantity))?,
                price: read("price", Price::from_decimal(row.price))?,
                aggressor: read("aggressor", row.aggressor.parse())?,
                created_at: row.created_at,
            })
        })
        .collect();
    Ok(trades?)
}
