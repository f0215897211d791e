//! A1 to A5: the journal balances, and the balances are the journal's. asset-svc's database alone.
//!
//! All sums are SQL's, over NUMERIC.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::findings::{Claim, Findings, Money};

const COUNT_TXS: &str = "SELECT count(*) FROM ledger_tx";

const UNBALANCED: &str = "
    SELECT u.tx_id, u.asset, trim_scale(u.off)::text AS off, t.created_at
    FROM (SELECT tx_id, asset, sum(amount) AS off FROM postings GROUP BY tx_id, asset HAVING sum(amount) <> 0) u
         LEFT JOIN ledger_tx t USING (tx_id)
    ORDER BY u.tx_id, u.asset";

const WIDOWS: &str = "
    SELECT t.tx_id, false FROM ledger_tx t WHERE NOT EXISTS (SELECT FROM postings p WHERE p.tx_id = t.tx_id)
    UNION ALL
    SELECT DISTINCT p.tx_id, true FROM postings p WHERE NOT EXISTS (SELECT FROM ledger_tx t WHERE t.tx_id = p.tx_id)
    ORDER BY 1";

/// 7 is the world outside, 1 and 2 are customers' accounts.
const BOOKS: &str = "
    WITH books AS (
        SELECT p.asset, sum(p.amount) AS total, coalesce(sum(p.amount) FILTER (WHERE p.kind = 7), 0) AS outside,
               coalesce(sum(p.amount) FILTER (WHERE p.kind IN (1, 2) AND t.kind IN ('DEPOSIT', 'WITHDRAW')), 0)
                 AS paid_in
        FROM postings p LEFT JOIN ledger_tx t USING (tx_id) GROUP BY p.asset)
    SELECT asset, trim_scale(total)::text AS total, trim_scale(-outside)::text AS outside,
           trim_scale(paid_in)::text AS paid_in, trim_scale(outside + paid_in)::text AS off
    FROM books ORDER BY asset";

const COUNT_ACCOUNTS: &str = "SELECT 2 * count(*) FROM balances";

const BALANCES: &str = "
    WITH accounts AS (
        SELECT owner, asset, 1::smallint AS kind, available AS balance FROM balances
        UNION ALL SELECT owner, asset, 2::smallint, held FROM balances),
    sums AS (
        SELECT owner, asset, kind, sum(amount) AS total, max(account_seq) AS last
        FROM postings WHERE kind IN (1, 2) GROUP BY owner, asset, kind),
    joined AS (
        SELECT owner, asset, kind, a.balance, coalesce(s.total, 0) AS total, s.last
        FROM accounts a FULL JOIN sums s USING (owner, asset, kind)),
    compared AS (
        SELECT j.owner, j.asset, j.kind, j.balance, j.total, coalesce(p.balance_after, 0) AS last, t.created_at
        FROM joined j LEFT JOIN postings p
               ON p.owner = j.owner AND p.asset = j.asset AND p.kind = j.kind AND p.account_seq = j.last
             LEFT JOIN ledger_tx t ON t.tx_id = p.tx_id)
    SELECT owner, asset, kind, coalesce(trim_scale(balance)::text, 'no row') AS balance,
           trim_scale(total)::text AS total, trim_scale(last)::text AS last,
           trim_scale(greatest(abs(coalesce(balance, 0) - total), abs(last - total)))::text AS off, created_at
    FROM compared
    WHERE balance IS DISTINCT FROM total OR last <> total
    ORDER BY owner, asset, kind";

const NEGATIVE: &str = "
    SELECT format('%s of %s: available %s, held %s', asset, owner, trim_scale(available), trim_scale(held)) AS what,
           asset, trim_scale(least(available, 0) + least(held, 0))::text AS off
    FROM balances WHERE available < 0 OR held < 0
    UNION ALL
    SELECT format('hold %s: %s remain', hold_id, trim_scale(placed - captured - released)),
           CASE side WHEN 1 THEN quote_asset ELSE base_asset END, trim_scale(placed - captured - released)::text
    FROM holds WHERE placed - captured - released < 0
    ORDER BY 1";

const PROMISED: &str = "
    WITH promised AS (
        SELECT customer_id AS owner, CASE side WHEN 1 THEN quote_asset ELSE base_asset END AS asset,
               sum(placed - captured - released) AS remaining, max(created_at) AS since
        FROM holds WHERE status = 'ACTIVE' GROUP BY 1, 2)
    SELECT owner, asset, trim_scale(coalesce(b.held, 0))::text AS held,
           trim_scale(coalesce(p.remaining, 0))::text AS remaining,
           trim_scale(coalesce(b.held, 0) - coalesce(p.remaining, 0))::text AS off, p.since
    FROM balances b FULL JOIN promised p USING (owner, asset)
    WHERE coalesce(b.held, 0) <> coalesce(p.remaining, 0)
    ORDER BY owner, asset";

#[derive(sqlx::FromRow)]
struct Book {
    asset: String,
    total: String,
    outside: String,
    paid_in: String,
    off: String,
}

#[derive(sqlx::FromRow)]
struct Account {
    owner: String,
    asset: String,
    kind: i16,
    balance: String,
    total: String,
    last: String,
    off: String,
    created_at: Option<DateTime<Utc>>,
}

/// Every asset there is.
pub async fn assets(asset: &mut PgConnection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT asset FROM assets ORDER BY asset")
        .fetch_all(asset)
        .await
        .context("read the assets")
}

/// A1 to A5.
pub async fn check(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    movements(asset, findings).await.context("A1")?;
    books(asset, findings).await.context("A2")?;
    balances(asset, findings).await.context("A3")?;
    negative(asset, findings).await.context("A4")?;
    promised(asset, findings).await.context("A5")
}

async fn movements(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 = sqlx::query_scalar(COUNT_TXS).fetch_one(&mut *asset).await?;
    findings.examined(Claim::A1, count.unsigned_abs());
    type Row = (Uuid, String, String, Option<DateTime<Utc>>);
    let unbalanced: Vec<Row> = sqlx::query_as(UNBALANCED).fetch_all(&mut *asset).await?;
    for (tx, asset, off, since) in unbalanced {
        let what = format!("journal transaction {tx} sums to {off} {asset}");
        findings.differs(Claim::A1, Money::written(&asset, &off, since), what);
    }
    let widows: Vec<(Uuid, bool)> = sqlx::query_as(WIDOWS).fetch_all(asset).await?;
    for (tx, has_postings) in widows {
        let missing = if has_postings { "only postings" } else { "no postings" };
        findings.broken(Claim::A1, format!("journal transaction {tx} has {missing}"));
    }
    Ok(())
}

async fn books(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let books: Vec<Book> = sqlx::query_as(BOOKS).fetch_all(asset).await?;
    findings.examined(Claim::A2, books.len() as u64);
    for Book { asset, total, outside, paid_in, off } in books {
        if total != "0" {
            let what = format!("all accounts of {asset} sum to {total}");
            findings.differs(Claim::A2, Money::written(&asset, &total, None), what);
        }
        if off != "0" {
            let what =
                format!("the world has paid in {outside} {asset}, deposits − withdrawals are {paid_in}");
            findings.differs(Claim::A2, Money::written(&asset, &off, None), what);
        }
    }
    Ok(())
}

async fn balances(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 = sqlx::query_scalar(COUNT_ACCOUNTS).fetch_one(&mut *asset).await?;
    findings.examined(Claim::A3, count.unsigned_abs());
    let wrong: Vec<Account> = sqlx::query_as(BALANCES).fetch_all(asset).await?;
    for row in wrong {
        let part = if row.kind == 1 { "available" } else { "held" };
        let what = format!(
            "{part} {} of {}: the balance is {}, its postings sum to {}, the last one says {}",
            row.asset, row.owner, row.balance, row.total, row.last
        );
        findings.differs(Claim::A3, Money::written(&row.asset, &row.off, row.created_at), what);
    }
    Ok(())
}

async fn negative(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT (SELECT 2 * count(*) FROM balances) + (SELECT count(*) FROM holds)")
            .fetch_one(&mut *asset)
            .await?;
    findings.examined(Claim::A4, count.unsigned_abs());
    let negative: Vec<(String, String, String)> = sqlx::query_as(NEGATIVE).fetch_all(asset).await?;
    for (what, asset, off) in negative {
        findings.differs(Claim::A4, Money::written(&asset, &off, None), what);
    }
    Ok(())
}

async fn promised(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM balances").fetch_one(&mut *asset).await?;
    findings.examined(Claim::A5, count.unsigned_abs());
    type Row = (String, String, String, String, String, Option<DateTime<Utc>>);
    let wrong: Vec<Row> = sqlx::query_as(PROMISED).fetch_all(asset).await?;
    for (owner, asset, held, remaining, off, since) in wrong {
        let what = format!("{owner} has {held} {asset} held, his active holds have {remaining} left");
        findings.differs(Claim::A5, Money::written(&asset, &off, since), what);
    }
    Ok(())
}
