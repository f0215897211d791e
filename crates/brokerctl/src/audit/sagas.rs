//! A12 and P5: sagas end, and what they say has happened has happened.
//!
//! Only sagas that had ended before the other snapshots are compared: all of their effects must be there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::PgConnection;
use uuid::Uuid;

use super::PAGE;
use super::cut::{CANCEL, CREATE, Cut, MATCH};
use super::findings::{Claim, Findings};

const COMPLETED: i16 = 3;
const PARKED: i16 = 5;

/// As old as they were when the snapshot was taken, however long the audit takes.
const LATE: &str = "
    SELECT saga_id, kind, status, coalesce(reason, ''), extract(epoch FROM now() - created_at)::bigint
    FROM sagas
    WHERE ended_at IS NULL AND (status = $1 OR created_at < now() - make_interval(secs => $2))
    ORDER BY saga_id";

const ENDED: &str = "
    SELECT saga_id, kind, status, order_id FROM sagas
    WHERE ended_at IS NOT NULL AND saga_id > $1 ORDER BY saga_id LIMIT $2";

const ORDERS: &str = "SELECT order_id, status, accept_seq, cancel_saga FROM orders WHERE order_id = ANY($1)";
const HOLDS: &str = "
    SELECT hold_id, status = 'ACTIVE' AS active, captured > 0 AS captured FROM holds WHERE hold_id = ANY($1)";
const MATCHES: &str = "SELECT trade_id, state FROM matches WHERE trade_id = ANY($1)";
const TRADES: &str = "SELECT trade_id FROM trades WHERE trade_id = ANY($1)";
const SETTLED: &str = "SELECT tx_id FROM ledger_tx WHERE tx_id = ANY($1)";
const RESERVED: &str = "SELECT trade_id FROM matches WHERE state = 'RESERVED' ORDER BY trade_id";

#[derive(Clone, Debug, sqlx::FromRow)]
struct Saga {
    saga_id: Uuid,
    kind: String,
    status: i16,
    order_id: Option<Uuid>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct Order {
    order_id: Uuid,
    status: String,
    accept_seq: Option<i64>,
    cancel_saga: Option<Uuid>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct Hold {
    hold_id: Uuid,
    active: bool,
    captured: bool,
}

/// What there is of some sagas.
#[derive(Debug, Default)]
struct Effects {
    orders: HashMap<Uuid, Order>,
    holds: HashMap<Uuid, Hold>,
    matches: HashMap<Uuid, String>,
    trades: HashSet<Uuid>,
    settled: HashSet<Uuid>,
}

/// A12.
pub async fn ages(sagas: &mut PgConnection, age_max: Duration, findings: &mut Findings) -> Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sagas").fetch_one(&mut *sagas).await.context("A12")?;
    findings.examined(Claim::A12, count.unsigned_abs());
    let late: Vec<(Uuid, String, i16, String, i64)> = sqlx::query_as(LATE)
        .bind(PARKED)
        .bind(age_max.as_secs_f64())
        .fetch_all(sagas)
        .await
        .context("A12")?;
    for (id, kind, status, reason, seconds) in late {
        let state = if status == PARKED { "parked" } else { "still running" };
        findings.broken(
            Claim::A12,
            format!("saga {id} ({kind}) is {state} after {seconds} s {reason}").trim_end(),
        );
    }
    Ok(())
}

/// P5.
pub async fn compare(cut: &mut Cut, findings: &mut Findings) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Saga> = sqlx::query_as(ENDED)
            .bind(after)
            .bind(PAGE)
            .fetch_all(&mut cut.sagas_before)
            .await
            .context("P5")?;
        let Some(last) = page.last() else { break };
        after = last.saga_id;
        findings.examined(Claim::P5, page.len() as u64);
        let effects = Effects::of(&page, &mut cut.order, &mut cut.asset).await.context("P5")?;
        for saga in &page {
            if let Err(what) = effects.agree(saga) {
                let state = if saga.status == COMPLETED { "COMPLETED" } else { "ROLLED_BACK" };
                findings.broken(
                    Claim::P5,
                    format!("saga {} ({}) is {state}, but {what}", saga.saga_id, saga.kind),
                );
            }
        }
    }
    let reserved: Vec<Uuid> = sqlx::query_scalar(RESERVED).fetch_all(&mut cut.order).await.context("P5")?;
    for trade in reserved.into_iter().filter(|trade| cut.flights.matching(*trade).is_none()) {
        findings.broken(Claim::P5, format!("match {trade} is RESERVED, and no running saga makes it"));
    }
    Ok(())
}

impl Effects {
    async fn of(
        sagas: &[Saga],
        order: &mut PgConnection,
        asset: &mut PgConnection,
    ) -> Result<Self, sqlx::Error> {
        let orders: Vec<Uuid> =
            sagas.iter().filter(|saga| saga.kind != MATCH).filter_map(Saga::order).collect();
        let trades: Vec<Uuid> =
            sagas.iter().filter(|saga| saga.kind == MATCH).map(|saga| saga.saga_id).collect();
        let order_rows: Vec<Order> = sqlx::query_as(ORDERS).bind(&orders).fetch_all(&mut *order).await?;
        let matches: Vec<(Uuid, String)> =
            sqlx::query_as(MATCHES).bind(&trades).fetch_all(&mut *order).await?;
        let applied: Vec<Uuid> = sqlx::query_scalar(TRADES).bind(&trades).fetch_all(order).await?;
        let holds: Vec<Hold> = sqlx::query_as(HOLDS).bind(&orders).fetch_all(&mut *asset).await?;
        let settled: Vec<Uuid> = sqlx::query_scalar(SETTLED).bind(&trades).fetch_all(asset).await?;
        Ok(Self {
            orders: order_rows.into_iter().map(|order| (order.order_id, order)).collect(),
            holds: holds.into_iter().map(|hold| (hold.hold_id, hold)).collect(),
            matches: matches.into_iter().collect(),
            trades: applied.into_iter().collect(),
            settled: settled.into_iter().collect(),
        })
    }

    /// Whether the saga's end is what is there; what else is there, if not.
    fn agree(&self, saga: &Saga) -> Result<(), String> {
        let completed = saga.status == COMPLETED;
        match (saga.kind.as_str(), completed) {
            (CREATE, true) => self.created(saga.saga_id),
            (CREATE, false) => self.never_created(saga.saga_id),
            (CANCEL, true) => self.canceled(saga),
            (CANCEL, false) => self.not_canceled(saga),
            (MATCH, true) => self.traded(saga.saga_id),
            (MATCH, false) => self.never_traded(saga.saga_id),
            (kind, _) => Err(format!("nobody knows what a {kind} does")),
        }
    }

    fn created(&self, id: Uuid) -> Result<(), String> {
        let Some(order) = self.orders.get(&id) else { return Err("there is no order".to_owned()) };
        if order.accept_seq.is_none() {
            return Err(format!("its order ({}) was never opened", order.status));
        }
        if self.holds.contains_key(&id) { Ok(()) } else { Err("its order has no hold".to_owned()) }
    }

    fn never_created(&self, id: Uuid) -> Result<(), String> {
        if let Some(order) = self.orders.get(&id) {
            let ended = matches!(order.status.as_str(), "REJECTED" | "CANCELED");
            if !ended || order.accept_seq.is_some() {
                return Err(format!("its order is {}", order.status));
            }
        }
        match self.holds.get(&id) {
            Some(hold) if hold.active => Err("its hold is ACTIVE".to_owned()),
            Some(hold) if hold.captured => Err("its hold was used".to_owned()),
            Some(_) | None => Ok(()),
        }
    }

    fn canceled(&self, saga: &Saga) -> Result<(), String> {
        let id = saga.order_id.ok_or("it says no order")?;
        let Some(order) = self.orders.get(&id) else { return Err(format!("there is no order {id}")) };
        if order.status != "CANCELED" {
            return Err(format!("order {id} is {}", order.status));
        }
        match self.holds.get(&id) {
            Some(hold) if hold.active => Err(format!("the hold of order {id} is ACTIVE")),
            Some(_) | None => Ok(()),
        }
    }

    fn not_canceled(&self, saga: &Saga) -> Result<(), String> {
        let id = saga.order_id.ok_or("it says no order")?;
        let Some(order) = self.orders.get(&id).filter(|order| order.cancel_saga == Some(saga.saga_id)) else {
            return Ok(());
        };
        // The order ended by itself while the cancel was pending, or its create saga heeded the wish (T4).
        let by_itself = match order.status.as_str() {
            "MATCHED" | "REJECTED" => true,
            "CANCELED" => order.accept_seq.is_none(),
            _ => false,
        };
        if by_itself { Ok(()) } else { Err(format!("order {id} is {} by it", order.status)) }
    }

    fn traded(&self, id: Uuid) -> Result<(), String> {
        if !self.settled.contains(&id) {
            return Err("its trade was not settled".to_owned());
        }
        if self.trades.contains(&id) { Ok(()) } else { Err("its trade is not on the orders".to_owned()) }
    }

    fn never_traded(&self, id: Uuid) -> Result<(), String> {
        if self.settled.contains(&id) {
            return Err("its trade was settled".to_owned());
        }
        match self.matches.get(&id) {
            Some(state) if state != "RELEASED" => Err(format!("its match is {state}")),
            Some(_) | None if self.trades.contains(&id) => Err("its trade is on the orders".to_owned()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Saga {
    /// The order it is about; a create saga's has its number.
    fn order(&self) -> Option<Uuid> {
        if self.kind == CREATE { Some(self.saga_id) } else { self.order_id }
    }
}
