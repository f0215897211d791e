//! Which rows a batch of commands may touch: known before any of them is decided, so that all are locked in one
//! global order.

use std::collections::BTreeSet;

use brokerage_types::{AssetCode, CustomerId, HoldId, Side, TxId};

use super::command::Command;
use super::hold::Hold;
use super::ledger::ExternalRef;
use super::world::BalanceKey;

/// Keys of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Holds to lock.
    pub holds: BTreeSet<HoldId>,
    /// Balances to lock.
    pub balances: BTreeSet<BalanceKey>,
    /// Customers to read.
    pub customers: BTreeSet<CustomerId>,
    /// Customers to lock, with all their balances: whoever freezes a customer waits for what he has under way.
    pub changing_customers: BTreeSet<CustomerId>,
    /// Assets to read.
    pub assets: BTreeSet<AssetCode>,
    /// Journal transactions that may exist already.
    pub txs: BTreeSet<TxId>,
    /// External references that may exist already.
    pub refs: BTreeSet<ExternalRef>,
}

impl Footprint {
    /// What these commands may touch. Rows that only a hold names come with [`Footprint::add_hold`].
    #[must_use]
    pub fn of(commands: &[&Command]) -> Self {
        let mut footprint = Self::default();
        for command in commands {
            footprint.add(command);
        }
        footprint
    }

    /// The account that a hold is kept in.
    pub fn add_hold(&mut self, hold: &Hold) {
        self.balances.insert((hold.terms.customer.clone(), hold.terms.held_asset().clone()));
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::PlaceHold(command) => {
                self.holds.insert(command.hold_id);
                let held = match command.side {
                    Side::Buy => &command.quote,
                    Side::Sell => &command.base,
                };
                self.add_account(&command.customer, held);
                self.assets.extend([command.base.clone(), command.quote.clone()]);
            }
            Command::ReleaseHold(command) => {
                self.holds.insert(command.hold_id);
            }
            Command::SettleTrade(command) => {
                self.holds.extend([command.buy_hold, command.sell_hold]);
                for customer in [&command.buyer, &command.seller] {
                    self.add_account(customer, &command.base);
                    self.add_account(customer, &command.quote);
                }
                self.txs.insert(TxId::of_trade(command.trade_id));
            }
            Command::UpsertAsset(asset) => {
                self.assets.insert(asset.asset.clone());
            }
            Command::OpenAsset(command) => self.add_account(&command.customer, &command.asset),
            Command::Deposit(command) => {
                self.add_account(&command.customer, &command.asset);
                self.refs.extend(command.external.clone());
            }
            Command::Withdraw(command) => self.add_account(&command.customer, &command.asset),
            Command::Transfer(command) => self.add_account(&command.customer, &command.asset),
            Command::UpsertCustomer(command) => {
                self.customers.insert(command.customer.clone());
                self.changing_customers.insert(command.customer.clone());
            }
        }
    }

    fn add_account(&mut self, customer: &CustomerId, asset: &AssetCode) {
        self.balances.insert((customer.clone(), asset.clone()));
        self.customers.insert(customer.clone());
        self.assets.insert(asset.clone());
    }
}
