//! A9: commission is what the rates say, and what the holds say was charged is what the house got.

use anyhow::{Context, Result};
use brokerage_types::{Amount, FeeRate, Side};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::PAGE;
use super::findings::{Claim, Findings, Money};
use super::obligation::Commission;

/// 3 is the house's fee account. Transfers may touch it too, and are no commission.
const POSTED: &str = "
    WITH charged AS (SELECT quote_asset AS asset, sum(cum_fee) AS fees FROM holds GROUP BY quote_asset),
    posted AS (
        SELECT p.asset, sum(p.amount) AS fees FROM postings p JOIN ledger_tx t USING (tx_id)
        WHERE p.kind = 3 AND t.kind = 'SETTLE' GROUP BY p.asset)
    SELECT asset, trim_scale(coalesce(c.fees, 0))::text, trim_scale(coalesce(p.fees, 0))::text,
           trim_scale(coalesce(c.fees, 0) - coalesce(p.fees, 0))::text
    FROM charged c FULL JOIN posted p USING (asset)
    WHERE coalesce(c.fees, 0) <> coalesce(p.fees, 0)
    ORDER BY asset";

const CHARGED: &str = "
    SELECT hold_id, side, quote_asset, cum_notional, cum_fee, fee_ppm, fee_scale, created_at
    FROM holds WHERE hold_id > $1 AND (fee_ppm > 0 OR cum_fee <> 0) ORDER BY hold_id LIMIT $2";

#[derive(sqlx::FromRow)]
struct Charged {
    hold_id: Uuid,
    side: i16,
    quote_asset: String,
    cum_notional: Decimal,
    cum_fee: Decimal,
    fee_ppm: i32,
    fee_scale: i16,
    created_at: DateTime<Utc>,
}

/// The rates, and the sums per asset.
pub async fn check(asset: &mut PgConnection, findings: &mut Findings) -> Result<()> {
    let sums: Vec<(String, String, String, String)> =
        sqlx::query_as(POSTED).fetch_all(&mut *asset).await.context("A9")?;
    for (asset, charged, posted, off) in sums {
        let what = format!("holds were charged {charged} {asset}, the house got {posted}");
        findings.differs(Claim::A9, Money::written(&asset, &off, None), what);
    }
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Charged> =
            sqlx::query_as(CHARGED).bind(after).bind(PAGE).fetch_all(&mut *asset).await.context("A9")?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.hold_id;
        for hold in &page {
            if let Some((off, what)) = hold.wrong().with_context(|| format!("A9: hold {}", hold.hold_id))? {
                let money =
                    Money { asset: hold.quote_asset.clone(), amount: off, since: Some(hold.created_at) };
                findings.differs(Claim::A9, money, what);
            }
        }
    }
}

impl Charged {
    /// How much is wrong with the fee, and in words.
    fn wrong(&self) -> Result<Option<(Amount, String)>> {
        let commission = commission(self.fee_ppm, self.fee_scale)?;
        let due = commission.due(Amount::from_decimal(self.cum_notional)?)?;
        let charged = Amount::from_decimal(self.cum_fee)?;
        // A seller's fee is at most the proceeds of each fill, so it may stay behind the rate, never ahead of it.
        let right = match Side::from_code(self.side).context("the side")? {
            Side::Buy => charged == due,
            Side::Sell => charged <= due,
        };
        if right {
            return Ok(None);
        }
        let what =
            format!("hold {} was charged {charged} {}, the rate says {due}", self.hold_id, self.quote_asset);
        Ok(Some((charged.checked_sub(due)?, what)))
    }
}

/// From the columns of a hold.
pub fn commission(ppm: i32, scale: i16) -> Result<Commission> {
    let rate = FeeRate::from_ppm(u32::try_from(ppm)?)?;
    Ok(Commission { rate, scale: u32::try_from(scale)? })
}
