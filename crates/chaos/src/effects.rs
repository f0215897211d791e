//! What a mesh holds, in a few numbers: enough to see whether a command had an effect.
//!
//! Memories of refusals (inbox rows, rejected orders, rolled-back sagas) are no effects.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;

use crate::world::World;

const ORDER: &str = "
    SELECT 'orders', count(*) FROM orders WHERE status <> 'REJECTED'
    UNION ALL SELECT 'versions of orders', coalesce(sum(version), 0)::bigint FROM orders WHERE status <> 'REJECTED'
    UNION ALL SELECT 'trades', count(*) FROM trades
    UNION ALL SELECT 'matches', count(*) FROM matches WHERE state <> 'RELEASED'
    UNION ALL SELECT 'versions of instruments', coalesce(sum(version), 0)::bigint FROM instruments";
const ASSET: &str = "
    SELECT 'movements', count(*) FROM ledger_tx
    UNION ALL SELECT 'postings', count(*) FROM postings
    UNION ALL SELECT 'versions of balances', coalesce(sum(version), 0)::bigint FROM balances
    UNION ALL SELECT 'holds', count(*) FROM holds
    UNION ALL SELECT 'versions of holds', coalesce(sum(version), 0)::bigint FROM holds
    UNION ALL SELECT 'assets', count(*) FROM assets
    UNION ALL SELECT 'versions of customers', coalesce(sum(version), 0)::bigint FROM customers";
const ORCHESTRATOR: &str = "SELECT 'sagas', count(*) FROM sagas WHERE status <> 4";

/// The numbers.
pub type Effects = BTreeMap<String, i64>;

/// Counts now; every saga must have ended.
///
/// # Errors
/// A database cannot be read, or a saga does not end.
pub async fn count(world: &World) -> Result<Effects> {
    world.settle().await?;
    let mut effects = Effects::new();
    for (service, query) in
        [(MeshService::Order, ORDER), (MeshService::Asset, ASSET), (MeshService::Orchestrator, ORCHESTRATOR)]
    {
        let mut connection = world.connect(service).await?;
        let rows: Vec<(String, i64)> =
            sqlx::query_as(query).fetch_all(&mut connection).await.context("count effects")?;
        effects.extend(rows);
    }
    Ok(effects)
}

/// What has been added between two counts; nothing that has not changed.
#[must_use]
pub fn growth(before: &Effects, after: &Effects) -> Effects {
    let grown =
        after.iter().map(|(what, now)| (what.clone(), now - before.get(what).copied().unwrap_or_default()));
    grown.filter(|(_, more)| *more != 0).collect()
}
