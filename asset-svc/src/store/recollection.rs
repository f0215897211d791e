//! What a lane remembers: balances, customers and what they pay.
//!
//! Whatever of it has changed meanwhile makes the statement fail that writes (`optimistic`).

use std::collections::BTreeMap;

use brokerage_types::{CustomerId, FeeRate};
use hashlink::LruCache;
use service_kit::executor::Wish;

use super::load::SeenAssets;
use crate::domain::balance::Balance;
use crate::domain::command::Command;
use crate::domain::customer::{Customer, Tier};
use crate::domain::footprint::Footprint;
use crate::domain::world::{BalanceKey, Kept, World};

/// Some 300 bytes each, and as much for a customer.
const BALANCES_MAX: usize = 32_768;
const CUSTOMERS_MAX: usize = 16_384;

/// Rows that were seen last.
#[derive(Debug)]
pub struct Recollection {
    balances: LruCache<BalanceKey, Balance>,
    customers: LruCache<CustomerId, Customer>,
    rates: BTreeMap<Tier, FeeRate>,
}

impl Default for Recollection {
    fn default() -> Self {
        Self {
            balances: LruCache::new(BALANCES_MAX),
            customers: LruCache::new(CUSTOMERS_MAX),
            rates: BTreeMap::new(),
        }
    }
}

impl Recollection {
    /// What these commands need, if all of them place holds: a customer, what he pays, and one of his balances. That
    /// the hold is new is assumed.
    pub(super) fn recall(&mut self, assets: &SeenAssets, wishes: &[Wish<'_, Command>]) -> Option<World> {
        let is_place =
            |wish: &Wish<'_, Command>| !wish.is_undo && matches!(wish.command, Command::PlaceHold(_));
        if !wishes.iter().all(is_place) {
            return None;
        }
        let commands: Vec<&Command> = wishes.iter().map(|wish| wish.command).collect();
        let footprint = Footprint::of(&commands);
        let mut world = World::default();
        if !assets.recall(&footprint.assets, &mut world).is_empty() {
            return None;
        }
        for key in footprint.balances {
            let balance = *self.balances.get(&key)?;
            world.saw(key, balance);
        }
        for customer_id in footprint.customers {
            let customer = self.customers.get(&customer_id)?.clone();
            world.rates.insert(customer.tier, *self.rates.get(&customer.tier)?);
            world.customers.insert(customer_id, Kept { loaded: customer.version, row: customer });
        }
        Some(world)
    }

    /// Takes over what is in the database now.
    pub(super) fn remember(&mut self, world: World) {
        for (key, kept) in world.balances {
            self.balances.insert(key, kept.row);
        }
        for (customer_id, kept) in world.customers {
            self.customers.insert(customer_id, kept.row);
        }
        self.rates.extend(world.rates);
    }
}
