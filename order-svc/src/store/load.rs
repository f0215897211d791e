//! Locks and loads what a batch may touch: instruments, then orders, then matches, each by key.
//!
//! A statement whose ids are empty is skipped: a batch of drafts costs one read, which locks nothing, because a draft
//! only needs to know what is taken.

use std::collections::BTreeSet;

use brokerage_types::{Instrument, OrderId, Symbol};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{MatchRow, OrderRow, read};
use super::world::{HeldMatch, HeldOrder, Listing, StoredListing, World};
use crate::domain::Terms;
use crate::domain::command::Command;

/// Locks, in the one global order, and loads.
pub async fn load(tx: &mut PgConnection, commands: &[&Command]) -> Result<World, sqlx::Error> {
    let mut world = World::default();
    let symbols: BTreeSet<&Symbol> = commands.iter().filter_map(|c| c.locked_instrument()).collect();
    lock_instruments(tx, &symbols, &mut world).await?;

    let mut drafts = Vec::new();
    let mut orders = BTreeSet::new();
    let mut trades = BTreeSet::new();
    for command in commands {
        match command {
            Command::Draft(terms) => drafts.push(terms),
            Command::ReserveMatch(deal) | Command::ApplyFill(deal) => {
                trades.insert(deal.trade_id.uuid());
                orders.extend(command.orders());
            }
            Command::Open(_)
            | Command::BeginCancel(_)
            | Command::ConfirmCancel(_)
            | Command::UpsertInstrument(_)
            | Command::SuspendOrder(_)
            | Command::ResumeOrder(_) => orders.extend(command.orders()),
        }
    }
    orders.extend(read_for_drafts(tx, &drafts, &mut world).await?);
    let orders: Vec<Uuid> = orders.into_iter().map(OrderId::uuid).collect();
    lock_orders(tx, &orders, &mut world).await?;
    lock_matches(tx, &trades.into_iter().collect::<Vec<_>>(), &mut world).await?;
    Ok(world)
}

async fn lock_instruments(
    tx: &mut PgConnection,
    symbols: &BTreeSet<&Symbol>,
    world: &mut World,
) -> Result<(), sqlx::Error> {
    if symbols.is_empty() {
        return Ok(());
    }
    let symbols: Vec<String> = symbols.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT definition AS "definition: Json<Instrument>", version, accept_seq, trade_seq, updated_at
           FROM instruments WHERE symbol = ANY($1) ORDER BY symbol FOR NO KEY UPDATE"#,
        &symbols
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let (version, accept_seq, trade_seq) = (row.version, row.accept_seq, row.trade_seq);
        let listing = Listing {
            definition: row.definition.0,
            version,
            accept_seq,
            trade_seq,
            stored: Some(StoredListing { version, accept_seq, trade_seq }),
            changed_at: row.updated_at,
        };
        world.listings.insert(listing.definition.symbol.clone(), listing);
    }
    Ok(())
}

/// What drafts need to know; gives the ids among theirs that are orders already, whose rows must be locked: such a
/// draft is being taken back, or will be refused.
async fn read_for_drafts(
    tx: &mut PgConnection,
    drafts: &[&Terms],
    world: &mut World,
) -> Result<Vec<OrderId>, sqlx::Error> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = drafts.iter().map(|terms| terms.order_id.uuid()).collect();
    let customers: Vec<&str> = drafts.iter().map(|terms| terms.customer.as_str()).collect();
    let labels: Vec<&str> = drafts.iter().map(|terms| terms.client_order_id.as_str()).collect();
    let symbols: BTreeSet<&str> = drafts.iter().map(|terms| terms.instrument.as_str()).collect();
    let symbols: Vec<&str> = symbols.into_iter().collect();
    let row = sqlx::query!(
        r#"SELECT
             ARRAY(SELECT o.order_id FROM orders o WHERE o.order_id = ANY($1)) AS "existing!",
             ARRAY(SELECT d.n FROM UNNEST($2::text[], $3::text[]) WITH ORDINALITY AS d (customer, label, n)
                   WHERE EXISTS (SELECT 1 FROM orders o
                                 WHERE o.customer_id = d.customer AND o.client_order_id = d.label)) AS "taken!",
             ARRAY(SELECT i.definition FROM instruments i WHERE i.symbol = ANY($4))
                 AS "definitions!: Vec<Json<Instrument>>""#,
        &ids,
        &customers as _,
        &labels as _,
        &symbols as _
    )
    .fetch_one(tx)
    .await?;
    for n in row.taken {
        if let Some(terms) = usize::try_from(n - 1).ok().and_then(|index| drafts.get(index)) {
            world.labels.insert((terms.customer.clone(), terms.client_order_id.clone()));
        }
    }
    world.definitions = row.definitions.into_iter().map(|Json(i)| (i.symbol.clone(), i)).collect();
    Ok(row.existing.into_iter().map(OrderId::from).collect())
}

async fn lock_orders(tx: &mut PgConnection, ids: &[Uuid], world: &mut World) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query_as!(
        OrderRow,
        "SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty,
                canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason, version,
                created_by, created_at, updated_at
         FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE",
        ids
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let stored_version = Some(row.version);
        let order = row.into_order()?;
        read("orders", order.check())?;
        world.orders.insert(order.terms.order_id, HeldOrder { order, stored_version });
    }
    Ok(())
}

async fn lock_matches(tx: &mut PgConnection, ids: &[Uuid], world: &mut World) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query_as!(
        MatchRow,
        "SELECT trade_id, instrument, buy_order_id, sell_order_id, quantity, price, state, created_at, updated_at
         FROM matches WHERE trade_id = ANY($1) ORDER BY trade_id FOR NO KEY UPDATE",
        ids
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let entry = row.into_match()?;
        let stored_state = Some(entry.state);
        world.matches.insert(entry.deal.trade_id, HeldMatch { entry, stored_state });
    }
    Ok(())
}
