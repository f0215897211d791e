//! Drafts, opens and cancels without locks: one statement reads orders and instruments, one writes what follows from
//! them.
//!
//! An order is written only on the version it was read with, and an instrument's counters only on the definition and the
//! counters they were read with. What was decided by a definition is written only if it is still that one. An order that
//! is there, and not by the same step, makes the glance give up. One that is locked is written where it stands (`ctid`).
//!
//! Who inserts a row that somebody else is inserting waits for him. So the verdicts come last here too, as they do the
//! long way: the counts are taken from left to right, and each makes its part of the statement run.

use std::collections::BTreeSet;

use brokerage_types::{Instrument, OrderId};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::defect;
use service_kit::executor::{Asked, Glimpse, SaveError, Verdicts, Wish};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{OrderRow, read};
use super::save::OrderColumns;
use super::world::{HeldOrder, Listing, StoredListing, World};
use crate::domain::Terms;
use crate::domain::command::Command;

/// An instrument as the glance gives it.
#[derive(Debug, Deserialize)]
struct Seen {
    definition: Instrument,
    version: i64,
    accept_seq: i64,
    trade_seq: i64,
    updated_at: DateTime<Utc>,
}

/// Whether these two statements do it.
pub fn knows(wish: Wish<'_, Command>) -> bool {
    match wish.command {
        Command::Draft(_) | Command::BeginCancel(_) => true,
        // Pivots, and what comes after one: undone they are noted, which is rare.
        Command::Open(_) | Command::ConfirmCancel(_) => !wish.is_undo,
        Command::ReserveMatch(_)
        | Command::ApplyFill(_)
        | Command::UpsertInstrument(_)
        | Command::SuspendOrder(_)
        | Command::ResumeOrder(_) => false,
    }
}

/// What the commands of a batch need.
#[derive(Default)]
struct Needs<'a> {
    /// Orders that must not be there yet.
    fresh: Vec<Uuid>,
    /// Terms whose labels may be taken.
    labelled: Vec<&'a Terms>,
    /// Orders that change.
    changing: Vec<Uuid>,
    symbols: BTreeSet<&'a str>,
}

impl<'a> Needs<'a> {
    fn of(wishes: &[Wish<'a, Command>]) -> Self {
        let mut needs = Self::default();
        for wish in wishes {
            match wish.command {
                Command::Draft(terms) => {
                    needs.labelled.push(terms);
                    if wish.is_undo {
                        needs.changing.push(terms.order_id.uuid());
                    } else {
                        needs.fresh.push(terms.order_id.uuid());
                        needs.symbols.insert(terms.instrument.as_str());
                    }
                }
                Command::Open(open) => {
                    needs.changing.push(open.order_id.uuid());
                    needs.symbols.insert(open.instrument.as_str());
                }
                other => needs.changing.extend(other.orders().into_iter().map(OrderId::uuid)),
            }
        }
        needs
    }
}

/// Reads what these commands need.
#[expect(clippy::too_many_lines, reason = "one statement, and each of its columns")]
pub async fn glance(
    connection: &mut PgConnection,
    asked: &Asked,
    wishes: &[Wish<'_, Command>],
) -> Result<Option<(Glimpse, World)>, sqlx::Error> {
    let needs = Needs::of(wishes);
    let customers: Vec<&str> = needs.labelled.iter().map(|terms| terms.customer.as_str()).collect();
    let labels: Vec<&str> = needs.labelled.iter().map(|terms| terms.client_order_id.as_str()).collect();
    let symbols: Vec<&str> = needs.symbols.iter().copied().collect();
    let rows = service_kit::glance!(
        asked,
        r#"SELECT g.now AS "now?", g.known AS "known?",
                  ARRAY(SELECT o.order_id FROM orders o WHERE o.order_id = ANY($5)) AS "existing?",
                  ARRAY(SELECT d.n FROM UNNEST($6::text[], $7::text[]) WITH ORDINALITY AS d (customer, label, n)
                        WHERE EXISTS (SELECT 1 FROM orders o
                                      WHERE o.customer_id = d.customer AND o.client_order_id = d.label)) AS "taken?",
                  ARRAY(SELECT jsonb_build_object('definition', i.definition, 'version', i.version,
                                                  'accept_seq', i.accept_seq, 'trade_seq', i.trade_seq,
                                                  'updated_at', i.updated_at)
                        FROM instruments i WHERE i.symbol = ANY($8)) AS "instruments?: Vec<Json<Seen>>",
                  NULL::uuid AS "order_id?", NULL AS "customer_id?", NULL AS "client_order_id?",
                  NULL AS "instrument?", NULL AS "side?", NULL::numeric AS "limit_price?", NULL::numeric AS "qty?",
                  NULL::numeric AS "cum_qty?", NULL::numeric AS "inflight_qty?", NULL::numeric AS "canceled_qty?",
                  NULL::numeric AS "cum_notional?", NULL::bigint AS "accept_seq?", NULL::uuid AS "cancel_saga?",
                  NULL AS "cancel_found?", NULL AS "status?", NULL AS "reason?", NULL::bigint AS "version?",
                  NULL AS "created_by?", NULL::timestamptz AS "created_at?", NULL::timestamptz AS "updated_at?"
           FROM glimpse g
           UNION ALL
           SELECT NULL, NULL, NULL, NULL, NULL, order_id, customer_id, client_order_id, instrument, side, limit_price,
                  qty, cum_qty, inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status,
                  reason, version, created_by, created_at, updated_at
           FROM orders WHERE order_id = ANY($9)"#,
        &needs.fresh,
        &customers as _,
        &labels as _,
        &symbols as _,
        &needs.changing,
    )
    .fetch_all(connection)
    .await?;
    let mut world = World::default();
    let mut glimpse = None;
    for row in rows {
        let Some(instruments) = row.instruments else {
            // Every column that is never null is there.
            let order = || {
                Some(OrderRow {
                    order_id: row.order_id?,
                    customer_id: row.customer_id?,
                    client_order_id: row.client_order_id?,
                    instrument: row.instrument?,
                    side: row.side?,
                    limit_price: row.limit_price?,
                    qty: row.qty?,
                    cum_qty: row.cum_qty?,
                    inflight_qty: row.inflight_qty?,
                    canceled_qty: row.canceled_qty?,
                    cum_notional: row.cum_notional?,
                    accept_seq: row.accept_seq,
                    cancel_saga: row.cancel_saga,
                    cancel_found: row.cancel_found,
                    status: row.status?,
                    reason: row.reason,
                    version: row.version?,
                    created_by: row.created_by?,
                    created_at: row.created_at?,
                    updated_at: row.updated_at?,
                })
            };
            let order = read("orders", order().ok_or("a row without its columns"))?.into_order()?;
            read("orders", order.check())?;
            let stored_version = Some(order.version);
            world.orders.insert(order.terms.order_id, HeldOrder { order, stored_version });
            continue;
        };
        let seen = Glimpse::read(row.now, row.known)?;
        // An order has its saga's id. What its inbox row answers needs no order.
        let is_answered = |order: &Uuid| seen.known.keys().any(|key| key.saga_id == *order);
        if !row.existing.unwrap_or_default().iter().all(is_answered) {
            return Ok(None);
        }
        glimpse = Some(seen);
        for n in row.taken.unwrap_or_default() {
            if let Some(terms) = usize::try_from(n - 1).ok().and_then(|index| needs.labelled.get(index)) {
                world.labels.insert((terms.customer.clone(), terms.client_order_id.clone()));
            }
        }
        for Json(seen) in instruments {
            world.listings.insert(seen.definition.symbol.clone(), Listing::from(seen));
        }
    }
    Ok(glimpse.map(|glimpse| (glimpse, world)))
}

impl From<Seen> for Listing {
    fn from(seen: Seen) -> Self {
        let (version, accept_seq, trade_seq) = (seen.version, seen.accept_seq, seen.trade_seq);
        Self {
            definition: seen.definition,
            version,
            accept_seq,
            trade_seq,
            stored: Some(StoredListing { version, accept_seq, trade_seq }),
            changed_at: seen.updated_at,
        }
    }
}

/// Writes orders, the counters of their instruments and their verdicts: all of it or nothing.
#[expect(clippy::too_many_lines, reason = "one statement, and each of its columns")]
pub async fn save_unchanged(
    connection: &mut PgConnection,
    world: &World,
    verdicts: &Verdicts,
) -> Result<(), SaveError> {
    if let Some(broken) = &world.broken {
        return Err(SaveError::Broken(broken.clone()));
    }
    let (orders, counted) = (world.changed_orders(), world.counted_listings());
    let o = OrderColumns::of(&orders);
    let symbols: Vec<&str> = counted.iter().map(|(listing, _)| listing.definition.symbol.as_str()).collect();
    let accept_seqs: Vec<i64> = counted.iter().map(|(listing, _)| listing.accept_seq).collect();
    let seen_accept_seqs: Vec<i64> = counted.iter().map(|(_, stored)| stored.accept_seq).collect();
    let seen_versions: Vec<i64> = counted.iter().map(|(_, stored)| stored.version).collect();
    let decisive = world.listings.values().filter(|_| !defect::is_seeded("definition_unchecked"));
    let (read_symbols, read_versions): (Vec<&str>, Vec<i64>) =
        decisive.map(|listing| (listing.definition.symbol.as_str(), listing.version)).unzip();
    service_kit::save_decided!(
        connection,
        verdicts,
        r#", changed AS MATERIALIZED (
               SELECT unnest($25::uuid[]) AS order_id, unnest($26::text[]) AS customer_id,
                      unnest($27::text[]) AS client_order_id, unnest($28::text[]) AS instrument,
                      unnest($29::text[]) AS side, unnest($30::numeric[]) AS limit_price,
                      unnest($31::numeric[]) AS qty, unnest($32::numeric[]) AS cum_qty,
                      unnest($33::numeric[]) AS inflight_qty, unnest($34::numeric[]) AS canceled_qty,
                      unnest($35::numeric[]) AS cum_notional, unnest($36::bigint[]) AS accept_seq,
                      unnest($37::text[]) AS status, unnest($38::text[]) AS reason, unnest($39::bigint[]) AS version,
                      unnest($40::text[]) AS created_by, unnest($41::timestamptz[]) AS created_at,
                      unnest($42::timestamptz[]) AS updated_at, unnest($43::bigint[]) AS stored_version,
                      unnest($49::uuid[]) AS cancel_saga, unnest($50::text[]) AS cancel_found
           ), instruments_locked AS MATERIALIZED (
               SELECT u.symbol, u.accept_seq
               FROM (SELECT unnest($44::text[]) AS symbol, unnest($45::bigint[]) AS accept_seq,
                            unnest($46::bigint[]) AS seen_accept_seq, unnest($47::bigint[]) AS seen_version) AS u
               JOIN instruments i ON i.symbol = u.symbol AND i.accept_seq = u.seen_accept_seq
                                     AND i.version = u.seen_version
               FOR NO KEY UPDATE OF i SKIP LOCKED
           ), orders_locked AS MATERIALIZED (
               SELECT u.*, o.ctid AS place
               FROM changed u JOIN orders o ON o.order_id = u.order_id AND o.version = u.stored_version
               WHERE u.stored_version > 0
               FOR NO KEY UPDATE OF o SKIP LOCKED
           ), counted AS (
               UPDATE instruments i SET accept_seq = u.accept_seq
               FROM instruments_locked u WHERE i.symbol = u.symbol RETURNING 1
           ), moved AS (
               UPDATE orders o
               SET canceled_qty = u.canceled_qty, accept_seq = u.accept_seq, cancel_saga = u.cancel_saga,
                   cancel_found = u.cancel_found, status = u.status, reason = u.reason, version = u.version,
                   updated_at = u.updated_at
               FROM orders_locked u WHERE o.ctid = u.place RETURNING 1
           ), drafted AS (
               INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                   inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason,
                   version, created_by, created_at, updated_at)
               SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                   inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason,
                   version, created_by, created_at, updated_at
               FROM changed WHERE stored_version = 0 RETURNING 1
           )
           SELECT all_or_nothing((SELECT -count(*) FROM mistakes)
                                 + (SELECT -count(*)
                                    FROM (SELECT unnest($51::text[]) AS symbol, unnest($52::bigint[]) AS version) AS s
                                    WHERE NOT EXISTS (SELECT 1 FROM instruments i
                                                      WHERE i.symbol = s.symbol AND i.version = s.version))
                                 + (SELECT count(*) FROM counted) + (SELECT count(*) FROM moved)
                                 + (SELECT count(*) FROM drafted) + (SELECT count(*) FROM decided), $48)"#,
        &o.order_id,
        &o.customer_id as _,
        &o.client_order_id as _,
        &o.instrument as _,
        &o.side as _,
        &o.limit_price,
        &o.qty,
        &o.cum_qty,
        &o.inflight_qty,
        &o.canceled_qty,
        &o.cum_notional,
        &o.accept_seq as _,
        &o.status as _,
        &o.reason as _,
        &o.version,
        &o.created_by as _,
        &o.created_at,
        &o.updated_at,
        &o.stored_version,
        &symbols as _,
        &accept_seqs,
        &seen_accept_seqs,
        &seen_versions,
        verdicts.wanted(orders.len() + counted.len()),
        &o.cancel_saga as _,
        &o.cancel_found as _,
        &read_symbols as _,
        &read_versions,
    )?;
    Ok(())
}
