//! The journal: every movement is a transaction whose postings sum to zero, per asset, or it cannot be built.
//!
//! Accounts are `(owner, asset, kind)`. A customer has two, available and held, which are guarded: never negative,
//! with a running balance. The house's accounts and the world outside are append-only sums, so that trades of
//! different customers do not wait for each other; their balances may be of either sign.

use std::collections::BTreeMap;

use brokerage_types::{Actor, Amount, AssetCode, CustomerId, TradeId, TxId};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Owner of the house's accounts.
pub const HOUSE_OWNER: &str = "house";
/// Owner of the account that stands for the world outside.
pub const EXTERNAL_OWNER: &str = "external";

/// Which of a customer's two accounts in an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Free to use.
    Available,
    /// Held for orders.
    Held,
}

/// The house's accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum House {
    /// Commission.
    Fees,
    /// What the house itself deals with.
    Inventory,
    /// What waits to be explained.
    Suspense,
    /// Residue of rounding, if a path ever makes one.
    Rounding,
}

/// One account of an asset's book.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// A customer's; guarded.
    Customer(CustomerId, Part),
    /// The house's; append-only.
    House(House),
    /// The world outside: deposits come from it and withdrawals go to it; append-only.
    External,
}

impl Account {
    /// The customer's available account.
    #[must_use]
    pub fn available(customer: &CustomerId) -> Self {
        Self::Customer(customer.clone(), Part::Available)
    }

    /// The customer's held account.
    #[must_use]
    pub fn held(customer: &CustomerId) -> Self {
        Self::Customer(customer.clone(), Part::Held)
    }

    /// Who owns it, as the journal writes it.
    #[must_use]
    pub fn owner(&self) -> &str {
        match self {
            Self::Customer(customer, _) => customer.as_str(),
            Self::House(_) => HOUSE_OWNER,
            Self::External => EXTERNAL_OWNER,
        }
    }

    /// Its kind, as the journal numbers it.
    #[must_use]
    pub const fn code(&self) -> i16 {
        match self {
            Self::Customer(_, Part::Available) => 1,
            Self::Customer(_, Part::Held) => 2,
            Self::House(House::Fees) => 3,
            Self::House(House::Inventory) => 4,
            Self::House(House::Suspense) => 5,
            Self::House(House::Rounding) => 6,
            Self::External => 7,
        }
    }
}

/// What a movement was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// available → held, for a new order.
    Hold,
    /// held → available, what an order leaves.
    Release,
    /// One trade.
    Settle,
    /// outside → available.
    Deposit,
    /// available → outside.
    Withdraw,
    /// An administrator's entry between a customer and the house.
    Transfer,
}

impl Kind {
    /// Its name in the journal and in statements.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "HOLD",
            Self::Release => "RELEASE",
            Self::Settle => "SETTLE",
            Self::Deposit => "DEPOSIT",
            Self::Withdraw => "WITHDRAW",
            Self::Transfer => "TRANSFER",
        }
    }
}

/// Why a movement happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A saga's step.
    Saga(Uuid),
    /// A trade.
    Trade(TradeId),
    /// A person's command.
    Actor(Actor),
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Saga(saga) => write!(f, "saga:{saga}"),
            Self::Trade(trade) => write!(f, "trade:{trade}"),
            Self::Actor(actor) => write!(f, "actor:{actor}"),
        }
    }
}

/// The reference of a payment outside, unique in its channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ExternalRef {
    /// Where the payment came by, such as `bank`.
    pub channel: String,
    /// What it is called there.
    pub reference: String,
}

/// Everything about a movement except its postings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The transaction's id, derived from the command's: the same command has the same one.
    pub tx_id: TxId,
    /// What it is.
    pub kind: Kind,
    /// Why.
    pub cause: Cause,
    /// A person's words, if there are any.
    pub reason: Option<String>,
    /// The payment outside, if there is one.
    pub external: Option<ExternalRef>,
    /// When, by the database's clock.
    pub created_at: DateTime<Utc>,
}

/// One line: so much into (or, below zero, out of) one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// Of which asset.
    pub asset: AssetCode,
    /// Signed; never 0.
    pub amount: Amount,
}

/// The postings do not sum to zero, or one of them moves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the postings do not sum to zero")]
pub struct Unbalanced;

/// A movement whose postings sum to zero per asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalTx {
    head: Head,
    postings: Vec<Posting>,
}

impl JournalTx {
    /// A movement of these lines.
    ///
    /// # Errors
    /// When the lines do not sum to zero for every asset, are none, or hold a zero.
    pub fn new(head: Head, postings: Vec<Posting>) -> Result<Self, Unbalanced> {
        let mut sums: BTreeMap<&AssetCode, i128> = BTreeMap::new();
        for posting in &postings {
            if posting.amount.is_zero() {
                return Err(Unbalanced);
            }
            let sum = sums.entry(&posting.asset).or_default();
            *sum = sum.checked_add(posting.amount.units()).ok_or(Unbalanced)?;
        }
        if postings.is_empty() || sums.values().any(|sum| *sum != 0) {
            return Err(Unbalanced);
        }
        Ok(Self { head, postings })
    }

    /// Everything but the lines.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The lines, in the order in which they take effect.
    #[must_use]
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

/// Collects lines in pairs, so that what one account loses another gains.
#[derive(Debug, Default)]
pub struct Lines(Vec<Posting>);

impl Lines {
    /// Moves an amount; zero moves nothing and leaves no line.
    #[must_use]
    pub fn transfer(mut self, from: Account, to: Account, asset: &AssetCode, amount: Amount) -> Self {
        if !amount.is_zero() {
            self.0.push(Posting { account: from, asset: asset.clone(), amount: amount.neg() });
            self.0.push(Posting { account: to, asset: asset.clone(), amount });
        }
        self
    }

    /// The movement of these lines.
    ///
    /// # Errors
    /// When nothing moves.
    pub fn into_tx(self, head: Head) -> Result<JournalTx, Unbalanced> {
        JournalTx::new(head, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            tx_id: TxId::from(Uuid::from_u128(1)),
            kind: Kind::Transfer,
            cause: Cause::Saga(Uuid::from_u128(2)),
            reason: None,
            external: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn line(account: Account, asset: &str, amount: &str) -> Posting {
        Posting { account, asset: AssetCode::parse(asset).unwrap(), amount: Amount::parse(amount).unwrap() }
    }

    #[test]
    fn a_movement_is_built_only_if_every_asset_sums_to_zero() {
        let (inside, outside) = (Account::House(House::Inventory), Account::External);
        let pair = |asset: &str, gives: &str, takes: &str| {
            vec![line(outside.clone(), asset, gives), line(inside.clone(), asset, takes)]
        };
        let check = |postings: Vec<Posting>, balanced: bool| {
            assert_eq!(JournalTx::new(head(), postings.clone()).is_ok(), balanced, "{postings:?}");
        };
        check(pair("TRY", "-1", "1"), true);
        check([pair("TRY", "-1", "1"), pair("XYZ", "7", "-7")].concat(), true);
        check(pair("TRY", "-1", "1.00000001"), false);
        check(vec![line(outside.clone(), "TRY", "-1"), line(inside.clone(), "USD", "1")], false);
        check(vec![line(outside.clone(), "TRY", "0")], false);
        check(Vec::new(), false);
        let most = "999999999999999999.99999999";
        check(pair("TRY", most, &format!("-{most}")), true);
    }

    #[test]
    fn transfers_come_in_pairs_and_zero_leaves_no_line() {
        let asset = AssetCode::parse("TRY").unwrap();
        let lines = || {
            Lines::default().transfer(Account::External, Account::House(House::Fees), &asset, Amount::ZERO)
        };
        assert_eq!(lines().into_tx(head()), Err(Unbalanced));
        let one = Amount::parse("1").unwrap();
        let tx = lines()
            .transfer(Account::External, Account::House(House::Fees), &asset, one)
            .into_tx(head())
            .unwrap();
        assert_eq!(tx.postings().len(), 2);
    }
}
