//! What is claimed, and what was found against it.

use std::collections::BTreeMap;

use brokerage_types::Amount;
use chrono::{DateTime, Utc};

/// A claim that the auditor proves or refutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Each movement balances.
    A1,
    /// Each asset's book balances.
    A2,
    /// Balances are what the journal says.
    A3,
    /// No customer's account is negative.
    A4,
    /// Held money is promised to holds.
    A5,
    /// Holds hold what their orders oblige.
    A6,
    /// Holds and live orders belong together.
    A7,
    /// Fills and settlements are the same trades.
    A8,
    /// Fees charged are fees posted.
    A9,
    /// Nothing was taken out of the journal, put into it or changed afterwards.
    A10,
    /// Rows are what their history says.
    A11,
    /// Sagas end.
    A12,
    /// Sagas happened wholly or not at all.
    P5,
}

impl Claim {
    /// Every claim.
    pub const ALL: [Claim; 13] = [
        Claim::A1,
        Claim::A2,
        Claim::A3,
        Claim::A4,
        Claim::A5,
        Claim::A6,
        Claim::A7,
        Claim::A8,
        Claim::A9,
        Claim::A10,
        Claim::A11,
        Claim::A12,
        Claim::P5,
    ];

    /// Its number: an audit rule (`A`) or a promise of the protocol (`P`).
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Claim::A1 => "A1",
            Claim::A2 => "A2",
            Claim::A3 => "A3",
            Claim::A4 => "A4",
            Claim::A5 => "A5",
            Claim::A6 => "A6",
            Claim::A7 => "A7",
            Claim::A8 => "A8",
            Claim::A9 => "A9",
            Claim::A10 => "A10",
            Claim::A11 => "A11",
            Claim::A12 => "A12",
            Claim::P5 => "P5",
        }
    }

    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Claim::A1 => "every journal transaction sums to 0 per asset",
            Claim::A2 => {
                "all accounts of an asset sum to 0, and the world has paid in deposits − withdrawals"
            }
            Claim::A3 => "every balance is the sum of its postings and the last balance of its statement",
            Claim::A4 => "no customer's available or held amount, and no hold, is negative",
            Claim::A5 => "what a customer has held is what remains of his active holds",
            Claim::A6 => "the hold of every live order has left exactly what the order may still cost",
            Claim::A7 => {
                "no ended order holds anything, nothing is held without a live order, nothing waits for no saga"
            }
            Claim::A8 => "every fill was settled exactly once, and fills add up on orders and holds",
            Claim::A9 => "commission charged on holds is what the rates say and what was posted",
            Claim::A10 => {
                "accounts number their postings without gaps, and hash chains are whole and as anchored"
            }
            Claim::A11 => {
                "orders are the fold of their events, balances the fold of their postings, without gaps"
            }
            Claim::A12 => "no saga is parked or older than its deadline",
            Claim::P5 => "a completed saga has all of its effects, a rolled back one none",
        }
    }
}

/// Money that is not where it should be.
#[derive(Clone, Debug)]
pub struct Money {
    /// Of which asset.
    pub asset: String,
    /// How much; the sign does not matter.
    pub amount: Amount,
    /// The time of what is wrong, where it has one.
    pub since: Option<DateTime<Utc>>,
}

/// One contradiction.
#[derive(Clone, Debug)]
pub struct Break {
    /// To which claim.
    pub claim: Claim,
    /// What, and where.
    pub what: String,
    /// How much it is about, if it is about money.
    pub money: Option<Money>,
}

/// What was looked at, and what was wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    examined: BTreeMap<Claim, u64>,
    breaks: Vec<Break>,
}

impl Findings {
    /// So many more things were looked at.
    pub fn examined(&mut self, claim: Claim, count: u64) {
        *self.examined.entry(claim).or_default() += count;
    }

    /// Something is wrong.
    pub fn broken(&mut self, claim: Claim, what: impl Into<String>) {
        self.breaks.push(Break { claim, what: what.into(), money: None });
    }

    /// Money is not where it should be.
    pub fn differs(&mut self, claim: Claim, money: Money, what: impl Into<String>) {
        self.breaks.push(Break { claim, what: what.into(), money: Some(money) });
    }

    /// Takes over what another look found.
    pub fn absorb(&mut self, other: Findings) {
        for (claim, count) in other.examined {
            self.examined(claim, count);
        }
        self.breaks.extend(other.breaks);
    }

    /// How many things were looked at for a claim.
    #[must_use]
    pub fn count(&self, claim: Claim) -> u64 {
        self.examined.get(&claim).copied().unwrap_or_default()
    }

    /// What was wrong.
    #[must_use]
    pub fn breaks(&self) -> &[Break] {
        &self.breaks
    }
}

impl Money {
    /// A difference as SQL wrote it. One that is too large for an amount counts as the largest one.
    #[must_use]
    pub fn written(asset: &str, amount: &str, since: Option<DateTime<Utc>>) -> Self {
        Self { asset: asset.to_owned(), amount: Amount::parse(amount).unwrap_or(LARGEST), since }
    }
}

/// Stands for everything beyond it as well.
const LARGEST: Amount = match Amount::from_units(10_i128.pow(26) - 1) {
    Ok(amount) => amount,
    Err(_) => Amount::ZERO,
};
