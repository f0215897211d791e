//! `audit verify`: proves from the raw tables that every lira and share is where the orders say (`A` rules).
//!
//! Reading order: [`findings`] (what is claimed), `cut` (what is looked at, and how three databases are seen as one),
//! then a file for each group of claims. The auditor trusts no service: it reads tables, not APIs, and computes fees,
//! obligations and sums again. The one thing it borrows is order-svc's fold of events, which A11 is about.
//! It changes nothing; every transaction is read-only.
//!
//! Large tables are aggregated in SQL, or walked by key in pages; none is ever held in memory.

pub mod command;
mod cut;
mod fees;
pub mod findings;
mod history;
mod holds;
mod ledger;
mod obligation;
mod report;
mod sagas;
mod settlement;
mod trades;

use std::time::{Duration, Instant};

use anyhow::Result;

use self::cut::Cut;
use self::findings::Findings;
pub use self::report::{Check, Difference, Report};

/// A saga older than this has to have ended (A12).
pub const SAGA_AGE_MAX: Duration = Duration::from_secs(60);

/// How many rows are compared at a time.
const PAGE: i64 = 2_000;

/// Where the databases of the three services are.
#[derive(Clone, Debug)]
pub struct Urls {
    /// order-svc's.
    pub order: String,
    /// asset-svc's.
    pub asset: String,
    /// saga-orchestrator's.
    pub orchestrator: String,
}

/// Checks everything, with [`SAGA_AGE_MAX`]. A broken book is a report that is not clean, not an error.
///
/// # Errors
/// A database cannot be reached or read.
pub async fn verify(urls: &Urls) -> Result<Report> {
    verify_within(urls, SAGA_AGE_MAX).await
}

/// The same; sagas may be as old as `saga_age_max`.
///
/// # Errors
/// A database cannot be reached or read.
pub async fn verify_within(urls: &Urls, saga_age_max: Duration) -> Result<Report> {
    let started = Instant::now();
    let mut cut = Cut::take(urls).await?;
    let mut findings = alone(&mut cut, saga_age_max).await?;
    let unapplied = settlement::compare(&mut cut, &mut findings).await?;
    holds::compare(&mut cut, &unapplied, &mut findings).await?;
    sagas::compare(&mut cut, &mut findings).await?;
    let assets = ledger::assets(&mut cut.asset).await?;
    let at = cut.at;
    cut.close().await;
    Ok(Report::new(&findings, &assets, at, started.elapsed()))
}

/// What each database shows by itself; all three at the same time.
async fn alone(cut: &mut Cut, saga_age_max: Duration) -> Result<Findings> {
    let orders = async {
        let mut findings = Findings::default();
        trades::orders(&mut cut.order, &mut findings).await?;
        history::orders(&mut cut.order, &mut findings).await?;
        history::counters(&mut cut.order, &mut findings).await?;
        history::events(&mut cut.order, &mut findings).await?;
        anyhow::Ok(findings)
    };
    let assets = async {
        let mut findings = Findings::default();
        ledger::check(&mut cut.asset, &mut findings).await?;
        trades::holds(&mut cut.asset, &mut findings).await?;
        fees::check(&mut cut.asset, &mut findings).await?;
        history::postings(&mut cut.asset, &mut findings).await?;
        history::events(&mut cut.asset, &mut findings).await?;
        anyhow::Ok(findings)
    };
    let ages = async {
        let mut findings = Findings::default();
        sagas::ages(&mut cut.sagas_after, saga_age_max, &mut findings).await?;
        anyhow::Ok(findings)
    };
    let (mut findings, of_assets, of_ages) = tokio::try_join!(orders, assets, ages)?;
    findings.absorb(of_assets);
    findings.absorb(of_ages);
    Ok(findings)
}
