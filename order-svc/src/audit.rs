//! What an auditor needs to prove A11: that every order's row is the fold of its events.
//!
//! Reads any connection to this service's database, also from another process and inside a snapshot.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{OrderEvent, fold};
use crate::store::reads;

/// An order as its row or its events tell it. Comparable, and serialisable to show a difference.
pub use crate::domain::Order as OrderSnapshot;

/// How many orders are compared at a time.
const BATCH_ORDERS: i64 = 1_000;

/// What an order must be, given its events as the outbox has them: (type, payload), in the order of `seq`.
///
/// # Errors
/// What is wrong with the history, in words.
pub fn fold_order(events: Vec<(String, serde_json::Value)>) -> Result<OrderSnapshot, String> {
    let mut typed = Vec::with_capacity(events.len());
    for (index, (kind, payload)) in events.into_iter().enumerate() {
        let event: OrderEvent =
            serde_json::from_value(payload).map_err(|e| format!("event {}: {kind}: {e}", index + 1))?;
        if event.change.kind() != kind {
            return Err(format!("event {}: filed as {kind}, says {}", index + 1, event.change.kind()));
        }
        typed.push(event);
    }
    fold::fold(&typed).map_err(|broken| broken.to_string())
}

/// At most `limit` order rows with ids after `after`, by id.
///
/// # Errors
/// The database fails, or a row is no order.
pub async fn orders_after(
    connection: &mut PgConnection,
    after: Uuid,
    limit: i64,
) -> Result<Vec<OrderSnapshot>, sqlx::Error> {
    reads::orders_after(connection, after, limit).await
}

/// The events of these orders, each in the order of `seq`, ready for [`fold_order`].
///
/// # Errors
/// The database fails.
pub async fn events_of(
    connection: &mut PgConnection,
    orders: &[Uuid],
) -> Result<HashMap<Uuid, Vec<(String, serde_json::Value)>>, sqlx::Error> {
    reads::events_of(connection, orders).await
}

/// A11 for the whole database: every row is the fold of its events, and no events tell of an order without a row.
/// Gives the number of orders. Meant for a connection inside a REPEATABLE READ transaction.
///
/// # Errors
/// The first difference, in words; or that the database failed.
pub async fn verify_orders(connection: &mut PgConnection) -> Result<u64, String> {
    let failed = |error: sqlx::Error| format!("read orders and events: {error}");
    let mut after = Uuid::nil();
    let mut count = 0;
    loop {
        let rows = orders_after(connection, after, BATCH_ORDERS).await.map_err(failed)?;
        let Some(last) = rows.last() else { break };
        after = last.terms.order_id.uuid();
        count += rows.len() as u64;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.terms.order_id.uuid()).collect();
        let mut events = events_of(connection, &ids).await.map_err(failed)?;
        for row in rows {
            let id = row.terms.order_id;
            let folded = fold_order(events.remove(&id.uuid()).unwrap_or_default())
                .map_err(|broken| format!("order {id}: {broken}"))?;
            if folded != row {
                return Err(format!("order {id} is {}, its events say {}", shown(&row), shown(&folded)));
            }
        }
    }
    let told = reads::orders_told_of(connection).await.map_err(failed)?;
    if i64::try_from(count) != Ok(told) {
        return Err(format!("{count} orders have rows, {told} have events"));
    }
    Ok(count)
}

fn shown(order: &OrderSnapshot) -> String {
    serde_json::to_string(order).unwrap_or_else(|_| format!("{order:?}"))
}
