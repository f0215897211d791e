//! What a lane remembers: instruments, and drafts that will be opened next.
//!
//! Whatever of it has changed meanwhile makes the statement fail that writes (`optimistic`): the version of an order, the
//! version of an instrument, and its counters where one is counted on.

use brokerage_types::{OrderId, Symbol};
use hashlink::LruCache;
use service_kit::executor::Wish;

use super::world::{HeldOrder, Listing, StoredListing, World};
use crate::domain::command::Command;
use crate::domain::{Order, Status};

/// A draft is opened as soon as its hold is placed, or much later.
const DRAFTS_MAX: usize = 1024;
const LISTINGS_MAX: usize = 4096;

/// Rows that were seen last.
#[derive(Debug)]
pub struct Recollection {
    drafts: LruCache<OrderId, Order>,
    listings: LruCache<Symbol, Listing>,
}

impl Default for Recollection {
    fn default() -> Self {
        Self { drafts: LruCache::new(DRAFTS_MAX), listings: LruCache::new(LISTINGS_MAX) }
    }
}

impl Recollection {
    /// What these commands need: a draft its instrument, and that id and label are free; an open the two rows. Nothing
    /// else is done from memory.
    pub fn recall(&mut self, wishes: &[Wish<'_, Command>]) -> Option<World> {
        let mut world = World::default();
        for wish in wishes {
            let symbol = match wish.command {
                Command::Draft(terms) if !wish.is_undo => &terms.instrument,
                Command::Open(open) if !wish.is_undo => {
                    let order = self.drafts.get(&open.order_id)?.clone();
                    let stored_version = Some(order.version);
                    world.orders.insert(open.order_id, HeldOrder { order, stored_version });
                    &open.instrument
                }
                Command::Draft(_)
                | Command::Open(_)
                | Command::BeginCancel(_)
                | Command::ConfirmCancel(_)
                | Command::ReserveMatch(_)
                | Command::ApplyFill(_)
                | Command::UpsertInstrument(_)
                | Command::SuspendOrder(_)
                | Command::ResumeOrder(_) => return None,
            };
            if !world.listings.contains_key(symbol) {
                world.listings.insert(symbol.clone(), self.listings.get(symbol)?.clone());
            }
        }
        Some(world)
    }

    /// Takes over what is in the database now.
    pub fn remember(&mut self, world: World) {
        for (id, held) in world.orders {
            if held.order.status == Status::Init {
                self.drafts.insert(id, held.order);
            } else {
                self.drafts.remove(&id);
            }
        }
        for (symbol, mut listing) in world.listings {
            let Listing { version, accept_seq, trade_seq, .. } = listing;
            listing.stored = Some(StoredListing { version, accept_seq, trade_seq });
            self.listings.insert(symbol, listing);
        }
    }
}
