//! The rows that a batch may touch, in memory, each exactly once and looked up by its key.
//!
//! Two legs of a trade, or two trades of a batch, that touch one row therefore net through it; nobody holds a copy.
//! What was loaded as absent is absent; the store says so by leaving it out.

use std::collections::{BTreeMap, BTreeSet};

use brokerage_types::{Amount, AssetCode, CustomerId, FeeRate, HoldId, TxId};
use service_kit::defect;

use super::asset::Asset;
use super::balance::{Balance, Refused};
use super::customer::{Customer, Tier};
use super::event::Event;
use super::hold::Hold;
use super::ledger::{Account, ExternalRef, JournalTx, Part, Posting};
use super::plan::Plan;
use super::rejection::Rejection;

/// A row with the version it had in the database; 0 if it had none.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept<T> {
    /// The row now.
    pub row: T,
    /// Its version when it was loaded.
    pub loaded: i64,
}

/// A posting with what the journal adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line.
    pub posting: Posting,
    /// For a guarded account: its counters and its balance after the line.
    pub running: Option<Running>,
}

/// What a guarded account's line leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Counts the account's postings.
    pub account_seq: i64,
    /// Counts the postings of both accounts of (owner, asset): the order of a statement.
    pub statement_seq: i64,
    /// The account's balance after the line.
    pub balance_after: Amount,
}

/// A movement as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The movement.
    pub tx: JournalTx,
    /// Its lines, in order.
    pub entries: Vec<Entry>,
}

/// Key of a balance.
pub type BalanceKey = (CustomerId, AssetCode);

/// Every row that a batch may touch, and what has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    /// Assets, by code.
    pub assets: BTreeMap<AssetCode, Asset>,
    /// Assets made by this batch.
    pub new_assets: Vec<Asset>,
    /// Commission rates, by tier.
    pub rates: BTreeMap<Tier, FeeRate>,
    /// Customers, by id.
    pub customers: BTreeMap<CustomerId, Kept<Customer>>,
    /// Balances, by owner and asset.
    pub balances: BTreeMap<BalanceKey, Kept<Balance>>,
    /// Balances as they were read without a lock: they are written only if they are still that.
    pub seen: BTreeMap<BalanceKey, Balance>,
    /// Holds, by id.
    pub holds: BTreeMap<HoldId, Kept<Hold>>,
    /// Journal transactions that exist, of those that a command would make.
    pub known_txs: BTreeSet<TxId>,
    /// External references that exist, of those that a command brings.
    pub known_refs: BTreeSet<ExternalRef>,
    /// Movements of this batch.
    pub journal: Vec<Recorded>,
    /// Events of this batch.
    pub events: Vec<Event>,
}

impl World {
    /// The customer.
    ///
    /// # Errors
    /// When there is none.
    pub fn customer(&self, id: &CustomerId) -> Result<&Customer, Rejection> {
        let kept = self.customers.get(id).ok_or_else(|| Rejection::CustomerNotFound(id.clone()))?;
        Ok(&kept.row)
    }

    /// The asset.
    ///
    /// # Errors
    /// When there is none.
    pub fn asset(&self, code: &AssetCode) -> Result<&Asset, Rejection> {
        self.assets.get(code).ok_or_else(|| Rejection::AssetNotFound(code.clone()))
    }

    /// The hold, if there is one.
    #[must_use]
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id).map(|kept| &kept.row)
    }

    /// What a customer has of an asset; nothing, if there is no row.
    #[must_use]
    pub fn balance(&self, owner: &CustomerId, asset: &AssetCode) -> Balance {
        self.balances.get(&(owner.clone(), asset.clone())).map(|kept| kept.row).unwrap_or_default()
    }

    /// Adds a balance that was read without a lock.
    pub fn saw(&mut self, key: BalanceKey, balance: Balance) {
        self.seen.insert(key.clone(), balance);
        self.balances.insert(key, Kept { loaded: balance.version, row: balance });
    }

    /// Takes a plan as a whole. With a customer all his balances change, if only in their version: who decides on the
    /// customer without a lock finds out by them.
    ///
    /// # Errors
    /// When a guarded account is short or out of range; the world is as it was then.
    pub fn take(&mut self, plan: Plan) -> Result<(), Rejection> {
        let (balances, recorded) = self.stage(&plan)?;
        for (key, row) in balances {
            self.balances.entry(key).or_insert_with(|| Kept { row: Balance::default(), loaded: 0 }).row = row;
        }
        for hold in plan.holds {
            let loaded = self.holds.get(&hold.id).map_or(0, |kept| kept.loaded);
            self.holds.insert(hold.id, Kept { row: hold, loaded });
        }
        if let Some(customer) = plan.customer {
            let his = self.balances.iter_mut().filter(|((owner, _), _)| *owner == customer.customer_id);
            if !defect::is_seeded("freeze_unnoticed") {
                his.for_each(|(_, kept)| kept.row.version += 1);
            }
            let loaded = self.customers.get(&customer.customer_id).map_or(0, |kept| kept.loaded);
            self.customers.insert(customer.customer_id.clone(), Kept { row: customer, loaded });
        }
        if let Some(asset) = plan.asset {
            self.assets.insert(asset.asset.clone(), asset.clone());
            self.new_assets.push(asset);
        }
        if let Some(recorded) = recorded {
            let head = recorded.tx.head();
            self.known_txs.insert(head.tx_id);
            self.known_refs.extend(head.external.clone());
            self.journal.push(recorded);
        }
        self.events.extend(plan.events);
        Ok(())
    }

    /// Balances as they would be, and the journal's record; the world does not change.
    fn stage(&self, plan: &Plan) -> Result<(BTreeMap<BalanceKey, Balance>, Option<Recorded>), Rejection> {
        let mut balances = BTreeMap::new();
        let opened = plan.opened.iter().map(|(owner, asset)| (owner, asset));
        for (owner, asset) in plan.touched().chain(opened) {
            let mut balance = self.balance(owner, asset);
            // One change, however many lines.
            balance.version += 1;
            balances.insert((owner.clone(), asset.clone()), balance);
        }
        let Some(tx) = &plan.tx else { return Ok((balances, None)) };
        let mut entries = Vec::with_capacity(tx.postings().len());
        for posting in tx.postings() {
            let running = match &posting.account {
                Account::House(_) | Account::External => None,
                Account::Customer(owner, part) => {
                    let key = (owner.clone(), posting.asset.clone());
                    let balance =
                        balances.get_mut(&key).ok_or(Rejection::Broken("a posting without its balance"))?;
                    *balance = balance
                        .after(*part, posting.amount)
                        .map_err(|refused| self.refusal(owner, &posting.asset, *part, refused))?;
                    Some(Running {
                        account_seq: balance.seq(*part),
                        statement_seq: balance.statement_seq(),
                        balance_after: balance.of(*part),
                    })
                }
            };
            entries.push(Entry { posting: posting.clone(), running });
        }
        Ok((balances, Some(Recorded { tx: tx.clone(), entries })))
    }

    fn refusal(&self, owner: &CustomerId, asset: &AssetCode, part: Part, refused: Refused) -> Rejection {
        match (refused, part) {
            (Refused::Overflow, _) => Rejection::BalanceOverflow,
            (Refused::Short(missing), Part::Available) => Rejection::InsufficientUsable {
                customer: owner.clone(),
                asset: asset.clone(),
                usable: self.balance(owner, asset).available,
                missing,
            },
            (Refused::Short(_), Part::Held) => {
                Rejection::HeldShort { customer: owner.clone(), asset: asset.clone() }
            }
        }
    }
}
