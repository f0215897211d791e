//! Everything that a command may change, in all three databases, so that a test can say: nothing changed.
//!
//! Remembered verdicts (inboxes), clocks and rejected orders are left out: a refusal may be remembered, and an order
//! that never came to market is the record of its refusal. So are sagas, which [`Brokerage::saga_count`] counts.

use sqlx::PgConnection;

use crate::brokerage::Brokerage;

/// What is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    parts: Vec<(&'static str, Vec<String>)>,
}

const ORDER: &[(&str, &str)] = &[
    ("orders", "SELECT to_jsonb(t)::text FROM orders t WHERE status <> 'REJECTED' ORDER BY order_id"),
    ("matches", "SELECT to_jsonb(t)::text FROM matches t ORDER BY trade_id"),
    ("trades", "SELECT to_jsonb(t)::text FROM trades t ORDER BY trade_id"),
    ("instruments", "SELECT to_jsonb(t)::text FROM instruments t ORDER BY symbol"),
    (
        "order events",
        "SELECT concat_ws(' ', aggregatetype, aggregateid, seq, type) FROM outbox
         WHERE aggregateid NOT IN (SELECT order_id::text FROM orders WHERE status = 'REJECTED')
         ORDER BY aggregatetype, aggregateid, seq",
    ),
];

const ASSET: &[(&str, &str)] = &[
    ("balances", "SELECT to_jsonb(t)::text FROM balances t ORDER BY owner, asset"),
    ("holds", "SELECT to_jsonb(t)::text FROM holds t ORDER BY hold_id"),
    ("customers", "SELECT to_jsonb(t)::text FROM customers t ORDER BY customer_id"),
    ("assets", "SELECT to_jsonb(t)::text FROM assets t ORDER BY asset"),
    ("journal", "SELECT concat_ws(' ', tx_id, kind, caused_by) FROM ledger_tx ORDER BY tx_id"),
    (
        "postings",
        "SELECT concat_ws(' ', tx_id, line, owner, asset, amount) FROM postings ORDER BY tx_id, line",
    ),
    (
        "asset events",
        "SELECT concat_ws(' ', aggregatetype, aggregateid, seq, type) FROM outbox
         ORDER BY aggregatetype, aggregateid, seq",
    ),
];

impl Snapshot {
    /// Fails with the first difference.
    #[track_caller]
    pub fn is(&self, before: &Self, what: &str) {
        for ((name, now), (_, then)) in self.parts.iter().zip(&before.parts) {
            let came: Vec<_> = now.iter().filter(|row| !then.contains(row)).collect();
            let went: Vec<_> = then.iter().filter(|row| !now.contains(row)).collect();
            assert!(came.is_empty() && went.is_empty(), "{what}: {name} came: {came:#?}, went: {went:#?}");
        }
    }

    /// How many rows a part has.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        let found = self.parts.iter().find(|(name, _)| *name == part);
        found.unwrap_or_else(|| panic!("a snapshot has no {part}")).1.len()
    }

    /// Rows of every part: what one effect adds, a second one would add again.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        self.parts.iter().map(|(name, rows)| (*name, rows.len())).collect()
    }
}

impl Brokerage {
    /// What is in effect now.
    pub async fn snapshot(&self) -> Snapshot {
        let mut parts = rows(&mut self.databases.order().await, ORDER).await;
        parts.extend(rows(&mut self.databases.asset().await, ASSET).await);
        Snapshot { parts }
    }

    /// How many sagas there are, ended or not.
    pub async fn saga_count(&self) -> i64 {
        let mut connection = self.databases.orchestrator().await;
        sqlx::query_scalar("SELECT count(*) FROM sagas").fetch_one(&mut connection).await.unwrap()
    }
}

async fn rows(
    connection: &mut PgConnection,
    queries: &'static [(&'static str, &'static str)],
) -> Vec<(&'static str, Vec<String>)> {
    let mut parts = Vec::new();
    for (name, query) in queries {
        parts.push((*name, sqlx::query_scalar(*query).fetch_all(&mut *connection).await.unwrap()));
    }
    parts
}
