//! What a batch locks and reads before it decides: three statements for the create path.
//!
//! Customers are read *after* the balances are locked, in a statement of their own and without a lock. Whoever
//! freezes a customer locks all his balances first, so a command that got its balance before the freeze is done
//! before it, and one that got it afterwards sees the freeze: the later statement has the later snapshot. (`FOR KEY
//! SHARE` would not wait for the change of a plain column, and `FOR SHARE` would write to the row of every customer
//! who trades.) For holds that are placed without locks ([`super::optimistic`]) a freeze also changes the balances'
//! versions. A customer without a balance has nothing that a freeze must protect.
//!
//! Assets never change, so each is read once per process.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use brokerage_types::{AssetCode, CustomerId, TxId};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::rows::{AssetRow, BalanceRow, CustomerRow, HoldRow, asset_code, customer_id, rate, tier};
use crate::domain::asset::Asset;
use crate::domain::command::Command;
use crate::domain::customer::Customer;
use crate::domain::footprint::Footprint;
use crate::domain::hold::Hold;
use crate::domain::ledger::ExternalRef;
use crate::domain::world::{Kept, World};

/// Assets that were seen, for ever.
#[derive(Debug, Default)]
pub(super) struct SeenAssets(RwLock<HashMap<AssetCode, Asset>>);

/// Locks and reads every row that the commands may touch.
pub(super) async fn load(
    tx: &mut PgConnection,
    seen: &SeenAssets,
    commands: &[&Command],
) -> Result<World, sqlx::Error> {
    let mut footprint = Footprint::of(commands);
    let mut world = World::default();
    lock_holds(tx, &mut footprint, &mut world).await?;
    if !footprint.changing_customers.is_empty() {
        add_all_balances(tx, &mut footprint).await?;
    }
    lock_balances(tx, &footprint, &mut world).await?;
    if !footprint.changing_customers.is_empty() {
        lock_customers(tx, &footprint, &mut world).await?;
    }
    read_customers(tx, &footprint, &mut world).await?;
    seen.read(tx, &footprint.assets, &mut world).await?;
    if !footprint.txs.is_empty() || !footprint.refs.is_empty() {
        read_known(tx, &footprint, &mut world).await?;
    }
    Ok(world)
}

async fn lock_holds(
    tx: &mut PgConnection,
    footprint: &mut Footprint,
    world: &mut World,
) -> Result<(), sqlx::Error> {
    if footprint.holds.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = footprint.holds.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        HoldRow,
        "SELECT hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity,
                cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version
         FROM holds WHERE hold_id = ANY($1) ORDER BY hold_id FOR NO KEY UPDATE",
        &ids
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let hold = Hold::try_from(row)?;
        footprint.add_hold(&hold);
        world.holds.insert(hold.id, Kept { loaded: hold.version, row: hold });
    }
    Ok(())
}

/// Adds every balance of the customers who shall change to what is locked.
async fn add_all_balances(tx: &mut PgConnection, footprint: &mut Footprint) -> Result<(), sqlx::Error> {
    let owners = names(&footprint.changing_customers);
    let rows = sqlx::query!("SELECT owner, asset FROM balances WHERE owner = ANY($1)", &owners)
        .fetch_all(tx)
        .await?;
    for row in rows {
        footprint.balances.insert((customer_id(&row.owner)?, asset_code(&row.asset)?));
    }
    Ok(())
}

async fn lock_balances(
    tx: &mut PgConnection,
    footprint: &Footprint,
    world: &mut World,
) -> Result<(), sqlx::Error> {
    if footprint.balances.is_empty() {
        return Ok(());
    }
    let (owners, assets): (Vec<String>, Vec<String>) =
        footprint.balances.iter().map(|(owner, asset)| (owner.to_string(), asset.to_string())).unzip();
    let rows = sqlx::query_as!(
        BalanceRow,
        "SELECT b.owner, b.asset, b.available, b.held, b.available_seq, b.held_seq, b.version
         FROM unnest($1::text[], $2::text[]) AS k(owner, asset)
         JOIN balances b ON b.owner = k.owner AND b.asset = k.asset AND b.owner = ANY($1)
         ORDER BY b.owner, b.asset FOR NO KEY UPDATE OF b",
        &owners,
        &assets
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let (key, balance) = row.into_parts()?;
        world.balances.insert(key, Kept { loaded: balance.version, row: balance });
    }
    Ok(())
}

/// Locks customers who shall change, and reads every tier's rate: the tier may change too.
async fn lock_customers(
    tx: &mut PgConnection,
    footprint: &Footprint,
    world: &mut World,
) -> Result<(), sqlx::Error> {
    let ids = names(&footprint.changing_customers);
    sqlx::query!(
        "SELECT customer_id FROM customers WHERE customer_id = ANY($1) ORDER BY customer_id FOR NO KEY UPDATE",
        &ids
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in sqlx::query!("SELECT tier, fee_ppm FROM tiers").fetch_all(tx).await? {
        world.rates.insert(tier(&row.tier)?, rate(row.fee_ppm)?);
    }
    Ok(())
}

pub(super) async fn read_customers(
    tx: &mut PgConnection,
    footprint: &Footprint,
    world: &mut World,
) -> Result<(), sqlx::Error> {
    if footprint.customers.is_empty() {
        return Ok(());
    }
    let ids = names(&footprint.customers);
    let rows = sqlx::query!(
        "SELECT c.customer_id, c.name, c.tier, c.state, c.version, t.fee_ppm
         FROM customers c JOIN tiers t ON t.tier = c.tier WHERE c.customer_id = ANY($1)",
        &ids
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let fee_rate = rate(row.fee_ppm)?;
        let customer = Customer::try_from(CustomerRow {
            customer_id: row.customer_id,
            name: row.name,
            tier: row.tier,
            state: row.state,
            version: row.version,
        })?;
        world.rates.insert(customer.tier, fee_rate);
        let kept = Kept { loaded: customer.version, row: customer };
        world.customers.insert(kept.row.customer_id.clone(), kept);
    }
    Ok(())
}

async fn read_known(
    tx: &mut PgConnection,
    footprint: &Footprint,
    world: &mut World,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = footprint.txs.iter().map(|id| id.uuid()).collect();
    let (channels, references): (Vec<String>, Vec<String>) =
        footprint.refs.iter().map(|external| (external.channel.clone(), external.reference.clone())).unzip();
    let rows = sqlx::query!(
        r#"SELECT t.tx_id AS "tx_id!", t.channel, t.external_ref FROM ledger_tx t WHERE t.tx_id = ANY($1)
           UNION ALL
           SELECT t.tx_id, t.channel, t.external_ref
           FROM unnest($2::text[], $3::text[]) AS k(channel, external_ref)
           JOIN ledger_tx t ON t.channel = k.channel AND t.external_ref = k.external_ref AND t.channel IS NOT NULL"#,
        &ids,
        &channels,
        &references
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        world.known_txs.insert(TxId::from(row.tx_id));
        if let (Some(channel), Some(reference)) = (row.channel, row.external_ref) {
            world.known_refs.insert(ExternalRef { channel, reference });
        }
    }
    Ok(())
}

impl SeenAssets {
    /// Puts the assets into the world; asks the database only for those never seen.
    pub async fn read(
        &self,
        tx: &mut PgConnection,
        codes: &BTreeSet<AssetCode>,
        world: &mut World,
    ) -> Result<(), sqlx::Error> {
        let unseen = self.recall(codes, world);
        if unseen.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query_as!(
            AssetRow,
            "SELECT asset, ledger_scale, transfer_scale FROM assets WHERE asset = ANY($1)",
            &unseen
        )
        .fetch_all(tx)
        .await?;
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let asset = Asset::try_from(row)?;
            world.assets.insert(asset.asset.clone(), asset.clone());
            seen.insert(asset.asset.clone(), asset);
        }
        Ok(())
    }

    /// Fills the world with what was seen; the codes of the rest.
    pub fn recall(&self, codes: &BTreeSet<AssetCode>, world: &mut World) -> Vec<String> {
        let seen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut unseen = Vec::new();
        for code in codes {
            match seen.get(code) {
                Some(asset) => {
                    world.assets.insert(code.clone(), asset.clone());
                }
                None => unseen.push(code.to_string()),
            }
        }
        unseen
    }
}

fn names(ids: &BTreeSet<CustomerId>) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
