//! A8 inside each service: fills add up to what orders and holds say of them.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::{Claim, Findings, Money};

const ORDERS: &str = "
    WITH fills AS (
        SELECT buy_order_id AS order_id, quantity, price FROM trades
        UNION ALL SELECT sell_order_id, quantity, price FROM trades),
    sums AS (
        SELECT order_id, sum(quantity) AS quantity, sum(quantity * price) AS notional FROM fills GROUP BY order_id)
    SELECT order_id, o.order_id IS NULL AS orphan,
           trim_scale(coalesce(o.cum_qty, 0))::text AS cum_quantity,
           trim_scale(coalesce(o.cum_notional, 0))::text AS cum_notional,
           trim_scale(coalesce(s.quantity, 0))::text AS quantity, trim_scale(coalesce(s.notional, 0))::text AS notional
    FROM orders o FULL JOIN sums s USING (order_id)
    WHERE coalesce(o.cum_qty, 0) <> coalesce(s.quantity, 0) OR coalesce(o.cum_notional, 0) <> coalesce(s.notional, 0)
          OR o.order_id IS NULL
    ORDER BY order_id";

const MATCHES: &str = "
    SELECT trade_id, coalesce(m.state, 'no match'), t.trade_id IS NOT NULL
    FROM matches m FULL JOIN trades t USING (trade_id)
    WHERE coalesce(m.state, '') = 'APPLIED' AND t.trade_id IS NULL
          OR t.trade_id IS NOT NULL AND (m.instrument, m.buy_order_id, m.sell_order_id, m.quantity, m.price, m.state)
             IS DISTINCT FROM (t.instrument, t.buy_order_id, t.sell_order_id, t.quantity, t.price, 'APPLIED')
    ORDER BY trade_id";

const IN_FLIGHT: &str = "
    WITH reserved AS (
        SELECT buy_order_id AS order_id, quantity FROM matches WHERE state = 'RESERVED'
        UNION ALL SELECT sell_order_id, quantity FROM matches WHERE state = 'RESERVED'),
    sums AS (SELECT order_id, sum(quantity) AS quantity FROM reserved GROUP BY order_id)
    SELECT order_id, trim_scale(coalesce(o.inflight_qty, 0))::text, trim_scale(coalesce(s.quantity, 0))::text
    FROM (SELECT order_id, inflight_qty FROM orders WHERE inflight_qty <> 0) o FULL JOIN sums s USING (order_id)
    WHERE coalesce(o.inflight_qty, 0) <> coalesce(s.quantity, 0)
    ORDER BY order_id";

/// Fees have their own claim, but the sums are made once.
const HOLDS: &str = "
    WITH settled AS (
        SELECT (payload ->> 'buy_hold_id')::uuid AS buy, (payload ->> 'sell_hold_id')::uuid AS sell,
               (payload ->> 'quantity')::numeric AS quantity, (payload ->> 'notional')::numeric AS notional,
               (payload ->> 'buyer_fee')::numeric AS buyer_fee, (payload ->> 'seller_fee')::numeric AS seller_fee
        FROM outbox WHERE aggregatetype = 'ledger_tx' AND type = 'TradeSettled'),
    fills AS (
        SELECT buy AS hold_id, quantity, notional, buyer_fee AS fee, notional + buyer_fee AS captured FROM settled
        UNION ALL SELECT sell, quantity, notional, seller_fee, quantity FROM settled),
    sums AS (
        SELECT hold_id, sum(quantity) AS quantity, sum(notional) AS notional, sum(fee) AS fee, sum(captured) AS captured
        FROM fills GROUP BY hold_id)
    SELECT hold_id, h.quote_asset, h.created_at,
           format('%s for %s, %s taken',
                  trim_scale(h.cum_quantity), trim_scale(h.cum_notional), trim_scale(h.captured)) AS says,
           format('%s for %s, %s taken', trim_scale(coalesce(s.quantity, 0)),
                  trim_scale(coalesce(s.notional, 0)), trim_scale(coalesce(s.captured, 0))) AS fills,
           (h.cum_quantity, h.cum_notional, h.captured)
             IS DISTINCT FROM (coalesce(s.quantity, 0), coalesce(s.notional, 0), coalesce(s.captured, 0))
             AS fills_differ,
           trim_scale(coalesce(h.cum_notional, 0) - coalesce(s.notional, 0))::text AS notional_off,
           trim_scale(coalesce(h.cum_fee, 0))::text AS cum_fee, trim_scale(coalesce(s.fee, 0))::text AS fee,
           trim_scale(coalesce(h.cum_fee, 0) - coalesce(s.fee, 0))::text AS fee_off
    FROM holds h FULL JOIN sums s USING (hold_id)
    WHERE (h.cum_quantity, h.cum_notional, h.captured, h.cum_fee) IS DISTINCT FROM
          (coalesce(s.quantity, 0), coalesce(s.notional, 0), coalesce(s.captured, 0), coalesce(s.fee, 0))
    ORDER BY hold_id";

#[derive(sqlx::FromRow)]
struct OrderSums {
    order_id: Uuid,
    orphan: bool,
    cum_quantity: String,
    cum_notional: String,
    quantity: String,
    notional: String,
}

#[derive(sqlx::FromRow)]
struct HoldSums {
    hold_id: Uuid,
    quote_asset: Option<String>,
    created_at: Option<DateTime<Utc>>,
    says: String,
    fills: String,
    fills_differ: bool,
    notional_off: String,
    cum_fee: String,
    fee: String,
    fee_off: String,
}

/// order-svc: fills, reservations and trades against its orders.
pub async fn orders(order: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&mut *order).await.context("A8")?;
    findings.examined(Claim::A8, count.unsigned_abs());
    let wrong: Vec<OrderSums> = sqlx::query_as(ORDERS).fetch_all(&mut *order).await.context("A8")?;
    for row in wrong {
        let what = if row.orphan {
            format!("order {} has fills and no row", row.order_id)
        } else {
            format!(
                "order {} says {} filled for {}, its fills add up to {} for {}",
                row.order_id, row.cum_quantity, row.cum_notional, row.quantity, row.notional
            )
        };
        findings.broken(Claim::A8, what);
    }
    let matches: Vec<(Uuid, String, bool)> =
        sqlx::query_as(MATCHES).fetch_all(&mut *order).await.context("A8")?;
    for (id, state, has_trade) in matches {
        let trade = if has_trade { "a trade that is not its match" } else { "no trade" };
        findings.broken(Claim::A8, format!("match {id} ({state}) has {trade}"));
    }
    let in_flight: Vec<(Uuid, String, String)> =
        sqlx::query_as(IN_FLIGHT).fetch_all(order).await.context("A8")?;
    for (id, says, reserved) in in_flight {
        findings
            .broken(Claim::A8, format!("order {id} says {says} in flight, matches have reserved {reserved}"));
    }
    Ok(())
}

/// asset-svc: settled trades against its holds; their fees are part of A9.
pub async fn holds(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM holds").fetch_one(&mut *asset).await.context("A8")?;
    findings.examined(Claim::A8, count.unsigned_abs());
    findings.examined(Claim::A9, count.unsigned_abs());
    let wrong: Vec<HoldSums> = sqlx::query_as(HOLDS).fetch_all(asset).await.context("A8")?;
    for row in wrong {
        let id = row.hold_id;
        let asset = row.quote_asset.as_deref().unwrap_or("?");
        if row.fills_differ {
            let what = format!("hold {id} says {}, its settlements add up to {}", row.says, row.fills);
            findings.differs(Claim::A8, Money::written(asset, &row.notional_off, row.created_at), what);
        }
        if row.fee_off != "0" {
            let what = format!(
                "hold {id} says {} {asset} charged, its settlements charged {}",
                row.cum_fee, row.fee
            );
            findings.differs(Claim::A9, Money::written(asset, &row.fee_off, row.created_at), what);
        }
    }
    Ok(())
}
