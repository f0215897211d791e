//! A11: rows are what their history says, and no history has a gap. A10, its first half: nor have accounts.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use order_svc::audit::{OrderSnapshot, fold_order};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::PAGE;
use super::findings::{Claim, Findings};

const ORDERS: &str = "
    SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty,
           canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason, version, created_by,
           created_at, updated_at
    FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2";

const EVENTS: &str = "
    SELECT aggregateid, seq, type, payload FROM outbox
    WHERE aggregatetype = 'order' AND aggregateid = ANY($1) ORDER BY aggregateid, seq";

const ORPHANS: &str = "
    SELECT DISTINCT aggregateid FROM outbox e
    WHERE aggregatetype = 'order' AND NOT EXISTS (SELECT FROM orders o WHERE o.order_id::text = e.aggregateid)
    ORDER BY 1";

const GAPS: &str = "
    SELECT aggregatetype, aggregateid, count(*), max(seq) FROM outbox
    GROUP BY aggregatetype, aggregateid HAVING min(seq) <> 1 OR max(seq) <> count(*)
    ORDER BY 1, 2";

/// As many, all different, none above the counter and none below 1: so none is missing.
const COUNTERS: &str = "
    WITH t AS (
        SELECT instrument, count(*) AS n, count(DISTINCT trade_seq) AS d, min(trade_seq) AS low, max(trade_seq) AS high
        FROM trades GROUP BY instrument),
    o AS (
        SELECT instrument, count(*) AS n, count(DISTINCT accept_seq) AS d, min(accept_seq) AS low,
               max(accept_seq) AS high
        FROM orders WHERE accept_seq IS NOT NULL GROUP BY instrument)
    SELECT coalesce(i.symbol, t.instrument, o.instrument),
           coalesce((i.trade_seq, i.trade_seq, i.trade_seq, i.trade_seq > 0)
                    = (coalesce(t.n, 0), coalesce(t.d, 0), coalesce(t.high, 0), coalesce(t.low = 1, false)), false),
           coalesce((i.accept_seq, i.accept_seq, i.accept_seq, i.accept_seq > 0)
                    = (coalesce(o.n, 0), coalesce(o.d, 0), coalesce(o.high, 0), coalesce(o.low = 1, false)), false)
    FROM instruments i FULL JOIN t ON t.instrument = i.symbol
         FULL JOIN o ON o.instrument = coalesce(i.symbol, t.instrument)
    ORDER BY 1";

/// The running sum of an account is every one of its balances, and its counters count.
const FOLDED: &str = "
    SELECT owner, asset, kind, tx_id, account_seq,
           CASE WHEN balance_after <> running THEN
               format('balance after it %s, its account sums to %s', trim_scale(balance_after), trim_scale(running))
           END,
           CASE WHEN account_seq <> place OR statement_seq <> statement_place THEN
               format('number %s, place %s; statement number %s, place %s',
                      account_seq, place, statement_seq, statement_place)
           END
    FROM (SELECT owner, asset, kind, tx_id, account_seq, balance_after, statement_seq,
                 sum(amount) OVER account AS running, row_number() OVER account AS place,
                 row_number() OVER (PARTITION BY owner, asset ORDER BY statement_seq) AS statement_place
          FROM postings WHERE kind IN (1, 2)
          WINDOW account AS (PARTITION BY owner, asset, kind ORDER BY account_seq)) folded
    WHERE balance_after <> running OR account_seq <> place OR statement_seq <> statement_place
    ORDER BY owner, asset, kind, account_seq LIMIT 1000";

const COUNTED: &str = "
    WITH counts AS (
        SELECT owner, asset, count(*) FILTER (WHERE kind = 1) AS available, count(*) FILTER (WHERE kind = 2) AS held
        FROM postings WHERE kind IN (1, 2) GROUP BY owner, asset)
    SELECT b.owner, b.asset FROM balances b LEFT JOIN counts c USING (owner, asset)
    WHERE b.available_seq <> coalesce(c.available, 0) OR b.held_seq <> coalesce(c.held, 0)
    ORDER BY 1, 2";

#[derive(sqlx::FromRow)]
struct Row {
    order_id: Uuid,
    customer_id: String,
    client_order_id: String,
    instrument: String,
    side: String,
    limit_price: Decimal,
    qty: Decimal,
    cum_qty: Decimal,
    inflight_qty: Decimal,
    canceled_qty: Decimal,
    cum_notional: Decimal,
    accept_seq: Option<i64>,
    cancel_saga: Option<Uuid>,
    cancel_found: Option<String>,
    status: String,
    reason: Option<String>,
    version: i64,
    created_by: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

type Events = HashMap<String, Vec<(i64, String, Value)>>;

/// Every order's row is the fold of its events, which are numbered without gaps.
pub async fn orders(order: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Row> =
            sqlx::query_as(ORDERS).bind(after).bind(PAGE).fetch_all(&mut *order).await.context("A11")?;
        let Some(last) = page.last() else { break };
        after = last.order_id;
        findings.examined(Claim::A11, page.len() as u64);
        let ids: Vec<String> = page.iter().map(|row| row.order_id.to_string()).collect();
        let mut events = events_of(order, &ids).await.context("A11")?;
        for (id, row) in ids.iter().zip(&page) {
            if let Err(what) = row.is_fold_of(events.remove(id).unwrap_or_default()) {
                findings.broken(Claim::A11, format!("order {id}: {what}"));
            }
        }
    }
    let orphans: Vec<String> = sqlx::query_scalar(ORPHANS).fetch_all(order).await.context("A11")?;
    for id in orphans {
        findings.broken(Claim::A11, format!("order {id} has events and no row"));
    }
    Ok(())
}

async fn events_of(order: &mut PgConnection, ids: &[String]) -> Result<Events, sqlx::Error> {
    let rows: Vec<(String, i64, String, Value)> = sqlx::query_as(EVENTS).bind(ids).fetch_all(order).await?;
    let mut events = Events::with_capacity(ids.len());
    for (id, seq, kind, payload) in rows {
        events.entry(id).or_default().push((seq, kind, payload));
    }
    Ok(events)
}

/// Numbers that instruments give out: every one was used, by one order or trade.
pub async fn counters(order: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let rows: Vec<(String, bool, bool)> = sqlx::query_as(COUNTERS).fetch_all(order).await.context("A11")?;
    findings.examined(Claim::A11, rows.len() as u64);
    for (symbol, trades, accepts) in rows {
        if !trades {
            findings.broken(Claim::A11, format!("instrument {symbol}: trade numbers have gaps or twins"));
        }
        if !accepts {
            findings.broken(Claim::A11, format!("instrument {symbol}: priorities have gaps or twins"));
        }
    }
    Ok(())
}

/// In one outbox: whatever has events has them numbered from 1, without gaps.
pub async fn events(connection: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let gaps: Vec<(String, String, i64, i64)> =
        sqlx::query_as(GAPS).fetch_all(connection).await.context("A11")?;
    for (aggregate, id, count, highest) in gaps {
        findings.broken(
            Claim::A11,
            format!("{aggregate} {id} has {count} events, the highest is number {highest}"),
        );
    }
    Ok(())
}

/// Every running balance in the journal is the fold of the postings before it, from empty.
pub async fn postings(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM postings WHERE kind IN (1, 2)")
        .fetch_one(&mut *asset)
        .await
        .context("A11")?;
    findings.examined(Claim::A11, count.unsigned_abs());
    findings.examined(Claim::A10, count.unsigned_abs());
    type Folded = (String, String, i16, Uuid, i64, Option<String>, Option<String>);
    let wrong: Vec<Folded> = sqlx::query_as(FOLDED).fetch_all(&mut *asset).await.context("A11")?;
    for (owner, asset, kind, tx, number, balance, order) in wrong {
        let part = if kind == 1 { "available" } else { "held" };
        for (claim, what) in [(Claim::A11, balance), (Claim::A10, order)] {
            if let Some(what) = what {
                findings
                    .broken(claim, format!("{part} {asset} of {owner}, posting {number} (of {tx}): {what}"));
            }
        }
    }
    let miscounted: Vec<(String, String)> = sqlx::query_as(COUNTED).fetch_all(asset).await.context("A11")?;
    for (owner, asset) in miscounted {
        findings.broken(Claim::A11, format!("{asset} of {owner}: the balance does not count its postings"));
    }
    Ok(())
}

impl Row {
    fn is_fold_of(&self, events: Vec<(i64, String, Value)>) -> Result<(), String> {
        if let Some((place, (seq, ..))) = (1..).zip(&events).find(|(place, (seq, ..))| place != seq) {
            return Err(format!("event {seq} is in place {place}"));
        }
        let folded = fold_order(events.into_iter().map(|(_, kind, payload)| (kind, payload)).collect())?;
        let told = told(&folded);
        let differing = self.shown().into_iter().zip(told).find(|((_, row), told)| row != told);
        match differing {
            None => Ok(()),
            Some(((column, row), told)) => Err(format!("{column} is {row:?}, its events say {told:?}")),
        }
    }

    /// Every column as text, numbers in their canonical form.
    fn shown(&self) -> [(&'static str, String); 20] {
        let number = |column: Decimal| column.normalize().to_string();
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            ("order_id", self.order_id.to_string()),
            ("customer_id", self.customer_id.clone()),
            ("client_order_id", self.client_order_id.clone()),
            ("instrument", self.instrument.clone()),
            ("side", self.side.clone()),
            ("limit_price", number(self.limit_price)),
            ("qty", number(self.qty)),
            ("cum_qty", number(self.cum_qty)),
            ("inflight_qty", number(self.inflight_qty)),
            ("canceled_qty", number(self.canceled_qty)),
            ("cum_notional", number(self.cum_notional)),
            ("accept_seq", self.accept_seq.map(|seq| seq.to_string()).unwrap_or_default()),
            ("cancel_saga", self.cancel_saga.map(|saga| saga.to_string()).unwrap_or_default()),
            ("cancel_found", optional(&self.cancel_found)),
            ("status", self.status.clone()),
            ("reason", optional(&self.reason)),
            ("version", self.version.to_string()),
            ("created_by", self.created_by.clone()),
            ("created_at", self.created_at.to_string()),
            ("updated_at", self.updated_at.to_string()),
        ]
    }
}

/// The same columns, from the fold.
fn told(order: &OrderSnapshot) -> [String; 20] {
    let terms = &order.terms;
    [
        terms.order_id.to_string(),
        terms.customer.to_string(),
        terms.client_order_id.to_string(),
        terms.instrument.to_string(),
        terms.side.to_string(),
        terms.limit_price.to_string(),
        terms.qty.to_string(),
        order.cum_qty.to_string(),
        order.inflight_qty.to_string(),
        order.canceled_qty.to_string(),
        order.cum_notional.to_string(),
        order.accept_seq.map(|seq| seq.to_string()).unwrap_or_default(),
        order.cancel.map(|cancel| cancel.saga.to_string()).unwrap_or_default(),
        order.cancel.map(|cancel| cancel.found.to_string()).unwrap_or_default(),
        order.status.to_string(),
        order.reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        order.version.to_string(),
        terms.created_by.to_string(),
        order.created_at.to_string(),
        order.updated_at.to_string(),
    ]
}
