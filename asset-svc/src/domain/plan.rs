//! What a command would change, decided before anything does. A world takes a plan as a whole or not at all.

use brokerage_types::{AssetCode, CustomerId};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::asset::Asset;
use super::customer::Customer;
use super::event::Event;
use super::hold::Hold;
use super::ledger::{Account, JournalTx};

/// Which command is decided, and when.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The saga, or the derived id of a one-service command.
    pub saga_id: Uuid,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// Everything that one command changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The movement of money and shares.
    pub tx: Option<JournalTx>,
    /// Holds as they shall be.
    pub holds: Vec<Hold>,
    /// A customer as he shall be.
    pub customer: Option<Customer>,
    /// A new asset.
    pub asset: Option<Asset>,
    /// A balance that shall have a row, though nothing moves.
    pub opened: Option<(CustomerId, AssetCode)>,
    /// What to tell of it.
    pub events: Vec<Event>,
}

impl Plan {
    /// Nothing to do, and that is success.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The customers whose accounts the movement touches.
    pub fn touched(&self) -> impl Iterator<Item = (&CustomerId, &AssetCode)> {
        self.tx.iter().flat_map(JournalTx::postings).filter_map(|posting| match &posting.account {
            Account::Customer(customer, _) => Some((customer, &posting.asset)),
            Account::House(_) | Account::External => None,
        })
    }
}
