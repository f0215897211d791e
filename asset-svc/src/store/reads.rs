//! Reads of the API. Whose rows a caller may see is part of every query; what is not his does not exist.

use brokerage_types::{AssetCode, CustomerId};
use chrono::{DateTime, Utc};
use service_kit::fault::{Fault, FaultContext};
use sqlx::PgPool;
use sqlx::types::Uuid;

use super::load::{SeenAssets, read_customers};
use super::rows::{BalanceRow, CustomerRow, HoldRow, amount, broken};
use crate::domain::balance::{Balance, Holding};
use crate::domain::command::{Command, PlaceHold};
use crate::domain::customer::Customer;
use crate::domain::decide::rehearse;
use crate::domain::footprint::Footprint;
use crate::domain::hold::Hold;
use crate::domain::plan::Moment;
use crate::domain::rejection::Rejection;
use crate::domain::world::{Kept, World};

/// Whose rows may be seen: these customers', or everybody's.
pub type Visible = Option<Vec<String>>;

/// The customer, if there is one to be seen.
///
/// # Errors
/// The database.
pub async fn customer(pool: PgPool, id: CustomerId, visible: Visible) -> Result<Option<Customer>, Fault> {
    let row = sqlx::query_as!(
        CustomerRow,
        "SELECT customer_id, name, tier, state, version FROM customers
         WHERE customer_id = $1 AND ($2::text[] IS NULL OR customer_id = ANY($2))",
        id.as_str(),
        visible.as_deref()
    )
    .fetch_optional(&pool)
    .await
    .context("load customer")?;
    Ok(row.map(Customer::try_from).transpose()?)
}

/// Customers after an id, by id.
///
/// # Errors
/// The database.
pub async fn customers(
    pool: PgPool,
    visible: Visible,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<Customer>, Fault> {
    let rows = sqlx::query_as!(
        CustomerRow,
        "SELECT customer_id, name, tier, state, version FROM customers
         WHERE ($1::text IS NULL OR customer_id > $1) AND ($2::text[] IS NULL OR customer_id = ANY($2))
         ORDER BY customer_id LIMIT $3",
        after,
        visible.as_deref(),
        limit
    )
    .fetch_all(&pool)
    .await
    .context("list customers")?;
    Ok(rows.into_iter().map(Customer::try_from).collect::<Result<_, _>>()?)
}

/// Which balances are asked for.
#[derive(Debug, Clone)]
pub struct BalanceFilter {
    /// Whose.
    pub customer: CustomerId,
    /// Who may be seen.
    pub visible: Visible,
    /// One asset only.
    pub asset: Option<AssetCode>,
    /// Continue after this asset.
    pub after: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// Balances by asset; `None` if there is no such customer to be seen.
///
/// # Errors
/// The database.
pub async fn balances(pool: PgPool, filter: BalanceFilter) -> Result<Option<Vec<Holding>>, Fault> {
    if customer(pool.clone(), filter.customer.clone(), filter.visible.clone()).await?.is_none() {
        return Ok(None);
    }
    let rows = sqlx::query_as!(
        BalanceRow,
        "SELECT owner, asset, available, held, available_seq, held_seq, version FROM balances
         WHERE owner = $1 AND ($2::text[] IS NULL OR owner = ANY($2)) AND ($3::text IS NULL OR asset = $3)
           AND ($4::text IS NULL OR asset > $4)
         ORDER BY asset LIMIT $5",
        filter.customer.as_str(),
        filter.visible.as_deref(),
        filter.asset.as_ref().map(AssetCode::as_str),
        filter.after,
        filter.limit
    )
    .fetch_all(&pool)
    .await
    .context("list balances")?;
    let holdings = rows.into_iter().map(|row| {
        let ((_, asset), balance) = row.into_parts()?;
        balance.holding(&asset).map_err(broken)
    });
    Ok(Some(holdings.collect::<Result<_, _>>()?))
}

/// Which lines of a statement are asked for.
#[derive(Debug, Clone)]
pub struct StatementFilter {
    /// Whose.
    pub customer: CustomerId,
    /// Who may be seen.
    pub visible: Visible,
    /// Which asset.
    pub asset: AssetCode,
    /// One account only, as the journal numbers it.
    pub account: Option<i16>,
    /// At or after.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// Continue after these postings of the available and of the held account.
    pub after: (i64, i64),
    /// At most so many.
    pub limit: i64,
}

/// One line of a statement.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of the journal")]
pub struct StatementLine {
    pub tx_id: Uuid,
    pub tx_kind: String,
    pub kind: i16,
    pub amount: brokerage_types::Amount,
    pub balance_after: brokerage_types::Amount,
    pub account_seq: i64,
    pub statement_seq: i64,
    pub created_at: DateTime<Utc>,
    pub caused_by: String,
}

impl StatementLine {
    /// How many postings the available and the held account have had up to this line.
    #[must_use]
    pub const fn position(&self) -> (i64, i64) {
        let others = self.statement_seq - self.account_seq;
        if self.kind == 1 { (self.account_seq, others) } else { (others, self.account_seq) }
    }
}

/// Lines in the order in which they took effect; `None` if there is no such customer to be seen.
///
/// Each account is read along its own index from where the last page ended, and the two are merged.
///
/// # Errors
/// The database.
pub async fn statement(pool: PgPool, filter: StatementFilter) -> Result<Option<Vec<StatementLine>>, Fault> {
    if customer(pool.clone(), filter.customer.clone(), filter.visible.clone()).await?.is_none() {
        return Ok(None);
    }
    let rows = sqlx::query!(
        r#"SELECT s.tx_id AS "tx_id!", s.tx_kind AS "tx_kind!", s.kind AS "kind!", s.amount AS "amount!",
                  s.balance_after AS "balance_after!", s.account_seq AS "account_seq!",
                  s.statement_seq AS "statement_seq!", s.created_at AS "created_at!", s.caused_by AS "caused_by!"
           FROM (
               (SELECT p.tx_id, t.kind AS tx_kind, p.kind, p.amount, p.balance_after, p.account_seq,
                       p.statement_seq, t.created_at, t.caused_by
                FROM postings p JOIN ledger_tx t ON t.tx_id = p.tx_id
                WHERE p.owner = $1 AND p.asset = $2 AND p.kind = 1 AND p.account_seq > $3
                  AND ($9::text[] IS NULL OR p.owner = ANY($9)) AND ($5::smallint IS NULL OR $5 = 1)
                  AND ($6::timestamptz IS NULL OR t.created_at >= $6)
                  AND ($7::timestamptz IS NULL OR t.created_at < $7)
                ORDER BY p.account_seq LIMIT $8)
               UNION ALL
               (SELECT p.tx_id, t.kind AS tx_kind, p.kind, p.amount, p.balance_after, p.account_seq,
                       p.statement_seq, t.created_at, t.caused_by
                FROM postings p JOIN ledger_tx t ON t.tx_id = p.tx_id
                WHERE p.owner = $1 AND p.asset = $2 AND p.kind = 2 AND p.account_seq > $4
                  AND ($9::text[] IS NULL OR p.owner = ANY($9)) AND ($5::smallint IS NULL OR $5 = 2)
                  AND ($6::timestamptz IS NULL OR t.created_at >= $6)
                  AND ($7::timestamptz IS NULL OR t.created_at < $7)
                ORDER BY p.account_seq LIMIT $8)
           ) s
           ORDER BY s.statement_seq LIMIT $8"#,
        filter.customer.as_str(),
        filter.asset.as_str(),
        filter.after.0,
        filter.after.1,
        filter.account,
        filter.from,
        filter.to,
        filter.limit,
        filter.visible.as_deref()
    )
    .fetch_all(&pool)
    .await
    .context("list postings")?;
    let lines = rows.into_iter().map(|row| {
        Ok(StatementLine {
            tx_id: row.tx_id,
            tx_kind: row.tx_kind,
            kind: row.kind,
            amount: amount(row.amount)?,
            balance_after: amount(row.balance_after)?,
            account_seq: row.account_seq,
            statement_seq: row.statement_seq,
            created_at: row.created_at,
            caused_by: row.caused_by,
        })
    });
    Ok(Some(lines.collect::<Result<_, sqlx::Error>>()?))
}

/// What a customer had of an asset at an instant, summed from the journal; `None` if there is no such customer to be
/// seen.
///
/// # Errors
/// The database.
pub async fn balance_at(
    pool: PgPool,
    filter: BalanceFilter,
    asset: AssetCode,
    at: DateTime<Utc>,
) -> Result<Option<Holding>, Fault> {
    if customer(pool.clone(), filter.customer.clone(), filter.visible.clone()).await?.is_none() {
        return Ok(None);
    }
    let row = sqlx::query!(
        r#"SELECT coalesce(sum(p.amount) FILTER (WHERE p.kind = 1), 0) AS "available!",
                  coalesce(sum(p.amount) FILTER (WHERE p.kind = 2), 0) AS "held!"
           FROM postings p JOIN ledger_tx t ON t.tx_id = p.tx_id
           WHERE p.owner = $1 AND p.asset = $2 AND p.kind IN (1, 2) AND t.created_at <= $3
             AND ($4::text[] IS NULL OR p.owner = ANY($4))"#,
        filter.customer.as_str(),
        asset.as_str(),
        at,
        filter.visible.as_deref()
    )
    .fetch_one(&pool)
    .await
    .context("sum postings")?;
    let balance =
        Balance { available: amount(row.available)?, held: amount(row.held)?, ..Balance::default() };
    Ok(Some(balance.holding(&asset).map_err(broken)?))
}

/// Whether there is such an asset.
///
/// # Errors
/// The database.
pub async fn asset_exists(pool: PgPool, asset: AssetCode) -> Result<bool, Fault> {
    let row =
        sqlx::query!(r#"SELECT EXISTS (SELECT 1 FROM assets WHERE asset = $1) AS "exists!""#, asset.as_str())
            .fetch_one(&pool)
            .await
            .context("load asset")?;
    Ok(row.exists)
}

/// Why such a hold could not be placed now; `Ok(None)` if it could. Locks nothing and promises nothing.
///
/// # Errors
/// The database.
pub async fn rehearse_hold(
    pool: PgPool,
    moment: Moment,
    hold: PlaceHold,
) -> Result<Option<Rejection>, Fault> {
    let command = Command::PlaceHold(hold);
    let footprint = Footprint::of(&[&command]);
    let mut world = World::default();
    let mut connection = pool.acquire().await?;
    for hold_id in &footprint.holds {
        let row = sqlx::query_as!(
            HoldRow,
            "SELECT hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity,
                    cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version
             FROM holds WHERE hold_id = $1",
            hold_id.uuid()
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            let hold = Hold::try_from(row)?;
            world.holds.insert(hold.id, Kept { loaded: hold.version, row: hold });
        }
    }
    for (owner, asset) in &footprint.balances {
        let row = sqlx::query_as!(
            BalanceRow,
            "SELECT owner, asset, available, held, available_seq, held_seq, version FROM balances
             WHERE owner = $1 AND asset = $2",
            owner.as_str(),
            asset.as_str()
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            let (key, balance) = row.into_parts()?;
            world.balances.insert(key, Kept { loaded: balance.version, row: balance });
        }
    }
    read_customers(&mut connection, &footprint, &mut world).await?;
    SeenAssets::default().read(&mut connection, &footprint.assets, &mut world).await?;
    Ok(rehearse(&world, moment, &command).err())
}
