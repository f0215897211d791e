//! Rows and their events, for proofs.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::Order;
use crate::store::rows::{OrderRow, read};

/// At most `limit` orders with ids after `after`, by id.
pub async fn orders_after(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Order>, sqlx::Error> {
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty,
                canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason, version,
                created_by, created_at, updated_at
         FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2",
        after,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| row.into_order().map_err(sqlx::Error::from)).collect()
}

/// The events of these orders: (type, payload), each order's by `seq`.
pub async fn events_of(
    connection: &mut PgConnection,
    orders: &[Uuid],
) -> Result<HashMap<Uuid, Vec<(String, serde_json::Value)>>, sqlx::Error> {
    let ids: Vec<String> = orders.iter().map(Uuid::to_string).collect();
    let rows = sqlx::query!(
        "SELECT aggregateid, type AS kind, payload FROM outbox
         WHERE aggregatetype = 'order' AND aggregateid = ANY($1) ORDER BY aggregateid, seq",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut events: HashMap<Uuid, Vec<_>> = HashMap::new();
    for row in rows {
        let id: Uuid = read("aggregateid", row.aggregateid.parse())?;
        events.entry(id).or_default().push((row.kind, row.payload));
    }
    Ok(events)
}

/// How many orders the events tell of.
pub async fn orders_told_of(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(DISTINCT aggregateid) AS "count!" FROM outbox WHERE aggregatetype = 'order'"#
    )
    .fetch_one(connection)
    .await
}
