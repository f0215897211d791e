//! Three databases seen as one: a snapshot of each, taken in an order that leaves little to explain.
//!
//! 1. *Sagas, before.* What has ended here has all its effects in the snapshots that follow.
//! 2. *Orders*, then 3. *assets.* Every saga touches money between its steps on the order, so the books of asset-svc
//!    are never behind: what an order says has happened to its money is there. They may only be ahead.
//! 4. *Sagas, after.* Every effect seen in 2 and 3 has its intent here, because intents are durable first.
//!
//! Who is in the last snapshot and had not ended in the first is *in flight*. Such a saga explains differences of its
//! own order, hold and trade, and of nothing else.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use super::Urls;

/// An intent is visible so many seconds after its creation time at the latest.
const COMMIT_SECONDS_MAX: f64 = 60.0;

/// The kind of a saga that creates an order, as stored.
pub const CREATE: &str = "create_order";
/// The kind of a saga that cancels an order, as stored.
pub const CANCEL: &str = "cancel_order";
/// The kind of a saga that matches two orders, as stored.
pub const MATCH: &str = "match_orders";

/// What is looked at. Each connection is inside one read-only transaction.
pub struct Cut {
    /// The orchestrator, before everything.
    pub sagas_before: PgConnection,
    /// order-svc.
    pub order: PgConnection,
    /// asset-svc.
    pub asset: PgConnection,
    /// The orchestrator, after everything.
    pub sagas_after: PgConnection,
    /// Who was in flight.
    pub flights: Flights,
    /// When asset-svc was looked at, by its own clock.
    pub at: DateTime<Utc>,
}

/// A saga that may have some of its effects.
#[derive(Debug, sqlx::FromRow)]
pub struct Flight {
    saga_id: Uuid,
    kind: String,
    order_id: Option<Uuid>,
    input: Value,
}

/// Every saga in flight, by its id.
#[derive(Debug, Default)]
pub struct Flights(HashMap<Uuid, Flight>);

impl Flights {
    /// Whether this order (and its hold, which has the same number) is being created.
    pub fn creates(&self, order: Uuid) -> bool {
        self.0.get(&order).is_some_and(|flight| flight.kind == CREATE)
    }

    /// Whether this saga is cancelling this order.
    pub fn cancels(&self, saga: Uuid, order: Uuid) -> bool {
        self.0.get(&saga).is_some_and(|flight| flight.kind == CANCEL && flight.order_id == Some(order))
    }

    /// The input of the saga that makes this trade.
    pub fn matching(&self, trade: Uuid) -> Option<&Value> {
        self.0.get(&trade).filter(|flight| flight.kind == MATCH).map(|flight| &flight.input)
    }
}

impl Cut {
    /// Takes the snapshots.
    pub async fn take(urls: &Urls) -> Result<Self> {
        let (mut sagas_before, since) =
            snapshot(&urls.orchestrator).await.context("the orchestrator's database")?;
        let (order, _) = snapshot(&urls.order).await.context("order-svc's database")?;
        let (asset, at) = snapshot(&urls.asset).await.context("asset-svc's database")?;
        let (mut sagas_after, _) =
            snapshot(&urls.orchestrator).await.context("the orchestrator's database")?;
        let flights = flights(&mut sagas_before, &mut sagas_after, since).await.context("read the sagas")?;
        Ok(Self { sagas_before, order, asset, sagas_after, flights, at })
    }

    /// Lets go. Nothing was written, so it does not matter how that ends.
    pub async fn close(self) {
        for connection in [self.sagas_before, self.order, self.asset, self.sagas_after] {
            drop(connection.close().await);
        }
    }
}

/// A read-only transaction that sees one instant, and when that is.
pub async fn snapshot(url: &str) -> Result<(PgConnection, DateTime<Utc>)> {
    let options: PgConnectOptions = url.parse().context("read the URL")?;
    let mut connection = options
        .application_name("audit")
        .options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("jit", "off"),
            ("work_mem", "64MB"),
        ])
        .connect()
        .await
        .context("connect")?;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut connection)
        .await
        .context("begin")?;
    // The snapshot is taken by the first statement, not by BEGIN.
    let now =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut connection).await.context("look")?;
    Ok((connection, now))
}

async fn flights(
    before: &mut PgConnection,
    after: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Flights, sqlx::Error> {
    let active: Vec<Uuid> = sqlx::query_scalar("SELECT saga_id FROM sagas WHERE ended_at IS NULL")
        .fetch_all(&mut *before)
        .await?;
    // Only new sagas can be in one snapshot and not in the other.
    let ended: HashSet<Uuid> = sqlx::query_scalar(
        "SELECT saga_id FROM sagas
         WHERE ended_at IS NOT NULL AND created_at >= $1 - make_interval(secs => $2)",
    )
    .bind(since)
    .bind(COMMIT_SECONDS_MAX)
    .fetch_all(before)
    .await?
    .into_iter()
    .collect();
    let seen: Vec<Flight> = sqlx::query_as(
        "SELECT saga_id, kind, order_id, input FROM sagas
         WHERE saga_id = ANY($1) OR created_at >= $2 - make_interval(secs => $3)",
    )
    .bind(&active)
    .bind(since)
    .bind(COMMIT_SECONDS_MAX)
    .fetch_all(after)
    .await?;
    let in_flight = seen.into_iter().filter(|flight| !ended.contains(&flight.saga_id));
    Ok(Flights(in_flight.map(|flight| (flight.saga_id, flight)).collect()))
}
