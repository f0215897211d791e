//! `audit verify`: proves from the raw tables that every lira and share is where the orders say (`A` rules).
//!
//! Reading order: [`findings`] (what is claimed), `cut` (what is looked at, and how three databases are seen as one),
//! then a file for each group of claims. The auditor trusts no service: it reads tables, not APIs, and computes fees,
//! obligations and sums again. What it borrows is order-svc's fold of events, which A11 is about, and the canonical
//! bytes of sealed rows, which are documented where they are made.
//! It changes nothing; every transaction is read-only.
//!
//! Large tables are aggregated in SQL, or walked by key in pages; none is ever held in memory.

mod anchor;
mod chain;
pub mod command;
mod cut;
mod fees;
pub mod findings;
mod heads;
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

use asset_svc::store::Journal;
use saga_orchestrator::store::OperatorTrail;
use service_kit::seal::Chain;
use service_kit::seal::rows::Head;

pub use self::anchor::{Anchor, AnchorSource};
use self::cut::Cut;
use self::findings::{Claim, Findings};
pub use self::heads::{ChainHead, heads};
pub use self::report::{Check, Difference, Report};

/// A saga older than this has to have ended (A12).
pub const SAGA_AGE_MAX: Duration = Duration::from_secs(60);

/// Every chain that is walked (A10).
const CHAINS: [&str; 2] = [Journal::TABLE.chain, OperatorTrail::TABLE.chain];

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

/// What else the books have to satisfy.
#[derive(Clone, Debug)]
pub struct Demands {
    /// How old a saga may become (A12).
    pub saga_age_max: Duration,
    /// Heads that were written down earlier (A10).
    pub anchors: Vec<Anchor>,
}

impl Default for Demands {
    fn default() -> Self {
        Self { saga_age_max: SAGA_AGE_MAX, anchors: Vec::new() }
    }
}

/// Checks everything, with [`SAGA_AGE_MAX`] and no anchors. A broken book is a report that is not clean, not an error.
///
/// # Errors
/// A database cannot be reached or read.
pub async fn verify(urls: &Urls) -> Result<Report> {
    verify_against(urls, &Demands::default()).await
}

/// The same, with demands of the caller's own.
///
/// # Errors
/// A database cannot be reached or read.
pub async fn verify_against(urls: &Urls, demands: &Demands) -> Result<Report> {
    let started = Instant::now();
    let mut cut = Cut::take(urls).await?;
    let (mut findings, heads) = alone(&mut cut, demands).await?;
    let unapplied = settlement::compare(&mut cut, &mut findings).await?;
    holds::compare(&mut cut, &unapplied, &mut findings).await?;
    sagas::compare(&mut cut, &mut findings).await?;
    unknown_chains(&demands.anchors, &mut findings);
    let assets = ledger::assets(&mut cut.asset).await?;
    let at = cut.at;
    cut.close().await;
    let heads = heads.into_iter().map(ChainHead::from).collect();
    Ok(Report::new(&findings, &assets, at, started.elapsed()).with_heads(heads))
}

/// An anchor that nobody compared proves nothing, and must not look as if it did.
fn unknown_chains(anchors: &[Anchor], findings: &mut Findings) {
    for anchor in anchors.iter().filter(|anchor| !CHAINS.contains(&anchor.chain.as_str())) {
        findings.broken(Claim::A10, format!("there is no chain as in the anchor {anchor}"));
    }
}

/// What each database shows by itself; all three at the same time.
async fn alone(cut: &mut Cut, demands: &Demands) -> Result<(Findings, Vec<Head>)> {
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
        let ledger = chain::check::<Journal>(&mut cut.asset, &demands.anchors, &mut findings).await?;
        anyhow::Ok((findings, ledger))
    };
    let sagas = async {
        let mut findings = Findings::default();
        sagas::ages(&mut cut.sagas_after, demands.saga_age_max, &mut findings).await?;
        let actions =
            chain::check::<OperatorTrail>(&mut cut.sagas_after, &demands.anchors, &mut findings).await?;
        anyhow::Ok((findings, actions))
    };
    let (mut findings, (of_assets, ledger), (of_sagas, actions)) = tokio::try_join!(orders, assets, sagas)?;
    findings.absorb(of_assets);
    findings.absorb(of_sagas);
    Ok((findings, ledger.into_iter().chain(actions).collect()))
}
