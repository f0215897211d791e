//! The result of an audit, and how it is shown.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use brokerage_types::Amount;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::findings::{Break, Claim, Findings, Money};
use super::heads::{self, ChainHead};
use crate::output::table;

/// How many contradictions of one claim are told one by one.
const TOLD_MAX: usize = 50;

/// Ages, youngest first, with the seconds at which each ends. The last one is for what has no time.
const AGES: [(&str, i64); 5] = [
    ("under 1 min", 60),
    ("1 min to 1 h", 3_600),
    ("1 h to 1 day", 86_400),
    ("over 1 day", i64::MAX),
    ("undated", i64::MAX),
];
const UNDATED: usize = AGES.len() - 1;

/// One claim and how it fared.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `A1` and so on.
    pub id: &'static str,
    /// What is claimed.
    pub claim: &'static str,
    /// How many things were looked at.
    pub examined: u64,
    /// What contradicts it, each with the place; the last one may say how many more there are.
    pub breaks: Vec<String>,
}

/// So much of an asset is not where it should be, and no saga explains it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The asset.
    pub asset: String,
    /// How old what is wrong is.
    pub age: &'static str,
    /// The sum of all differences, each without its sign.
    pub amount: String,
}

/// What an audit found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every claim.
    pub checks: Vec<Check>,
    /// For every asset and age. All are 0 in a clean book.
    pub unexplained: Vec<Difference>,
    /// The ends of the chains, to be kept elsewhere (A10).
    pub heads: Vec<ChainHead>,
    /// The instant the books were looked at, by asset-svc's database.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    pub(super) fn new(findings: &Findings, assets: &[String], at: DateTime<Utc>, elapsed: Duration) -> Self {
        let checks = Claim::ALL
            .into_iter()
            .map(|claim| Check {
                id: claim.id(),
                claim: claim.text(),
                examined: findings.count(claim),
                breaks: told(findings.breaks().iter().filter(|found| found.claim == claim)),
            })
            .collect();
        Self { checks, unexplained: differences(findings, assets, at), heads: Vec::new(), at, elapsed }
    }

    pub(super) fn with_heads(self, heads: Vec<ChainHead>) -> Self {
        Self { heads, ..self }
    }

    /// Whether every claim holds and nothing is unexplained.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.breaks.is_empty())
            && self.unexplained.iter().all(|difference| difference.amount == "0")
    }

    /// The first contradiction: the claim's number, and what and where.
    #[must_use]
    pub fn first_break(&self) -> Option<(&'static str, &str)> {
        self.checks.iter().find_map(|check| check.breaks.first().map(|what| (check.id, what.as_str())))
    }

    /// For people.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut checks = table(&["check", "claim", "examined", "breaks"]);
        for check in &self.checks {
            let breaks =
                if check.breaks.is_empty() { "–".to_owned() } else { check.breaks.len().to_string() };
            checks.add_row([check.id.to_owned(), check.claim.to_owned(), check.examined.to_string(), breaks]);
        }
        let mut out = format!("{checks}\n\nUnexplained difference per asset, by age (must be 0)\n");
        let mut columns = vec!["asset"];
        columns.extend(AGES.map(|(age, _)| age));
        let mut sums = table(&columns);
        for row in self.unexplained.chunks(AGES.len()) {
            let asset = row.first().map(|difference| difference.asset.clone());
            sums.add_row(asset.into_iter().chain(row.iter().map(|difference| difference.amount.clone())));
        }
        let seconds = self.elapsed.as_secs_f64();
        let verdict = if self.is_clean() { "clean" } else { "BROKEN" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{sums}");
        let _ = writeln!(out, "\nSealed up to\n{}", heads::to_table(&self.heads));
        for check in &self.checks {
            for what in &check.breaks {
                let _ = write!(out, "\n{}: {what}", check.id);
            }
        }
        let _ = write!(out, "\n{verdict}: the books of {}, in {seconds:.1} s", self.at.format("%F %T%.3fZ"));
        out
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "clean": self.is_clean(),
            "at": self.at,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "checks": self.checks,
            "unexplained": self.unexplained,
            "heads": self.heads,
        })
    }
}

fn told<'a>(breaks: impl Iterator<Item = &'a Break>) -> Vec<String> {
    let mut breaks = breaks.map(|found| found.what.clone());
    let mut told: Vec<String> = breaks.by_ref().take(TOLD_MAX).collect();
    match breaks.count() {
        0 => {}
        more => told.push(format!("… and {more} more")),
    }
    told
}

/// Every asset by every age, so that a report always says 0 in so many words.
fn differences(findings: &Findings, assets: &[String], at: DateTime<Utc>) -> Vec<Difference> {
    let mut sums: BTreeMap<&str, [i128; AGES.len()]> =
        assets.iter().map(|asset| (asset.as_str(), [0; AGES.len()])).collect();
    for money in findings.breaks().iter().filter_map(|found| found.money.as_ref()) {
        let sum = sums.entry(money.asset.as_str()).or_default();
        sum[age(money, at)] += money.amount.abs().units();
    }
    let row = |(asset, sums): (&str, [i128; AGES.len()])| {
        let asset = asset.to_owned();
        AGES.into_iter().zip(sums).map(move |((age, _), sum)| Difference {
            asset: asset.clone(),
            age,
            amount: written(sum),
        })
    };
    sums.into_iter().flat_map(row).collect()
}

fn age(money: &Money, at: DateTime<Utc>) -> usize {
    let Some(since) = money.since else { return UNDATED };
    let seconds = (at - since).num_seconds();
    AGES.iter().position(|(_, end)| seconds < *end).unwrap_or(UNDATED)
}

fn written(units: i128) -> String {
    Amount::from_units(units).map_or_else(|_| "more than any amount".to_owned(), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: &str, seconds: i64) -> Money {
        let since = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1_000_000 - seconds);
        Money { asset: "TRY".to_owned(), amount: Amount::parse(amount).unwrap(), since: Some(since) }
    }

    #[test]
    fn differences_add_up_without_their_sign_by_asset_and_age() {
        let mut findings = Findings::default();
        findings.differs(Claim::A3, money("-5", 3), "young");
        findings.differs(Claim::A5, money("2.5", 59), "young too");
        findings.differs(Claim::A6, money("1", 60), "older");
        findings.differs(Claim::A6, Money { since: None, ..money("7", 0) }, "who knows");
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1_000_000);
        let report = Report::new(&findings, &["AAPL".to_owned()], at, Duration::ZERO);
        let amounts: Vec<&str> = report.unexplained.iter().map(|d| d.amount.as_str()).collect();
        assert_eq!(amounts, ["0", "0", "0", "0", "0", "7.5", "1", "0", "0", "7"]);
        assert_eq!(report.first_break(), Some(("A3", "young")));
        assert!(!report.is_clean());
        assert!(report.to_table().contains("A6: older"));
    }

    #[test]
    fn a_flood_of_contradictions_is_counted_and_not_told() {
        let mut findings = Findings::default();
        for _ in 0..TOLD_MAX + 3 {
            findings.broken(Claim::A1, "again");
        }
        let report = Report::new(&findings, &[], DateTime::UNIX_EPOCH, Duration::ZERO);
        assert_eq!(report.checks[0].breaks.len(), TOLD_MAX + 1);
        assert_eq!(report.checks[0].breaks[TOLD_MAX], "… and 3 more");
    }

    #[test]
    fn nothing_found_is_clean() {
        let report =
            Report::new(&Findings::default(), &["TRY".to_owned()], DateTime::UNIX_EPOCH, Duration::ZERO);
        assert!(report.is_clean());
        assert_eq!(report.to_json()["clean"], true);
    }
}
