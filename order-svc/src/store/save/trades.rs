//! Matches and the trades that they become.

use service_kit::executor::SaveError;
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::all_written;
use crate::domain::matching::MatchState;
use crate::store::world::{HeldMatch, NewTrade};

/// Writes matches: new ones, and new states.
pub async fn write_matches(tx: &mut PgConnection, matches: &[&HeldMatch]) -> Result<(), SaveError> {
    if matches.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = matches.iter().map(|held| held.entry.deal.trade_id.uuid()).collect();
    let instruments: Vec<&str> = matches.iter().map(|held| held.entry.deal.instrument.as_str()).collect();
    let buys: Vec<Uuid> = matches.iter().map(|held| held.entry.deal.buy_order_id.uuid()).collect();
    let sells: Vec<Uuid> = matches.iter().map(|held| held.entry.deal.sell_order_id.uuid()).collect();
    let quantities: Vec<Decimal> = matches.iter().map(|held| held.entry.deal.quantity.to_decimal()).collect();
    let prices: Vec<Decimal> = matches.iter().map(|held| held.entry.deal.price.to_decimal()).collect();
    let states: Vec<&str> = matches.iter().map(|held| held.entry.state.as_str()).collect();
    let created: Vec<_> = matches.iter().map(|held| held.entry.created_at).collect();
    let updated: Vec<_> = matches.iter().map(|held| held.entry.updated_at).collect();
    let stored: Vec<&str> =
        matches.iter().map(|held| held.stored_state.map_or("", MatchState::as_str)).collect();
    let written = sqlx::query_file_scalar!(
        "src/store/save/write_matches.sql",
        &ids,
        &instruments as _,
        &buys,
        &sells,
        &quantities,
        &prices,
        &states as _,
        &created,
        &updated,
        &stored as _
    )
    .fetch_one(tx)
    .await?;
    all_written(written, matches.len())
}

/// Writes trades that come into effect.
pub async fn write_trades(tx: &mut PgConnection, trades: &[NewTrade]) -> Result<(), SaveError> {
    if trades.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = trades.iter().map(|trade| trade.deal.trade_id.uuid()).collect();
    let instruments: Vec<&str> = trades.iter().map(|trade| trade.deal.instrument.as_str()).collect();
    let numbers: Vec<i64> = trades.iter().map(|trade| trade.trade_seq).collect();
    let buys: Vec<Uuid> = trades.iter().map(|trade| trade.deal.buy_order_id.uuid()).collect();
    let sells: Vec<Uuid> = trades.iter().map(|trade| trade.deal.sell_order_id.uuid()).collect();
    let buyers: Vec<&str> = trades.iter().map(|trade| trade.buy_customer.as_str()).collect();
    let sellers: Vec<&str> = trades.iter().map(|trade| trade.sell_customer.as_str()).collect();
    let quantities: Vec<Decimal> = trades.iter().map(|trade| trade.deal.quantity.to_decimal()).collect();
    let prices: Vec<Decimal> = trades.iter().map(|trade| trade.deal.price.to_decimal()).collect();
    let aggressors: Vec<&str> = trades.iter().map(|trade| trade.aggressor.as_str()).collect();
    let times: Vec<_> = trades.iter().map(|trade| trade.created_at).collect();
    let written = sqlx::query!(
        "INSERT INTO trades (trade_id, instrument, trade_seq, buy_order_id, sell_order_id, buy_customer_id,
             sell_customer_id, quantity, price, aggressor, created_at)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
             $8::numeric[], $9::numeric[], $10::text[], $11::timestamptz[])
         ON CONFLICT DO NOTHING",
        &ids,
        &instruments as _,
        &numbers,
        &buys,
        &sells,
        &buyers as _,
        &sellers as _,
        &quantities,
        &prices,
        &aggressors as _,
        &times
    )
    .execute(tx)
    .await?;
    all_written(i64::try_from(written.rows_affected()).unwrap_or(-1), trades.len())
}
