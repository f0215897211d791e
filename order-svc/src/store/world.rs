//! Every row that a batch may touch, as the batch changes it in memory.
//!
//! An entry knows what the database holds of it, so that `save` writes exactly what has changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use brokerage_types::{ClientOrderId, CustomerId, Instrument, OrderId, Side, Symbol, TradeId};
use chrono::{DateTime, Utc};
use service_kit::executor::Event;

use crate::domain::matching::{Deal, Match, MatchState};
use crate::domain::{Changed, Order, OrderEvent, Rejection, Terms};

/// The aggregate of order events.
pub const ORDER: &str = "order";
/// The aggregate of instrument events.
pub const INSTRUMENT: &str = "instrument";

/// An order, and the version that the database holds (none: it is new).
#[derive(Clone, Debug)]
pub struct HeldOrder {
    /// As the batch has changed it.
    pub order: Order,
    /// The version in the database.
    pub stored_version: Option<i64>,
}

/// An instrument, its counters, and what the database holds of them (none: it is new).
#[derive(Clone, Debug)]
pub struct Listing {
    /// What it is.
    pub definition: Instrument,
    /// Counts its definitions.
    pub version: i64,
    /// The last priority that was given.
    pub accept_seq: i64,
    /// The last trade's number.
    pub trade_seq: i64,
    /// What the database holds of it.
    pub stored: Option<StoredListing>,
    /// When its definition changed last.
    pub changed_at: DateTime<Utc>,
}

/// What the database holds of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredListing {
    /// See [`Listing::version`].
    pub version: i64,
    /// See [`Listing::accept_seq`].
    pub accept_seq: i64,
    /// See [`Listing::trade_seq`].
    pub trade_seq: i64,
}

/// A match, and the state that the database holds (none: it is new).
#[derive(Clone, Debug)]
pub struct HeldMatch {
    /// As the batch has changed it.
    pub entry: Match,
    /// The state in the database.
    pub stored_state: Option<MatchState>,
}

/// A trade that comes into effect.
#[derive(Clone, Debug)]
pub struct NewTrade {
    /// Its numbers.
    pub deal: Deal,
    /// Counts the trades of the instrument.
    pub trade_seq: i64,
    /// The buyer.
    pub buy_customer: CustomerId,
    /// The seller.
    pub sell_customer: CustomerId,
    /// Who came second.
    pub aggressor: Side,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Every row that a batch may touch.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// With counters; locked, or to be written only as they were read.
    pub listings: BTreeMap<Symbol, Listing>,
    /// Read without a lock for drafts that go the long way: they change nothing of them.
    pub definitions: HashMap<Symbol, Instrument>,
    /// Locked, or to be written only as they were read.
    pub orders: BTreeMap<OrderId, HeldOrder>,
    /// Labels that are taken by orders that need not be loaded.
    pub labels: HashSet<(CustomerId, ClientOrderId)>,
    /// Locked with their orders.
    pub matches: BTreeMap<TradeId, HeldMatch>,
    /// Trades of this batch.
    pub trades: Vec<NewTrade>,
    /// Events of this batch.
    pub events: Vec<Event>,
    /// A broken row or rule was met: nothing of this batch may be saved.
    pub broken: Option<String>,
}

impl World {
    /// The order.
    ///
    /// # Errors
    /// When there is none.
    pub fn order(&self, id: OrderId) -> Result<&Order, Rejection> {
        self.orders.get(&id).map(|held| &held.order).ok_or(Rejection::OrderNotFound(id))
    }

    /// The listing.
    ///
    /// # Errors
    /// When there is none.
    pub fn listing(&self, symbol: &Symbol) -> Result<&Listing, Rejection> {
        self.listings.get(symbol).ok_or_else(|| Rejection::InstrumentNotFound(symbol.clone()))
    }

    /// The definition, from a locked row if this batch has one: it may have changed in this batch.
    pub fn definition(&self, symbol: &Symbol) -> Option<&Instrument> {
        self.listings.get(symbol).map(|l| &l.definition).or_else(|| self.definitions.get(symbol))
    }

    /// Orders that are new, or not as they are in the database. New ones come last, by customer and label: whoever
    /// inserts waits for whoever inserts the same label, so all have to insert in the order of labels.
    pub fn changed_orders(&self) -> Vec<&HeldOrder> {
        let is_changed = |held: &&HeldOrder| held.stored_version != Some(held.order.version);
        let mut changed: Vec<&HeldOrder> = self.orders.values().filter(is_changed).collect();
        changed.sort_by_key(|&held| {
            let Terms { customer, client_order_id, .. } = &held.order.terms;
            held.stored_version.is_none().then_some((customer, client_order_id))
        });
        changed
    }

    /// Listings whose counters are not as they are in the database, with what is there.
    pub fn counted_listings(&self) -> Vec<(&Listing, StoredListing)> {
        let stored = |listing: &Listing| {
            listing.stored.unwrap_or(StoredListing { version: 0, accept_seq: 0, trade_seq: 0 })
        };
        let pairs = self.listings.values().map(|listing| (listing, stored(listing)));
        let has_counted = |(listing, stored): &(&Listing, StoredListing)| {
            listing.accept_seq != stored.accept_seq || listing.trade_seq != stored.trade_seq
        };
        pairs.filter(has_counted).collect()
    }

    /// Takes over a changed order and notes its event.
    pub fn put(&mut self, changed: Changed) {
        let (order, event) = changed;
        self.note(&event);
        match self.orders.get_mut(&order.terms.order_id) {
            Some(held) => held.order = order,
            None => {
                self.labels.insert((order.terms.customer.clone(), order.terms.client_order_id.clone()));
                self.orders.insert(order.terms.order_id, HeldOrder { order, stored_version: None });
            }
        }
    }

    /// Notes an instrument's new definition and its event.
    pub fn put_listing(&mut self, listing: Listing) {
        let payload = serde_json::json!({
            "version": listing.version,
            "at": listing.changed_at,
            "instrument": listing.definition,
        });
        self.events.push(Event {
            aggregate: INSTRUMENT,
            aggregate_id: listing.definition.symbol.to_string(),
            seq: listing.version,
            kind: "InstrumentUpserted",
            payload,
        });
        self.listings.insert(listing.definition.symbol.clone(), listing);
    }

    fn note(&mut self, event: &OrderEvent) {
        match serde_json::to_value(event) {
            Ok(payload) => self.events.push(Event {
                aggregate: ORDER,
                aggregate_id: event.order_id.to_string(),
                seq: event.version,
                kind: event.change.kind(),
                payload,
            }),
            Err(error) => {
                self.broken = Some(format!("an event of {} cannot be written: {error}", event.order_id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::create;
    use crate::domain::tests::fixture::{instrument, now, terms};

    #[test]
    fn new_orders_are_written_in_the_order_of_their_labels_and_known_ones_first() {
        let mut world = World::default();
        for (id, customer, label) in
            [(1, "bob", "a"), (2, "alice", "c"), (3, "alice", "b"), (4, "alice", "a")]
        {
            let mut terms = terms(id, customer, Side::Buy, "10");
            terms.client_order_id = label.parse().unwrap();
            world.put(create::draft(&terms, Some(&instrument()), now()).unwrap());
        }
        if let Some(known) = world.orders.values_mut().next() {
            known.stored_version = Some(0);
        }
        let ids: Vec<u128> =
            world.changed_orders().iter().map(|h| h.order.terms.order_id.uuid().as_u128()).collect();
        assert_eq!(ids, [1, 4, 3, 2]);
    }
}
