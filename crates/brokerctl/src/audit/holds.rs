//! A6 and A7: every live order has exactly what it may still cost in its hold, and nothing else holds anything.
//!
//! A hold may be ahead of its order by trades that are settled and not applied yet; `settlement` has found those.

use std::collections::HashMap;

use anyhow::{Context, Result};
use brokerage_types::{Amount, OrderStatus, Price, Quantity, Side};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::PAGE;
use super::cut::{Cut, Flights};
use super::fees::commission;
use super::findings::{Claim, Findings, Money};
use super::obligation::{Progress, obligation};
use super::settlement::{Ahead, Unapplied};

const OPEN_ORDERS: &str = "
    SELECT o.order_id, o.customer_id, o.side, o.limit_price, o.qty, o.cum_qty, o.canceled_qty, o.cum_notional, o.status,
           o.cancel_saga, o.created_at, i.definition ->> 'base' AS base, i.definition ->> 'quote' AS quote
    FROM orders o LEFT JOIN instruments i ON i.symbol = o.instrument
    WHERE o.order_id > $1 AND o.status NOT IN ('MATCHED', 'CANCELED', 'REJECTED')
    ORDER BY o.order_id LIMIT $2";

const HOLDS: &str = "
    SELECT hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, fee_ppm, fee_scale,
           placed - captured - released AS remaining, status = 'ACTIVE' AS active
    FROM holds WHERE hold_id = ANY($1)";

const ACTIVE_HOLDS: &str = "
    SELECT hold_id, CASE side WHEN 1 THEN quote_asset ELSE base_asset END AS asset,
           placed - captured - released AS remaining, created_at
    FROM holds WHERE hold_id > $1 AND status = 'ACTIVE' ORDER BY hold_id LIMIT $2";

const STATUSES: &str = "SELECT order_id, status FROM orders WHERE order_id = ANY($1)";

#[derive(sqlx::FromRow)]
struct Order {
    order_id: Uuid,
    customer_id: String,
    side: String,
    limit_price: Decimal,
    qty: Decimal,
    cum_qty: Decimal,
    canceled_qty: Decimal,
    cum_notional: Decimal,
    status: String,
    cancel_saga: Option<Uuid>,
    created_at: DateTime<Utc>,
    base: Option<String>,
    quote: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Hold {
    hold_id: Uuid,
    customer_id: String,
    side: i16,
    base_asset: String,
    quote_asset: String,
    limit_price: Decimal,
    quantity: Decimal,
    fee_ppm: i32,
    fee_scale: i16,
    remaining: Decimal,
    active: bool,
}

#[derive(sqlx::FromRow)]
struct Active {
    hold_id: Uuid,
    asset: String,
    remaining: Decimal,
    created_at: DateTime<Utc>,
}

/// Both ways: from open orders to their holds, and from active holds to their orders.
pub async fn compare(cut: &mut Cut, unapplied: &Unapplied, findings: &mut Findings) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Order> = sqlx::query_as(OPEN_ORDERS)
            .bind(after)
            .bind(PAGE)
            .fetch_all(&mut cut.order)
            .await
            .context("A6")?;
        let Some(last) = page.last() else { break };
        after = last.order_id;
        findings.examined(Claim::A6, page.len() as u64);
        let holds = holds_of(&mut cut.asset, &page).await.context("A6")?;
        for order in &page {
            let ahead = unapplied.get(&order.order_id).copied().unwrap_or_default();
            let hold = holds.get(&order.order_id);
            one(order, hold, ahead, &cut.flights, findings)
                .with_context(|| format!("order {}", order.order_id))?;
        }
    }
    owners(cut, findings).await.context("A7")
}

async fn holds_of(asset: &mut PgConnection, orders: &[Order]) -> Result<HashMap<Uuid, Hold>, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id).collect();
    let holds: Vec<Hold> = sqlx::query_as(HOLDS).bind(ids).fetch_all(asset).await?;
    Ok(holds.into_iter().map(|hold| (hold.hold_id, hold)).collect())
}

fn one(
    order: &Order,
    hold: Option<&Hold>,
    ahead: Ahead,
    flights: &Flights,
    findings: &mut Findings,
) -> Result<()> {
    let id = order.order_id;
    let status: OrderStatus = order.status.parse()?;
    // A saga between two steps may have touched the hold before the order. It has to be there, though.
    let explained = match status {
        OrderStatus::Init => {
            let creating = flights.creates(id);
            if !creating {
                findings.broken(Claim::A7, format!("order {id} is INIT, and no running saga creates it"));
            }
            true
        }
        OrderStatus::CancelRequested => {
            let cancelling = order.cancel_saga.is_some_and(|saga| flights.cancels(saga, id));
            if !cancelling {
                findings.broken(
                    Claim::A7,
                    format!("order {id} is CANCEL_REQUESTED, and no running saga cancels it"),
                );
            }
            cancelling
        }
        OrderStatus::Pending
        | OrderStatus::PartiallyMatched
        | OrderStatus::Suspended
        | OrderStatus::Matched
        | OrderStatus::Canceled
        | OrderStatus::Rejected => false,
    };
    let Some(hold) = hold else {
        if !explained {
            findings.broken(Claim::A6, format!("order {id} ({status}) has no hold"));
        }
        return Ok(());
    };
    if let Some(what) = order.other_terms(hold) {
        findings.broken(Claim::A6, format!("order {id} and its hold differ: {what}"));
    }
    if explained && !hold.active {
        return Ok(());
    }
    let remaining = Amount::from_decimal(hold.remaining)?;
    let obliged = obligation(&order.progress(ahead)?, commission(hold.fee_ppm, hold.fee_scale)?)?;
    if remaining != obliged {
        let asset = if hold.side == Side::Buy.code() { &hold.quote_asset } else { &hold.base_asset };
        let money = Money {
            asset: asset.clone(),
            amount: remaining.checked_sub(obliged)?,
            since: Some(order.created_at),
        };
        let what = format!("order {id} ({status}) may cost {obliged} {asset}, its hold has {remaining}");
        findings.differs(Claim::A6, money, what);
    }
    Ok(())
}

/// A7 from the other side: who holds what for which order.
async fn owners(cut: &mut Cut, findings: &mut Findings) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Active> =
            sqlx::query_as(ACTIVE_HOLDS).bind(after).bind(PAGE).fetch_all(&mut cut.asset).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.hold_id;
        findings.examined(Claim::A7, page.len() as u64);
        let ids: Vec<Uuid> = page.iter().map(|hold| hold.hold_id).collect();
        let statuses: Vec<(Uuid, String)> =
            sqlx::query_as(STATUSES).bind(ids).fetch_all(&mut cut.order).await?;
        let statuses: HashMap<Uuid, String> = statuses.into_iter().collect();
        for hold in page {
            let id = hold.hold_id;
            let what = match statuses.get(&id) {
                // Its create saga may be about to open it, or to take it back; `one` has looked at INIT.
                None if cut.flights.creates(id) => continue,
                None => format!("hold {id} has no order, and no running saga creates it"),
                // Sagas release before they end an order, so nothing in flight explains this one.
                Some(status) if status.parse::<OrderStatus>()?.is_terminal() => {
                    format!("hold {id} is ACTIVE, its order is {status}")
                }
                Some(_) => continue,
            };
            let amount = Amount::from_decimal(hold.remaining)?;
            findings.differs(
                Claim::A7,
                Money { asset: hold.asset, amount, since: Some(hold.created_at) },
                what,
            );
        }
    }
}

impl Order {
    /// How far money has moved for it.
    fn progress(&self, ahead: Ahead) -> Result<Progress> {
        let quantity = |column: Decimal| Quantity::from_decimal(column);
        let leaves = quantity(self.qty)?
            .checked_sub(quantity(self.cum_qty)?)
            .and_then(|open| open.checked_sub(quantity(self.canceled_qty).unwrap_or_default()))
            .and_then(|open| open.checked_sub(ahead.quantity))
            .context("more is filled than was ordered")?;
        Ok(Progress {
            side: self.side.parse()?,
            limit: Price::from_decimal(self.limit_price)?,
            leaves,
            cum_notional: Amount::from_decimal(self.cum_notional)?.checked_add(ahead.notional)?,
        })
    }

    /// Which of the terms the hold has otherwise.
    fn other_terms(&self, hold: &Hold) -> Option<String> {
        let side = Side::from_code(hold.side).map_or("?", Side::as_str);
        let order = |asset: &Option<String>| asset.clone().unwrap_or_else(|| "unknown".to_owned());
        [
            ("customer", self.customer_id.clone(), hold.customer_id.clone()),
            ("side", self.side.clone(), side.to_owned()),
            ("base asset", order(&self.base), hold.base_asset.clone()),
            ("quote asset", order(&self.quote), hold.quote_asset.clone()),
            (
                "limit price",
                self.limit_price.normalize().to_string(),
                hold.limit_price.normalize().to_string(),
            ),
            ("quantity", self.qty.normalize().to_string(), hold.quantity.normalize().to_string()),
        ]
        .into_iter()
        .find(|(_, order, hold)| order != hold)
        .map(|(what, order, hold)| format!("{what} {order}, held for {hold}"))
    }
}
