//! Writes what a batch has changed: one statement for orders and counters, one for matches and trades, and one for
//! instrument definitions, which change rarely. Empty ones are skipped.
//!
//! Every row was locked and read in the same transaction; a statement that touches fewer rows than it should means
//! that a row appeared meanwhile, and the whole batch runs again.

mod orders;
mod trades;

use service_kit::executor::SaveError;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::world::{HeldMatch, Listing, World};
pub use orders::OrderColumns;
use orders::write_orders;
use trades::{write_matches, write_trades};

/// Writes what has changed.
pub async fn save(tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
    if let Some(broken) = &world.broken {
        return Err(SaveError::Broken(broken.clone()));
    }
    let redefined: Vec<&Listing> =
        world.listings.values().filter(|l| l.stored.is_none_or(|s| s.version != l.version)).collect();
    write_definitions(tx, &redefined).await?;
    let counted: Vec<&Listing> = world.counted_listings().into_iter().map(|(listing, _)| listing).collect();
    write_orders(tx, &world.changed_orders(), &counted).await?;
    let matches: Vec<&HeldMatch> =
        world.matches.values().filter(|held| held.stored_state != Some(held.entry.state)).collect();
    write_matches(tx, &matches).await?;
    write_trades(tx, &world.trades).await
}

fn all_written(written: i64, expected: usize) -> Result<(), SaveError> {
    if i64::try_from(expected) == Ok(written) { Ok(()) } else { Err(SaveError::Conflict) }
}

async fn write_definitions(tx: &mut PgConnection, listings: &[&Listing]) -> Result<(), SaveError> {
    if listings.is_empty() {
        return Ok(());
    }
    let symbols: Vec<&str> = listings.iter().map(|l| l.definition.symbol.as_str()).collect();
    let definitions: Vec<Json<_>> = listings.iter().map(|l| Json(&l.definition)).collect();
    let versions: Vec<i64> = listings.iter().map(|l| l.version).collect();
    let times: Vec<_> = listings.iter().map(|l| l.changed_at).collect();
    let written = sqlx::query!(
        "INSERT INTO instruments (symbol, definition, version, created_at, updated_at)
         SELECT symbol, definition, version, changed_at, changed_at
         FROM UNNEST($1::text[], $2::jsonb[], $3::bigint[], $4::timestamptz[])
              AS u (symbol, definition, version, changed_at)
         ON CONFLICT (symbol) DO UPDATE
         SET definition = EXCLUDED.definition, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at
         WHERE instruments.version < EXCLUDED.version",
        &symbols as _,
        &definitions as _,
        &versions,
        &times
    )
    .execute(tx)
    .await?;
    all_written(i64::try_from(written.rows_affected()).unwrap_or(-1), listings.len())
}
