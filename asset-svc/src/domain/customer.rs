//! A customer: what he pays and whether he may trade. Owned here until identity is built.

use brokerage_types::CustomerId;
use serde::Serialize;

/// What a customer pays. The rate of each tier is data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Tier {
    /// Everybody to begin with.
    Standard,
    /// Pays less.
    Premium,
    /// Pays least.
    Vip,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Premium, Self::Vip];

    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Premium => "PREMIUM",
            Self::Vip => "VIP",
        }
    }

    /// The tier of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }
}

/// Whether a customer may trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// May trade.
    Active,
    /// No new hold, no settlement, no withdrawal. Cancels release as ever, and money may come in.
    Frozen,
}

impl State {
    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Frozen => "FROZEN",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Frozen].into_iter().find(|state| state.as_str() == name)
    }
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// Who.
    pub customer_id: CustomerId,
    /// His name.
    pub name: String,
    /// Sets the commission of orders placed from now on.
    pub tier: Tier,
    /// Active or frozen.
    pub state: State,
    /// Counts changes from 1.
    pub version: i64,
}

/// Ids that own the accounts that belong to no customer, so no customer may have them.
pub const RESERVED_IDS: [&str; 2] = [super::ledger::HOUSE_OWNER, super::ledger::EXTERNAL_OWNER];
