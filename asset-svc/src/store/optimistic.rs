//! Holds come and go without locks: one statement reads balances, customers, and the holds that shall go; one writes what
//! follows from them.
//!
//! A balance is written only as it was read, and only if its customer, and what he pays, are still as they were read.
//! Whoever changes a customer changes the version of all his balances ([`World::take`]), which tells a hold whose
//! statement had begun before. Holds and journal entries that are there already make the statement fail, and the long
//! way tells what they are; so does a hold that is not as it was read. A balance that is locked is written where it
//! stands (`ctid`), for nobody can move it before the statement ends: to look for it again would cost as much as the first
//! time.
//!
//! Who changes a hold waits for whoever has it, and who inserts a row that somebody else is inserting waits for him. So
//! holds come first, those that are there before new ones, and verdicts last here too, as they do the long way: the
//! counts are taken from left to right, and each makes its part of the statement run.

use service_kit::defect;
use service_kit::executor::{Asked, Glimpse, SaveError, Verdicts, Wish};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::load::SeenAssets;
use super::rows::{BalanceRow, CustomerRow, HoldRow, rate};
use super::save::{BalanceColumns, HoldColumns, PostingColumns, TxColumns, too_large};
use crate::domain::command::Command;
use crate::domain::customer::Customer;
use crate::domain::footprint::Footprint;
use crate::domain::hold::Hold;
use crate::domain::world::{Kept, World};

/// Reads what these holds need, if their assets were seen before: all of it as of one instant.
#[expect(clippy::too_many_lines, reason = "one statement, and each of its columns")]
pub(super) async fn glance(
    connection: &mut PgConnection,
    seen: &SeenAssets,
    asked: &Asked,
    wishes: &[Wish<'_, Command>],
) -> Result<Option<(Glimpse, World)>, sqlx::Error> {
    let commands: Vec<&Command> = wishes.iter().map(|wish| wish.command).collect();
    let footprint = Footprint::of(&commands);
    let mut world = World::default();
    if !seen.recall(&footprint.assets, &mut world).is_empty() {
        return Ok(None);
    }
    let (owners, assets): (Vec<&str>, Vec<&str>) =
        footprint.balances.iter().map(|(owner, asset)| (owner.as_str(), asset.as_str())).unzip();
    let leaving = |wish: &Wish<'_, Command>| match wish.command {
        Command::PlaceHold(command) if wish.is_undo => Some(command.hold_id.uuid()),
        Command::ReleaseHold(command) => Some(command.hold_id.uuid()),
        _ => None,
    };
    let leaving: Vec<Uuid> = wishes.iter().filter_map(leaving).collect();
    let rows = service_kit::glance!(
        asked,
        r#"SELECT g.now AS "now?", g.known AS "known?", NULL AS "owner?", NULL AS "asset?",
                  NULL::numeric AS "available?", NULL::numeric AS "held?", NULL::bigint AS "available_seq?",
                  NULL::bigint AS "held_seq?", NULL::bigint AS "version?", NULL AS "name?", NULL AS "tier?",
                  NULL AS "state?", NULL::bigint AS "customer_version?", NULL::integer AS "rate?",
                  NULL::uuid AS "hold_id?", NULL AS "customer_id?", NULL::smallint AS "side?", NULL AS "base_asset?",
                  NULL AS "quote_asset?", NULL::numeric AS "limit_price?", NULL::numeric AS "quantity?",
                  NULL::numeric AS "cum_quantity?", NULL::numeric AS "cum_notional?", NULL::numeric AS "cum_fee?",
                  NULL::integer AS "fee_ppm?", NULL::smallint AS "fee_scale?", NULL::numeric AS "placed?",
                  NULL::numeric AS "captured?", NULL::numeric AS "released?", NULL AS "status?",
                  NULL::bigint AS "hold_version?"
           FROM glimpse g
           UNION ALL
           SELECT NULL, NULL, w.owner, w.asset, b.available, b.held, b.available_seq, b.held_seq, b.version,
                  c.name, c.tier, c.state, c.version, t.fee_ppm,
                  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
           FROM unnest($5::text[], $6::text[]) AS w(owner, asset)
           LEFT JOIN balances b ON b.owner = w.owner AND b.asset = w.asset
           LEFT JOIN customers c ON c.customer_id = w.owner
           LEFT JOIN tiers t ON t.tier = c.tier
           UNION ALL
           SELECT NULL, NULL, b.owner, b.asset, b.available, b.held, b.available_seq, b.held_seq, b.version,
                  NULL, NULL, NULL, NULL, NULL,
                  h.hold_id, h.customer_id, h.side, h.base_asset, h.quote_asset, h.limit_price, h.quantity,
                  h.cum_quantity, h.cum_notional, h.cum_fee, h.fee_ppm, h.fee_scale, h.placed, h.captured, h.released,
                  h.status, h.version
           FROM holds h LEFT JOIN balances b ON b.owner = h.customer_id
                                  AND b.asset = CASE h.side WHEN 1 THEN h.quote_asset ELSE h.base_asset END
           WHERE h.hold_id = ANY($7)"#,
        &owners as _,
        &assets as _,
        &leaving,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut glimpse = None;
    for row in rows {
        if row.now.is_some() {
            glimpse = Some(Glimpse::read(row.now, row.known)?);
            continue;
        }
        if let (Some(owner), Some(name), Some(tier), Some(state), Some(version), Some(rate_ppm)) =
            (row.owner.clone(), row.name, row.tier, row.state, row.customer_version, row.rate)
        {
            let customer =
                Customer::try_from(CustomerRow { customer_id: owner, name, tier, state, version })?;
            world.rates.insert(customer.tier, rate(rate_ppm)?);
            world.customers.insert(customer.customer_id.clone(), Kept { loaded: version, row: customer });
        }
        let balance = (|| {
            let (owner, asset, available, held) = (row.owner?, row.asset?, row.available?, row.held?);
            let (available_seq, held_seq, version) = (row.available_seq?, row.held_seq?, row.version?);
            Some(BalanceRow { owner, asset, available, held, available_seq, held_seq, version })
        })();
        let hold = (|| {
            Some(HoldRow {
                hold_id: row.hold_id?,
                customer_id: row.customer_id?,
                side: row.side?,
                base_asset: row.base_asset?,
                quote_asset: row.quote_asset?,
                limit_price: row.limit_price?,
                quantity: row.quantity?,
                cum_quantity: row.cum_quantity?,
                cum_notional: row.cum_notional?,
                cum_fee: row.cum_fee?,
                fee_ppm: row.fee_ppm?,
                fee_scale: row.fee_scale?,
                placed: row.placed?,
                captured: row.captured?,
                released: row.released?,
                status: row.status?,
                version: row.hold_version?,
            })
        })();
        if hold.is_some() && balance.is_none() {
            // What it is kept in must be there.
            return Ok(None);
        }
        if let Some(hold) = hold.map(Hold::try_from).transpose()? {
            world.holds.insert(hold.id, Kept { loaded: hold.version, row: hold });
        }
        if let Some(balance) = balance {
            let (key, balance) = balance.into_parts()?;
            world.saw(key, balance);
        }
    }
    Ok(glimpse.map(|glimpse| (glimpse, world)))
}

/// Customers as they were read.
#[derive(Default)]
struct ReadCustomers<'a> {
    ids: Vec<&'a str>,
    versions: Vec<i64>,
    states: Vec<&'static str>,
    tiers: Vec<&'static str>,
}

impl<'a> ReadCustomers<'a> {
    fn of(world: &'a World) -> Self {
        let mut columns = Self::default();
        for kept in world.customers.values().filter(|_| !defect::is_seeded("customer_unchecked")) {
            columns.ids.push(kept.row.customer_id.as_str());
            columns.versions.push(kept.loaded);
            columns.states.push(kept.row.state.as_str());
            columns.tiers.push(kept.row.tier.as_str());
        }
        columns
    }
}

/// Writes holds, what they take from balances or give back, their journal and their verdicts: all of it or nothing.
#[expect(clippy::too_many_lines, reason = "one statement, and each of its columns")]
pub(super) async fn save_unchanged(
    connection: &mut PgConnection,
    world: &World,
    verdicts: &Verdicts,
) -> Result<(), SaveError> {
    let (b, h) = (BalanceColumns::of(world), HoldColumns::of(world)?);
    if h.version.iter().zip(&h.loaded).any(|(version, loaded)| *version != loaded + 1) {
        // The statement knows a hold by the version before, and a new one by the first.
        return Err(SaveError::Conflict);
    }
    let (t, p) = (TxColumns::of(&world.journal), PostingColumns::of(&world.journal));
    let customers = ReadCustomers::of(world);
    let rates = world.rates.iter().filter(|_| !defect::is_seeded("rate_unchecked"));
    let rates: Vec<(&str, i32)> = rates
        .map(|(tier, rate)| Ok((tier.as_str(), i32::try_from(rate.ppm()).map_err(too_large)?)))
        .collect::<Result<_, SaveError>>()?;
    let (tiers, fees): (Vec<&str>, Vec<i32>) = rates.into_iter().unzip();
    // Where all holds are new it is not looked whether they are: their key says so.
    macro_rules! save {
        ($conflict:literal) => {
            service_kit::save_decided!(
                connection,
                verdicts,
                r#", balances_locked AS MATERIALIZED (
               SELECT r.*, b.ctid AS place
               FROM (SELECT unnest($25::text[]) AS owner, unnest($26::text[]) AS asset,
                            unnest($27::numeric[]) AS available, unnest($28::numeric[]) AS held,
                            unnest($29::bigint[]) AS available_seq, unnest($30::bigint[]) AS held_seq,
                            unnest($31::bigint[]) AS version, unnest($32::bigint[]) AS loaded,
                            unnest($67::numeric[]) AS seen_available, unnest($68::numeric[]) AS seen_held) AS r
               JOIN balances b ON b.owner = r.owner AND b.asset = r.asset AND b.version = r.loaded
                              AND b.available = r.seen_available AND b.held = r.seen_held
               FOR NO KEY UPDATE OF b SKIP LOCKED
           ), balances_changed AS (
               UPDATE balances b
               SET available = r.available, held = r.held, available_seq = r.available_seq, held_seq = r.held_seq,
                   version = r.version
               FROM balances_locked r WHERE b.ctid = r.place RETURNING 1
           ), holds_made AS (
               INSERT INTO holds (hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity,
                                  cum_quantity, cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released,
                                  status, version)
               SELECT unnest($33::uuid[]), unnest($34::text[]), unnest($35::smallint[]), unnest($36::text[]),
                      unnest($37::text[]), unnest($38::numeric[]), unnest($39::numeric[]), unnest($40::numeric[]),
                      unnest($41::numeric[]), unnest($42::numeric[]), unnest($43::integer[]), unnest($44::smallint[]),
                      unnest($45::numeric[]), unnest($46::numeric[]), unnest($47::numeric[]), unnest($48::text[]),
                      unnest($49::bigint[])
               "# + $conflict + r#" RETURNING 1
           ), txs_made AS (
               INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at, reason)
               SELECT unnest($50::uuid[]), unnest($51::text[]), unnest($52::text[]), unnest($53::timestamptz[]),
                      unnest($66::text[])
               RETURNING 1
           ), postings_made AS (
               INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
               SELECT unnest($54::uuid[]), unnest($55::smallint[]), unnest($56::text[]), unnest($57::text[]),
                      unnest($58::smallint[]), unnest($59::numeric[]), unnest($60::bigint[]), unnest($61::numeric[]),
                      unnest($62::bigint[])
           )
           SELECT all_or_nothing((SELECT -count(*) FROM mistakes)
                                 + (SELECT -count(*)
                                    FROM (SELECT unnest($64::text[]) AS customer_id, unnest($65::bigint[]) AS version,
                                                 unnest($69::text[]) AS state, unnest($70::text[]) AS tier) AS s
                                    WHERE NOT EXISTS (SELECT 1 FROM customers c
                                                      WHERE c.customer_id = s.customer_id AND c.version = s.version
                                                        AND c.state = s.state AND c.tier = s.tier))
                                 + (SELECT -count(*)
                                    FROM (SELECT unnest($71::text[]) AS tier, unnest($72::integer[]) AS fee_ppm) AS s
                                    WHERE NOT EXISTS (SELECT 1 FROM tiers t
                                                      WHERE t.tier = s.tier AND t.fee_ppm = s.fee_ppm))
                                 + (SELECT count(*) FROM holds_made) + (SELECT count(*) FROM balances_changed)
                                 + (SELECT count(*) FROM txs_made) + (SELECT count(*) FROM decided), $63)"#,
                &b.owner,
                &b.asset,
                &b.available,
                &b.held,
                &b.available_seq,
                &b.held_seq,
                &b.version,
                &b.loaded,
                &h.hold_id,
                &h.customer_id,
                &h.side,
                &h.base_asset,
                &h.quote_asset,
                &h.limit_price,
                &h.quantity,
                &h.cum_quantity,
                &h.cum_notional,
                &h.cum_fee,
                &h.fee_ppm,
                &h.fee_scale,
                &h.placed,
                &h.captured,
                &h.released,
                &h.status,
                &h.version,
                &t.tx_id,
                &t.kind,
                &t.caused_by,
                &t.created_at,
                &p.tx_id,
                &p.line,
                &p.owner,
                &p.asset,
                &p.kind,
                &p.amount,
                &p.account_seq as _,
                &p.balance_after as _,
                &p.statement_seq as _,
                verdicts.wanted(b.owner.len() + h.hold_id.len() + t.tx_id.len()),
                &customers.ids as _,
                &customers.versions,
                &t.reason as _,
                &b.seen_available,
                &b.seen_held,
                &customers.states as _,
                &customers.tiers as _,
                &tiers as _,
                &fees,
            )
        };
    }
    if h.loaded.iter().all(|loaded| *loaded == 0) {
        save!("")
    } else {
        save!(
            "ON CONFLICT (hold_id) DO UPDATE
             SET cum_quantity = excluded.cum_quantity, cum_notional = excluded.cum_notional,
                 cum_fee = excluded.cum_fee, captured = excluded.captured, released = excluded.released,
                 status = excluded.status, version = excluded.version
             WHERE excluded.version > 1 AND holds.version = excluded.version - 1"
        )
    }?;
    Ok(())
}
