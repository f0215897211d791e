//! What each command does to the world: finds the rows, asks the domain, takes over its answer.
//!
//! A rejection leaves the world as it was: every function asks for all changes before it takes over the first.

use brokerage_types::{Instrument, OrderId, Reason, SagaId};
use chrono::{DateTime, Utc};
use service_kit::defect;
use service_kit::executor::{At, Done};

use super::books::Receipt;
use super::world::{HeldMatch, Listing, NewTrade, World};
use crate::domain::command::{BeginCancel, Open, Suspension};
use crate::domain::matching::{Deal, Match, MatchState, Pair};
use crate::domain::order::Broken;
use crate::domain::{Changed, Order, Rejection, Terms, cancel, create, instrument, matching};

/// Whether another order of the customer has this label.
pub fn label_is_taken(world: &World, terms: &Terms) -> bool {
    world.labels.contains(&(terms.customer.clone(), terms.client_order_id.clone()))
        && !defect::is_seeded("label_taken_twice")
}

/// T1, if id and label are free.
pub fn draft(world: &mut World, at: &At, terms: &Terms) -> Result<Done, Rejection> {
    if world.orders.contains_key(&terms.order_id) {
        return Err(Rejection::OrderExists(terms.order_id));
    }
    if label_is_taken(world, terms) {
        return Err(Rejection::DuplicateClientOrderId);
    }
    let drafted = create::draft(terms, world.definition(&terms.instrument), at.now)?;
    world.put(drafted);
    Ok(Done::default())
}

/// T2, with the next priority of the instrument.
pub fn open(world: &mut World, at: &At, wish: &Open) -> Result<Done, Rejection> {
    let order = world.order(wish.order_id)?;
    let listing = world.listing(&wish.instrument)?;
    let accept_seq = listing.accept_seq + 1;
    let market = create::Market { symbol: &wish.instrument, state: listing.definition.state, accept_seq };
    let opened = create::open(order, market, at.now)?;
    if let Some(listing) = world.listings.get_mut(&wish.instrument) {
        listing.accept_seq = accept_seq;
    }
    world.put(opened);
    Ok(Done::default())
}

/// T10; what it found is the effect.
pub fn begin_cancel(world: &mut World, at: &At, wish: &BeginCancel) -> Result<Done, Rejection> {
    let order = world.order(wish.order_id)?;
    let effect = serde_json::json!({ "found": order.status });
    let begun = cancel::begin(order, SagaId::from(at.saga_id), &wish.requested_by, at.now)?;
    world.put(begun);
    Ok(Done { effect, answer: Vec::new() })
}

/// Applies a rule to one order; a rule may find nothing to do.
pub fn change(
    world: &mut World,
    at: &At,
    order_id: OrderId,
    rule: impl FnOnce(&Order, DateTime<Utc>) -> Result<Option<Changed>, Rejection>,
) -> Result<Done, Rejection> {
    if let Some(changed) = rule(world.order(order_id)?, at.now)? {
        world.put(changed);
    }
    Ok(Done::default())
}

/// T9 or T24, with its receipt.
pub fn suspension(
    world: &mut World,
    at: &At,
    wish: &Suspension,
    rule: impl FnOnce(&Order, &Suspension, DateTime<Utc>) -> Result<Changed, Rejection>,
) -> Result<Done, Rejection> {
    let changed = rule(world.order(wish.order_id)?, wish, at.now)?;
    let answer = receipt(&Receipt::Order { status: changed.0.status, version: changed.0.version })?;
    world.put(changed);
    Ok(Done { answer, ..Done::default() })
}

/// T5 on both orders; the trade may not be known yet.
pub fn reserve(world: &mut World, at: &At, deal: &Deal) -> Result<Done, Rejection> {
    if let Some(held) = world.matches.get(&deal.trade_id) {
        return Err(Rejection::IllegalMatch { what: "ReserveMatch", state: held.entry.state.as_str() });
    }
    let definition = &world.listing(&deal.instrument)?.definition;
    let pair = matching::reserve(pair(world, deal)?, deal, definition, at.now)?;
    world.put(pair.buy);
    world.put(pair.sell);
    let entry =
        Match { deal: deal.clone(), state: MatchState::Reserved, created_at: at.now, updated_at: at.now };
    world.matches.insert(deal.trade_id, HeldMatch { entry, stored_state: None });
    Ok(Done::default())
}

/// T8 on both orders.
pub fn release(world: &mut World, at: &At, deal: &Deal, reason: Reason) -> Result<(), Rejection> {
    reserved(world, deal, "undoing ReserveMatch")?;
    let released = matching::release(pair(world, deal)?, deal, reason, at.now)?;
    world.put(released.buy);
    world.put(released.sell);
    move_match(world, at, deal, MatchState::Released);
    Ok(())
}

/// T6, T7, T12, T13 or T23 on each order; the match becomes a trade, with the next number of the instrument.
pub fn fill(world: &mut World, at: &At, deal: &Deal) -> Result<Done, Rejection> {
    reserved(world, deal, "ApplyFill")?;
    let trade_seq = world.listing(&deal.instrument)?.trade_seq + 1;
    let both = pair(world, deal)?;
    let trade = NewTrade {
        deal: deal.clone(),
        trade_seq,
        buy_customer: both.buy.terms.customer.clone(),
        sell_customer: both.sell.terms.customer.clone(),
        aggressor: both.aggressor(),
        created_at: at.now,
    };
    let filled = matching::fill(both, deal, at.now)?;
    world.put(filled.buy);
    world.put(filled.sell);
    world.trades.push(trade);
    if let Some(listing) = world.listings.get_mut(&deal.instrument) {
        listing.trade_seq = trade_seq;
    }
    move_match(world, at, deal, MatchState::Applied);
    Ok(Done::default())
}

/// The match must be in flight, with the same numbers.
fn reserved(world: &World, deal: &Deal, what: &'static str) -> Result<(), Rejection> {
    let held = world.matches.get(&deal.trade_id).ok_or(Rejection::TradeNotFound(deal.trade_id))?;
    if held.entry.state != MatchState::Reserved {
        return Err(Rejection::IllegalMatch { what, state: held.entry.state.as_str() });
    }
    if held.entry.deal != *deal && !defect::is_seeded("other_numbers_filled") {
        return Err(Rejection::IllegalMatch { what, state: "RESERVED with other numbers" });
    }
    Ok(())
}

fn move_match(world: &mut World, at: &At, deal: &Deal, state: MatchState) {
    if let Some(held) = world.matches.get_mut(&deal.trade_id) {
        held.entry.state = state;
        held.entry.updated_at = at.now;
    }
}

fn pair<'a>(world: &'a World, deal: &Deal) -> Result<Pair<'a>, Rejection> {
    Ok(Pair { buy: world.order(deal.buy_order_id)?, sell: world.order(deal.sell_order_id)? })
}

/// A new instrument, or a new definition of one. The same definition again changes nothing.
pub fn upsert(world: &mut World, at: &At, definition: &Instrument) -> Result<Done, Rejection> {
    let symbol = &definition.symbol;
    let next = match world.listings.get(symbol) {
        None => Listing {
            definition: definition.clone(),
            version: 1,
            accept_seq: 0,
            trade_seq: 0,
            stored: None,
            changed_at: at.now,
        },
        Some(current) => {
            instrument::may_become(&current.definition, definition)?;
            let version = current.version + i64::from(current.definition != *definition);
            Listing { definition: definition.clone(), version, changed_at: at.now, ..current.clone() }
        }
    };
    let answer = receipt(&Receipt::Instrument { definition: definition.clone(), version: next.version })?;
    if world.listings.get(symbol).is_none_or(|current| current.version != next.version) {
        world.put_listing(next);
    }
    Ok(Done { answer, ..Done::default() })
}

fn receipt(receipt: &Receipt) -> Result<Vec<u8>, Rejection> {
    serde_json::to_vec(receipt).map_err(|error| Rejection::Broken(Broken(format!("receipt: {error}"))))
}
