//! What the sagas have left in the tables, counted by SQL, and whether it would survive a power cut.

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row};

/// Without these an answer could be lost, and the comparison would not be one.
const DURABLE: &[&str] = &["fsync", "synchronous_commit", "full_page_writes"];

/// Looks into both databases.
#[derive(Debug)]
pub struct Books {
    tables: PgPool,
    log: PgPool,
}

/// Everything that a run changes. All of it is counted from the first saga of the run on, except the balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Sums over all customers: usable, held.
    balances: (i64, i64),
}

impl Books {
    /// Connects to both.
    ///
    /// # Errors
    /// When a database cannot be reached, or is not durable.
    pub async fn open(tables: &str, log: &str) -> Result<Self> {
        let connect = async |url: &str| PgPoolOptions::new().max_connections(1).connect(url).await;
        let books = Self {
            tables: connect(tables).await.context("connect to the participants' tables")?,
            log: connect(log).await.context("connect to the peer's own tables")?,
        };
        for pool in [&books.tables, &books.log] {
            for setting in DURABLE {
                let on: String = sqlx::query(AssertSqlSafe(format!("SHOW {setting}")))
                    .fetch_one(pool)
                    .await
                    .with_context(|| format!("ask for {setting}"))?
                    .try_get(0)?;
                ensure!(on == "on", "{setting} is {on}");
            }
        }
        Ok(books)
    }

    /// What there is before the run.
    ///
    /// # Errors
    /// When a statement fails.
    pub async fn before(&self) -> Result<Found> {
        let row = sqlx::query(
            "SELECT sum(available)::bigint, sum(held)::bigint FROM balances WHERE asset = 'BTRY'",
        )
        .fetch_one(&self.tables)
        .await
        .context("sum the balances")?;
        Ok(Found { balances: (row.try_get(0)?, row.try_get(1)?) })
    }

    /// Checks that since `before` exactly `done` sagas have had the naive floor's effects and `refused` ones were
    /// taken back, all with numbers in `ids`.
    ///
    /// # Errors
    /// Names the first effect that is missing, or too much.
    pub async fn check(
        &self,
        before: &Found,
        ids: std::ops::Range<i64>,
        done: i64,
        refused: i64,
    ) -> Result<()> {
        let counts: [(&str, &str, i64); 9] = [
            ("orders that are PENDING", "FROM orders WHERE order_id IN ids AND status = 'PENDING'", done),
            (
                "orders that are REJECTED",
                "FROM orders WHERE order_id IN ids AND status = 'REJECTED'",
                refused,
            ),
            ("orders", "FROM orders WHERE order_id IN ids", done + refused),
            ("holds of 100", "FROM holds WHERE hold_id IN ids AND status = 'ACTIVE' AND placed = 100", done),
            ("holds", "FROM holds WHERE hold_id IN ids", done),
            ("journal entries", "FROM ledger_tx WHERE tx_id IN ids AND kind = 'HOLD'", done),
            ("postings", "FROM postings WHERE tx_id IN ids AND abs(amount) = 100", 2 * done),
            (
                "events of orders",
                "FROM outbox WHERE aggregatetype = 'order' AND aggregateid IN texts",
                2 * (done + refused),
            ),
            ("events of holds", "FROM outbox WHERE aggregatetype = 'hold' AND aggregateid IN texts", done),
        ];
        for (what, rows, expected) in counts {
            let uuid = "lpad(to_hex(n), 32, '0')::uuid";
            let range = format!("FROM generate_series({}::bigint, {}::bigint) n", ids.start, ids.end - 1);
            let rows = rows
                .replace("ids", &format!("(SELECT {uuid} {range})"))
                .replace("texts", &format!("(SELECT {uuid}::text {range})"));
            let found = count(&self.tables, format!("SELECT count(*) {rows}"), what).await?;
            ensure!(found == expected, "{found} {what}, and not {expected}");
        }
        let after = self.before().await?;
        let moved = (before.balances.0 - after.balances.0, after.balances.1 - before.balances.1);
        ensure!(moved == (100 * done, 100 * done), "{moved:?} moved from usable to held in {done} sagas");
        Ok(())
    }

    /// Counts in the peer's own tables.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn logged(&self, sql: String, what: &str) -> Result<i64> {
        count(&self.log, sql, what).await
    }
}

async fn count(pool: &PgPool, sql: String, what: &str) -> Result<i64> {
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(pool).await;
    row.with_context(|| format!("count {what}"))?.try_get(0).with_context(|| format!("count {what}"))
}
