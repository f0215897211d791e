//! Writes what a batch changed: one statement for money, and one more each for new assets and changed customers,
//! which are rare. Nothing is clamped and nothing is added to in SQL: rows are locked, so what was decided is written.

use service_kit::executor::SaveError;
use sqlx::PgConnection;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::types::{Decimal, Uuid};

use crate::domain::asset::Asset;
use crate::domain::customer::Customer;
use crate::domain::ledger::Cause;
use crate::domain::world::{Kept, Recorded, World};

/// Writes everything that differs from what was loaded.
pub(super) async fn save(tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
    save_assets(tx, &world.new_assets).await?;
    let customers: Vec<&Kept<Customer>> =
        world.customers.values().filter(|kept| kept.row.version != kept.loaded).collect();
    save_customers(tx, &customers).await?;
    save_money(tx, world).await
}

/// What a table's rows become: one array per column.
#[derive(Default)]
pub(super) struct BalanceColumns {
    pub owner: Vec<String>,
    pub asset: Vec<String>,
    pub available: Vec<Decimal>,
    pub held: Vec<Decimal>,
    pub available_seq: Vec<i64>,
    pub held_seq: Vec<i64>,
    pub version: Vec<i64>,
    pub loaded: Vec<i64>,
    pub seen_available: Vec<Decimal>,
    pub seen_held: Vec<Decimal>,
}

impl BalanceColumns {
    pub fn of(world: &World) -> Self {
        let mut columns = Self::default();
        for (key, kept) in &world.balances {
            let row = &kept.row;
            if row.version == kept.loaded {
                continue;
            }
            let (owner, asset) = key;
            let seen = world.seen.get(key).copied().unwrap_or_default();
            columns.owner.push(owner.to_string());
            columns.asset.push(asset.to_string());
            columns.available.push(row.available.to_decimal());
            columns.held.push(row.held.to_decimal());
            columns.available_seq.push(row.available_seq);
            columns.held_seq.push(row.held_seq);
            columns.version.push(row.version);
            columns.loaded.push(kept.loaded);
            columns.seen_available.push(seen.available.to_decimal());
            columns.seen_held.push(seen.held.to_decimal());
        }
        columns
    }
}

#[derive(Default)]
pub(super) struct HoldColumns {
    pub hold_id: Vec<Uuid>,
    pub customer_id: Vec<String>,
    pub side: Vec<i16>,
    pub base_asset: Vec<String>,
    pub quote_asset: Vec<String>,
    pub limit_price: Vec<Decimal>,
    pub quantity: Vec<Decimal>,
    pub cum_quantity: Vec<Decimal>,
    pub cum_notional: Vec<Decimal>,
    pub cum_fee: Vec<Decimal>,
    pub fee_ppm: Vec<i32>,
    pub fee_scale: Vec<i16>,
    pub placed: Vec<Decimal>,
    pub captured: Vec<Decimal>,
    pub released: Vec<Decimal>,
    pub status: Vec<String>,
    pub version: Vec<i64>,
    pub loaded: Vec<i64>,
}

impl HoldColumns {
    pub fn of(world: &World) -> Result<Self, SaveError> {
        let mut columns = Self::default();
        // Those that others may have locked first: who waits for one has made nothing yet that another may wait for.
        let (known, new): (Vec<_>, Vec<_>) = world.holds.values().partition(|kept| kept.loaded > 0);
        for kept in known.into_iter().chain(new) {
            let (hold, terms) = (&kept.row, &kept.row.terms);
            if hold.version == kept.loaded {
                continue;
            }
            columns.hold_id.push(hold.id.uuid());
            columns.customer_id.push(terms.customer.to_string());
            columns.side.push(terms.side.code());
            columns.base_asset.push(terms.base.to_string());
            columns.quote_asset.push(terms.quote.to_string());
            columns.limit_price.push(terms.limit.to_decimal());
            columns.quantity.push(terms.quantity.to_decimal());
            columns.cum_quantity.push(hold.cum_quantity.to_decimal());
            columns.cum_notional.push(hold.cum_notional.to_decimal());
            columns.cum_fee.push(hold.cum_fee.to_decimal());
            columns.fee_ppm.push(i32::try_from(terms.commission.rate.ppm()).map_err(too_large)?);
            columns.fee_scale.push(i16::try_from(terms.commission.scale).map_err(too_large)?);
            columns.placed.push(hold.placed.to_decimal());
            columns.captured.push(hold.captured.to_decimal());
            columns.released.push(hold.released.to_decimal());
            columns.status.push(hold.state.as_str().to_owned());
            columns.version.push(hold.version);
            columns.loaded.push(kept.loaded);
        }
        Ok(columns)
    }
}

#[derive(Default)]
pub(super) struct TxColumns {
    pub tx_id: Vec<Uuid>,
    pub kind: Vec<String>,
    pub caused_by: Vec<String>,
    pub actor: Vec<Option<String>>,
    pub reason: Vec<Option<String>>,
    pub channel: Vec<Option<String>>,
    pub external_ref: Vec<Option<String>>,
    pub created_at: Vec<DateTime<Utc>>,
}

impl TxColumns {
    pub fn of(journal: &[Recorded]) -> Self {
        let mut columns = Self::default();
        for head in journal.iter().map(|recorded| recorded.tx.head()) {
            columns.tx_id.push(head.tx_id.uuid());
            columns.kind.push(head.kind.as_str().to_owned());
            columns.caused_by.push(head.cause.to_string());
            columns.actor.push(match &head.cause {
                Cause::Actor(actor) => Some(actor.to_string()),
                Cause::Saga(_) | Cause::Trade(_) => None,
            });
            columns.reason.push(head.reason.clone());
            columns.channel.push(head.external.as_ref().map(|external| external.channel.clone()));
            columns.external_ref.push(head.external.as_ref().map(|external| external.reference.clone()));
            columns.created_at.push(head.created_at);
        }
        columns
    }
}

#[derive(Default)]
pub(super) struct PostingColumns {
    pub tx_id: Vec<Uuid>,
    pub line: Vec<i16>,
    pub owner: Vec<String>,
    pub asset: Vec<String>,
    pub kind: Vec<i16>,
    pub amount: Vec<Decimal>,
    pub account_seq: Vec<Option<i64>>,
    pub balance_after: Vec<Option<Decimal>>,
    pub statement_seq: Vec<Option<i64>>,
}

impl PostingColumns {
    pub fn of(journal: &[Recorded]) -> Self {
        let mut columns = Self::default();
        for recorded in journal {
            for (line, entry) in (1_i16..).zip(&recorded.entries) {
                let posting = &entry.posting;
                columns.tx_id.push(recorded.tx.head().tx_id.uuid());
                columns.line.push(line);
                columns.owner.push(posting.account.owner().to_owned());
                columns.asset.push(posting.asset.to_string());
                columns.kind.push(posting.account.code());
                columns.amount.push(posting.amount.to_decimal());
                columns.account_seq.push(entry.running.map(|running| running.account_seq));
                columns.balance_after.push(entry.running.map(|running| running.balance_after.to_decimal()));
                columns.statement_seq.push(entry.running.map(|running| running.statement_seq));
            }
        }
        columns
    }
}

async fn save_money(tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
    let (b, h) = (BalanceColumns::of(world), HoldColumns::of(world)?);
    let (t, p) = (TxColumns::of(&world.journal), PostingColumns::of(&world.journal));
    if b.owner.is_empty() && h.hold_id.is_empty() && t.tx_id.is_empty() {
        return Ok(());
    }
    let written = sqlx::query_file!(
        "src/store/save.sql",
        &b.owner,
        &b.asset,
        &b.available,
        &b.held,
        &b.available_seq,
        &b.held_seq,
        &b.version,
        &b.loaded,
        &h.hold_id,
        &h.customer_id,
        &h.side,
        &h.base_asset,
        &h.quote_asset,
        &h.limit_price,
        &h.quantity,
        &h.cum_quantity,
        &h.cum_notional,
        &h.cum_fee,
        &h.fee_ppm,
        &h.fee_scale,
        &h.placed,
        &h.captured,
        &h.released,
        &h.status,
        &h.version,
        &h.loaded,
        &t.tx_id,
        &t.kind,
        &t.caused_by,
        &t.actor as &[Option<String>],
        &t.reason as &[Option<String>],
        &t.channel as &[Option<String>],
        &t.external_ref as &[Option<String>],
        &t.created_at,
        &p.tx_id,
        &p.line,
        &p.owner,
        &p.asset,
        &p.kind,
        &p.amount,
        &p.account_seq as &[Option<i64>],
        &p.balance_after as &[Option<Decimal>],
        &p.statement_seq as &[Option<i64>],
    )
    .fetch_one(tx)
    .await?;
    all_written(written.balances, b.owner.len())?;
    all_written(written.holds, h.hold_id.len())?;
    all_written(written.txs, t.tx_id.len())?;
    all_written(written.postings, p.tx_id.len())
}

async fn save_assets(tx: &mut PgConnection, assets: &[Asset]) -> Result<(), SaveError> {
    if assets.is_empty() {
        return Ok(());
    }
    let codes: Vec<String> = assets.iter().map(|asset| asset.asset.to_string()).collect();
    let scales = |scale: fn(&Asset) -> u32| -> Result<Vec<i16>, SaveError> {
        assets.iter().map(|asset| i16::try_from(scale(asset)).map_err(too_large)).collect()
    };
    let written = sqlx::query!(
        "INSERT INTO assets (asset, ledger_scale, transfer_scale)
         SELECT * FROM unnest($1::text[], $2::smallint[], $3::smallint[]) ON CONFLICT DO NOTHING",
        &codes,
        &scales(|asset| asset.ledger_scale)?,
        &scales(|asset| asset.transfer_scale)?
    )
    .execute(tx)
    .await?;
    all_written(i64::try_from(written.rows_affected()).map_err(too_large)?, assets.len())
}

async fn save_customers(tx: &mut PgConnection, customers: &[&Kept<Customer>]) -> Result<(), SaveError> {
    if customers.is_empty() {
        return Ok(());
    }
    let texts = |text: fn(&Customer) -> String| -> Vec<String> {
        customers.iter().map(|kept| text(&kept.row)).collect()
    };
    let versions: Vec<i64> = customers.iter().map(|kept| kept.row.version).collect();
    let loaded: Vec<i64> = customers.iter().map(|kept| kept.loaded).collect();
    let written = sqlx::query!(
        r#"WITH customer_rows AS MATERIALIZED (
               SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
                   AS r(customer_id, name, tier, state, version, loaded)
           ), made AS (
               INSERT INTO customers (customer_id, name, tier, state, version)
               SELECT customer_id, name, tier, state, version FROM customer_rows WHERE loaded = 0
               ON CONFLICT DO NOTHING RETURNING 1
           ), changed AS (
               UPDATE customers c SET name = r.name, tier = r.tier, state = r.state, version = r.version
               FROM customer_rows r
               WHERE c.customer_id = ANY($1) AND r.loaded > 0 AND c.customer_id = r.customer_id
                     AND c.version = r.loaded RETURNING 1
           )
           SELECT (SELECT count(*) FROM made) + (SELECT count(*) FROM changed) AS "count!""#,
        &texts(|customer| customer.customer_id.to_string()),
        &texts(|customer| customer.name.clone()),
        &texts(|customer| customer.tier.as_str().to_owned()),
        &texts(|customer| customer.state.as_str().to_owned()),
        &versions,
        &loaded
    )
    .fetch_one(tx)
    .await?;
    all_written(written.count, customers.len())
}

/// A row that is not as it was loaded, or that appeared meanwhile, leaves the count short.
fn all_written(written: i64, wanted: usize) -> Result<(), SaveError> {
    if usize::try_from(written) == Ok(wanted) { Ok(()) } else { Err(SaveError::Conflict) }
}

pub(super) fn too_large(_: std::num::TryFromIntError) -> SaveError {
    SaveError::Broken("a number does not fit its column".to_owned())
}
