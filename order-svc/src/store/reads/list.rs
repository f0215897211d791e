//! Orders by filter, page by page.

use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::fault::Fault;
use sqlx::PgPool;

use super::{Position, Visible};
use crate::domain::Order;
use crate::store::rows::OrderRow;

/// What to list. An empty filter does not filter.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OrderFilter {
    /// Whose rows may be seen.
    pub visible: Visible,
    /// Any of these.
    pub statuses: Option<Vec<String>>,
    /// The symbol.
    pub instrument: Option<String>,
    /// Buy or sell.
    pub side: Option<String>,
    /// Created at or after.
    pub created_from: Option<DateTime<Utc>>,
    /// Created before.
    pub created_to: Option<DateTime<Utc>>,
    /// Changed at or after.
    pub updated_from: Option<DateTime<Utc>>,
    /// Changed before.
    pub updated_to: Option<DateTime<Utc>>,
    /// Labels that start so.
    pub label_prefix: Option<String>,
    /// Who placed it.
    pub created_by: Option<String>,
    /// Sorted how.
    pub sort: OrderSort,
}

/// How a list is sorted. Ties are broken by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum OrderSort {
    /// Newest first.
    #[default]
    CreatedDesc,
    /// Oldest first.
    CreatedAsc,
    /// Last changed first.
    UpdatedDesc,
    /// Longest unchanged first.
    UpdatedAsc,
}

impl OrderSort {
    /// Where a list sorted so stands at this order.
    pub fn position(self, order: &Order) -> Position {
        let at = match self {
            OrderSort::CreatedDesc | OrderSort::CreatedAsc => order.created_at,
            OrderSort::UpdatedDesc | OrderSort::UpdatedAsc => order.updated_at,
        };
        Position { at, id: order.terms.order_id.uuid() }
    }
}

/// One statement per sort, each checked and each with its own plan; what they share is said once.
macro_rules! page {
    ($pool:expr, $filter:expr, $after:expr, $limit:expr, $column:literal, $beyond:literal, $direction:literal) => {
        sqlx::query_as!(
            OrderRow,
            r#"SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                    inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason,
                    version, created_by, created_at, updated_at
             FROM orders
             WHERE ($1::text[] IS NULL OR customer_id COLLATE "C" = ANY($1))
               AND ($2::text[] IS NULL OR status = ANY($2))
               AND ($3::text IS NULL OR instrument = $3)
               AND ($4::text IS NULL OR side = $4)
               AND ($5::timestamptz IS NULL OR created_at >= $5)
               AND ($6::timestamptz IS NULL OR created_at < $6)
               AND ($7::timestamptz IS NULL OR updated_at >= $7)
               AND ($8::timestamptz IS NULL OR updated_at < $8)
               AND ($9::text IS NULL OR starts_with(client_order_id, $9))
               AND ($10::text IS NULL OR created_by = $10)
               AND ($11::timestamptz IS NULL OR ("#
                + $column
                + ", order_id) "
                + $beyond
                + " ($11, $12)) ORDER BY "
                + $column
                + " "
                + $direction
                + ", order_id "
                + $direction
                + " LIMIT $13",
            $filter.visible.as_deref() as _,
            $filter.statuses.as_deref() as _,
            $filter.instrument.as_deref(),
            $filter.side.as_deref(),
            $filter.created_from,
            $filter.created_to,
            $filter.updated_from,
            $filter.updated_to,
            $filter.label_prefix.as_deref(),
            $filter.created_by.as_deref(),
            $after.map(|position: Position| position.at),
            $after.map(|position: Position| position.id),
            $limit
        )
        .fetch_all($pool)
        .await
    };
}

/// At most `limit` orders after `after`.
pub async fn orders(
    pool: PgPool,
    filter: OrderFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Order>, Fault> {
    let rows = match filter.sort {
        OrderSort::CreatedDesc => page!(&pool, filter, after, limit, "created_at", "<", "DESC"),
        OrderSort::CreatedAsc => page!(&pool, filter, after, limit, "created_at", ">", "ASC"),
        OrderSort::UpdatedDesc => page!(&pool, filter, after, limit, "updated_at", "<", "DESC"),
        OrderSort::UpdatedAsc => page!(&pool, filter, after, limit, "updated_at", ">", "ASC"),
    }?;
    let orders: Result<Vec<Order>, _> = rows.into_iter().map(OrderRow::into_order).collect();
    orders.map_err(|broken| sqlx::Error::from(broken).into())
}
