//! Looks at all balances, holds and postings at one instant, again and again, and checks that the sums are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What is wrong in asset-svc's database, in words; one statement, so one snapshot, and the transaction's mode says
/// that any further one would see the same.
const BOOKS: &str = "
    WITH sums AS (
        SELECT owner, asset, sum(amount) FILTER (WHERE kind = 1) AS available, sum(amount) FILTER (WHERE kind = 2) AS held
        FROM postings WHERE kind IN (1, 2) GROUP BY owner, asset
    ), promised AS (
        SELECT customer_id AS owner, CASE side WHEN 1 THEN quote_asset ELSE base_asset END AS asset,
               sum(placed - captured - released) AS remaining
        FROM holds WHERE status = 'ACTIVE' GROUP BY 1, 2
    )
    SELECT format('all accounts of %s sum to %s', asset, sum(amount)) FROM postings GROUP BY asset HAVING sum(amount) <> 0
    UNION ALL
    SELECT format('transaction %s sums to %s %s', tx_id, sum(amount), asset)
    FROM postings GROUP BY tx_id, asset HAVING sum(amount) <> 0
    UNION ALL
    SELECT format('%s has %s + %s %s, and postings of %s + %s', owner, b.available, b.held, asset, s.available, s.held)
    FROM balances b FULL JOIN sums s USING (owner, asset)
    WHERE coalesce(b.available, 0) <> coalesce(s.available, 0) OR coalesce(b.held, 0) <> coalesce(s.held, 0)
    UNION ALL
    SELECT format('%s has %s + %s %s: negative', owner, available, held, asset)
    FROM balances WHERE available < 0 OR held < 0
    UNION ALL
    SELECT format('%s has %s %s held, and holds of %s', owner, b.held, asset, p.remaining)
    FROM balances b FULL JOIN promised p USING (owner, asset) WHERE coalesce(b.held, 0) <> coalesce(p.remaining, 0)";

/// The same in order-svc's database.
const ORDERS: &str = "
    WITH fills AS (
        SELECT order_id, sum(quantity) AS filled FROM (
            SELECT buy_order_id AS order_id, quantity FROM trades
            UNION ALL SELECT sell_order_id, quantity FROM trades) AS both_sides
        GROUP BY order_id
    ), flights AS (
        SELECT order_id, sum(quantity) AS reserved FROM (
            SELECT buy_order_id AS order_id, quantity FROM matches WHERE state = 'RESERVED'
            UNION ALL SELECT sell_order_id, quantity FROM matches WHERE state = 'RESERVED') AS both_sides
        GROUP BY order_id
    )
    SELECT format('order %s: %s filled, trades of %s; %s in flight, matches of %s; %s of %s canceled, %s',
                  order_id, cum_qty, f.filled, inflight_qty, r.reserved, canceled_qty, qty, status)
    FROM orders o LEFT JOIN fills f USING (order_id) LEFT JOIN flights r USING (order_id)
    WHERE cum_qty <> coalesce(f.filled, 0) OR inflight_qty <> coalesce(r.reserved, 0)
       OR cum_qty < 0 OR cum_qty + canceled_qty > qty OR inflight_qty > qty - cum_qty - canceled_qty";

/// Takes a snapshot so often.
const EVERY: Duration = Duration::from_millis(100);

/// What the snapshots showed.
#[derive(Clone, Debug, Default)]
pub struct Exposures {
    /// How many there are, of both databases.
    pub taken: u64,
    /// How many could not be taken, because the database or its session was gone.
    pub missed: u64,
    /// What was wrong in them.
    pub wrong: Vec<String>,
    /// The longest one.
    pub slowest: Duration,
}

/// Takes snapshots until it is stopped.
#[derive(Debug)]
pub struct Camera {
    stop: Arc<AtomicBool>,
    exposures: JoinHandle<Exposures>,
}

impl Camera {
    /// Starts to look at the databases of order-svc and asset-svc, given by their URLs.
    #[must_use]
    pub fn start(urls: &brokerctl::dev::DatabaseUrls) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, urls) = (Arc::clone(&stop), urls.clone());
        let exposures = tokio::spawn(async move {
            let mut exposures = Exposures::default();
            let mut connections = [None, None];
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                for (connection, (service, query)) in
                    connections.iter_mut().zip([(MeshService::Asset, BOOKS), (MeshService::Order, ORDERS)])
                {
                    exposures.expose(connection, urls.of(service), query).await;
                }
            }
            exposures
        });
        Self { stop, exposures }
    }

    /// Stops; what it saw.
    ///
    /// # Errors
    /// It panicked.
    pub async fn stop(self) -> Result<Exposures> {
        self.stop.store(true, Ordering::Relaxed);
        self.exposures.await.context("the camera broke")
    }
}

impl Exposures {
    async fn expose(&mut self, connection: &mut Option<PgConnection>, url: &str, query: &'static str) {
        let begun = Instant::now();
        match snapshot(connection, url, query).await {
            Ok(wrong) => {
                self.taken += 1;
                self.wrong.extend(wrong);
                self.slowest = self.slowest.max(begun.elapsed());
            }
            Err(_) => {
                self.missed += 1;
                *connection = None;
            }
        }
    }
}

async fn snapshot(
    connection: &mut Option<PgConnection>,
    url: &str,
    query: &'static str,
) -> Result<Vec<String>, sqlx::Error> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(PgConnection::connect(url).await?),
    };
    let mut tx = open.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let wrong = sqlx::query_scalar(query).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    Ok(wrong)
}
