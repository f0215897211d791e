//! Drafts and opens without locks: one statement reads orders and instruments, one writes what follows from them.
//!
//! An order is written only on the version it was read with, and an instrument's counters only on the definition and the
//! counters they were read with. An order that is there, and not by the same step, makes the glance give up.
//!
//! Who inserts a row that somebody else is inserting waits for him. So the verdicts come last here too, as they do the
//! long way: the counts are taken from left to right, and each makes its part of the statement run.

use std::collections::BTreeSet;

use brokerage_types::Instrument;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::executor::{Glimpse, Sagas, SaveError, Verdicts};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{OrderRow, read};
use super::save::OrderColumns;
use super::world::{HeldOrder, Listing, StoredListing, World};
use crate::domain::Terms;
use crate::domain::command::{Command, Open};

/// An instrument as the glance gives it.
#[derive(Debug, Deserialize)]
struct Seen {
    definition: Instrument,
    version: i64,
    accept_seq: i64,
    trade_seq: i64,
    updated_at: DateTime<Utc>,
}

/// What the commands of a batch are about.
struct Wishes<'a> {
    drafts: Vec<&'a Terms>,
    opens: Vec<&'a Open>,
}

impl<'a> Wishes<'a> {
    /// `None` if there is one of another kind.
    fn of(commands: &[&'a Command]) -> Option<Self> {
        let mut wishes = Self { drafts: Vec::new(), opens: Vec::new() };
        for command in commands {
            match command {
                Command::Draft(terms) => wishes.drafts.push(terms),
                Command::Open(open) => wishes.opens.push(open),
                Command::BeginCancel(_)
                | Command::ConfirmCancel(_)
                | Command::ReserveMatch(_)
                | Command::ApplyFill(_)
                | Command::UpsertInstrument(_)
                | Command::SuspendOrder(_)
                | Command::ResumeOrder(_) => return None,
            }
        }
        Some(wishes)
    }

    fn symbols(&self) -> Vec<&'a str> {
        let drafted = self.drafts.iter().map(|terms| terms.instrument.as_str());
        let opened = self.opens.iter().map(|open| open.instrument.as_str());
        drafted.chain(opened).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Reads what these drafts and opens need.
#[expect(clippy::too_many_lines, reason = "one statement, and each of its columns")]
pub async fn glance(
    connection: &mut PgConnection,
    sagas: &Sagas,
    commands: &[&Command],
) -> Result<Option<(Glimpse, World)>, sqlx::Error> {
    let Some(wishes) = Wishes::of(commands) else { return Ok(None) };
    let drafted: Vec<Uuid> = wishes.drafts.iter().map(|terms| terms.order_id.uuid()).collect();
    let customers: Vec<&str> = wishes.drafts.iter().map(|terms| terms.customer.as_str()).collect();
    let labels: Vec<&str> = wishes.drafts.iter().map(|terms| terms.client_order_id.as_str()).collect();
    let opened: Vec<Uuid> = wishes.opens.iter().map(|open| open.order_id.uuid()).collect();
    let rows = service_kit::glance!(
        sagas,
        r#"SELECT g.now AS "now?", g.known AS "known?",
                  ARRAY(SELECT o.order_id FROM orders o WHERE o.order_id = ANY($4)) AS "existing?",
                  ARRAY(SELECT d.n FROM UNNEST($5::text[], $6::text[]) WITH ORDINALITY AS d (customer, label, n)
                        WHERE EXISTS (SELECT 1 FROM orders o
                                      WHERE o.customer_id = d.customer AND o.client_order_id = d.label)) AS "taken?",
                  ARRAY(SELECT jsonb_build_object('definition', i.definition, 'version', i.version,
                                                  'accept_seq', i.accept_seq, 'trade_seq', i.trade_seq,
                                                  'updated_at', i.updated_at)
                        FROM instruments i WHERE i.symbol = ANY($7)) AS "instruments?: Vec<Json<Seen>>",
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
           FROM orders WHERE order_id = ANY($8)"#,
        &drafted,
        &customers as _,
        &labels as _,
        &wishes.symbols() as _,
        &opened,
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
            if let Some(terms) = usize::try_from(n - 1).ok().and_then(|index| wishes.drafts.get(index)) {
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
    service_kit::decided!(
        verdicts,
        r#", changed AS MATERIALIZED (
               SELECT * FROM UNNEST($20::uuid[], $21::text[], $22::text[], $23::text[], $24::text[], $25::numeric[],
                   $26::numeric[], $27::numeric[], $28::numeric[], $29::numeric[], $30::numeric[], $31::bigint[],
                   $32::text[], $33::text[], $34::bigint[], $35::text[], $36::timestamptz[], $37::timestamptz[],
                   $38::bigint[])
               AS u (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                   inflight_qty, canceled_qty, cum_notional, accept_seq, status, reason, version, created_by,
                   created_at, updated_at, stored_version)
           ), instruments_locked AS MATERIALIZED (
               SELECT u.symbol, u.accept_seq
               FROM UNNEST($39::text[], $40::bigint[], $41::bigint[], $42::bigint[])
                    AS u (symbol, accept_seq, seen_accept_seq, seen_version)
               JOIN instruments i ON i.symbol = u.symbol AND i.accept_seq = u.seen_accept_seq
                                     AND i.version = u.seen_version
               FOR NO KEY UPDATE OF i SKIP LOCKED
           ), orders_locked AS MATERIALIZED (
               SELECT u.order_id, u.accept_seq, u.status, u.version, u.updated_at
               FROM changed u JOIN orders o ON o.order_id = u.order_id AND o.version = u.stored_version
               WHERE u.stored_version > 0
               FOR NO KEY UPDATE OF o SKIP LOCKED
           ), counted AS (
               UPDATE instruments i SET accept_seq = u.accept_seq
               FROM instruments_locked u WHERE i.symbol = u.symbol RETURNING 1
           ), opened AS (
               UPDATE orders o
               SET accept_seq = u.accept_seq, status = u.status, version = u.version, updated_at = u.updated_at
               FROM orders_locked u WHERE o.order_id = u.order_id RETURNING 1
           ), drafted AS (
               INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                   inflight_qty, canceled_qty, cum_notional, accept_seq, status, reason, version, created_by,
                   created_at, updated_at)
               SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
                   inflight_qty, canceled_qty, cum_notional, accept_seq, status, reason, version, created_by,
                   created_at, updated_at
               FROM changed WHERE stored_version = 0
               ON CONFLICT DO NOTHING RETURNING 1
           )
           SELECT all_or_nothing((SELECT count(*) FROM counted) + (SELECT count(*) FROM opened)
                                 + (SELECT count(*) FROM drafted) + (SELECT count(*) FROM decided), $43)"#,
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
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}
