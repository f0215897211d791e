//! What sagas read before they start, and the check that the cancel saga waits for.

use brokerage_types::{Instrument, OrderId, Quantity, SagaId};
use chrono::{DateTime, Utc};
use service_kit::fault::Fault;
use sqlx::PgPool;
use sqlx::types::Json;

use super::{OrderKey, Visible};
use crate::domain::{Cancel, Order, Status};
use crate::store::rows::{OrderRow, read};

/// What a saga's input needs to know of an order.
#[derive(Clone, Debug)]
pub struct TermsView {
    /// The order.
    pub order: Order,
    /// Its instrument.
    pub instrument: Instrument,
    /// The database's clock when it was read.
    pub read_at: DateTime<Utc>,
}

/// The order and its instrument, if the order exists and may be seen.
pub async fn terms(pool: PgPool, key: OrderKey, visible: Visible) -> Result<Option<TermsView>, Fault> {
    let (id, customer, label) = key.parts();
    // Each column by name: with `o.*` a column of the next release would break the process that does not know it yet.
    let row = sqlx::query!(
        r#"SELECT o.order_id, o.customer_id, o.client_order_id, o.instrument, o.side, o.limit_price, o.qty, o.cum_qty,
                  o.inflight_qty, o.canceled_qty, o.cum_notional, o.accept_seq, o.cancel_saga, o.cancel_found,
                  o.status, o.reason, o.version, o.created_by, o.created_at, o.updated_at,
                  i.definition AS "definition: Json<Instrument>", clock_timestamp() AS "read_at!"
           FROM orders o JOIN instruments i ON i.symbol = o.instrument
           WHERE (o.order_id = $1 OR (o.customer_id = $2 AND o.client_order_id = $3))
             AND ($4::text[] IS NULL OR o.customer_id = ANY($4))"#,
        id,
        customer,
        label,
        visible.as_deref() as _
    )
    .fetch_optional(&pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let order = OrderRow {
        order_id: row.order_id,
        customer_id: row.customer_id,
        client_order_id: row.client_order_id,
        instrument: row.instrument,
        side: row.side,
        limit_price: row.limit_price,
        qty: row.qty,
        cum_qty: row.cum_qty,
        inflight_qty: row.inflight_qty,
        canceled_qty: row.canceled_qty,
        cum_notional: row.cum_notional,
        accept_seq: row.accept_seq,
        cancel_saga: row.cancel_saga,
        cancel_found: row.cancel_found,
        status: row.status,
        reason: row.reason,
        version: row.version,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    let order = order.into_order().map_err(sqlx::Error::from)?;
    Ok(Some(TermsView { order, instrument: row.definition.0, read_at: row.read_at }))
}

/// What the drain check looks at.
#[derive(Clone, Copy, Debug)]
pub struct DrainRow {
    /// What the order is.
    pub status: Status,
    /// Who cancels it.
    pub cancel: Option<Cancel>,
    /// Whether anything is in flight.
    pub inflight: Quantity,
}

/// What the drain check looks at, with the database's clock; no row when there is no such order (yet, on a replica).
pub async fn drain_row(pool: PgPool, order_id: OrderId) -> Result<(Option<DrainRow>, DateTime<Utc>), Fault> {
    let row = sqlx::query!(
        r#"SELECT o.status AS "status?", o.cancel_saga, o.cancel_found, o.inflight_qty AS "inflight_qty?",
                  clock_timestamp() AS "read_at!"
           FROM (SELECT $1::uuid AS id) AS asked LEFT JOIN orders o ON o.order_id = asked.id"#,
        order_id.uuid()
    )
    .fetch_one(&pool)
    .await?;
    let (Some(status), Some(inflight)) = (row.status, row.inflight_qty) else {
        return Ok((None, row.read_at));
    };
    let cancel = match (row.cancel_saga, row.cancel_found) {
        (Some(saga), Some(found)) => {
            let found = read("cancel_found", found.parse()).map_err(sqlx::Error::from)?;
            Some(Cancel { saga: SagaId::from(saga), found })
        }
        (None | Some(_), None) | (None, Some(_)) => None,
    };
    let status = read("status", status.parse()).map_err(sqlx::Error::from)?;
    let inflight = read("inflight_qty", Quantity::from_decimal(inflight)).map_err(sqlx::Error::from)?;
    Ok((Some(DrainRow { status, cancel, inflight }), row.read_at))
}
