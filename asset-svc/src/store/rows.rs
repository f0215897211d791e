//! Rows as domain values. What the database holds was written by us, so a value that does not parse is a fault.

use std::error::Error;

use brokerage_types::{Amount, AssetCode, CustomerId, FeeRate, HoldId, Price, Quantity, Side};
use sqlx::types::{Decimal, Uuid};

use crate::domain::asset::Asset;
use crate::domain::balance::Balance;
use crate::domain::customer::{Customer, State as CustomerState, Tier};
use crate::domain::fees::Commission;
use crate::domain::hold::{Hold, State as HoldState, Terms};

/// A row that we did not write like this.
pub(super) fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

pub(super) fn amount(decimal: Decimal) -> Result<Amount, sqlx::Error> {
    Amount::from_decimal(decimal).map_err(broken)
}

pub(super) fn asset_code(text: &str) -> Result<AssetCode, sqlx::Error> {
    AssetCode::parse(text).map_err(broken)
}

pub(super) fn customer_id(text: &str) -> Result<CustomerId, sqlx::Error> {
    CustomerId::parse(text).map_err(broken)
}

pub(super) fn scale(number: i16) -> Result<u32, sqlx::Error> {
    u32::try_from(number).map_err(broken)
}

pub(super) fn rate(ppm: i32) -> Result<FeeRate, sqlx::Error> {
    FeeRate::from_ppm(u32::try_from(ppm).map_err(broken)?).map_err(broken)
}

pub(super) fn tier(name: &str) -> Result<Tier, sqlx::Error> {
    Tier::from_name(name).ok_or_else(|| broken(format!("tier {name}")))
}

pub(super) struct AssetRow {
    pub asset: String,
    pub ledger_scale: i16,
    pub transfer_scale: i16,
}

impl TryFrom<AssetRow> for Asset {
    type Error = sqlx::Error;

    fn try_from(row: AssetRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            asset: asset_code(&row.asset)?,
            ledger_scale: scale(row.ledger_scale)?,
            transfer_scale: scale(row.transfer_scale)?,
        })
    }
}

pub(super) struct CustomerRow {
    pub customer_id: String,
    pub name: String,
    pub tier: String,
    pub state: String,
    pub version: i64,
}

impl TryFrom<CustomerRow> for Customer {
    type Error = sqlx::Error;

    fn try_from(row: CustomerRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            customer_id: customer_id(&row.customer_id)?,
            tier: tier(&row.tier)?,
            state: CustomerState::from_name(&row.state)
                .ok_or_else(|| broken(format!("customer state {}", row.state)))?,
            name: row.name,
            version: row.version,
        })
    }
}

pub(super) struct BalanceRow {
    pub owner: String,
    pub asset: String,
    pub available: Decimal,
    pub held: Decimal,
    pub available_seq: i64,
    pub held_seq: i64,
    pub version: i64,
}

impl BalanceRow {
    pub fn into_parts(self) -> Result<((CustomerId, AssetCode), Balance), sqlx::Error> {
        let balance = Balance {
            available: amount(self.available)?,
            held: amount(self.held)?,
            available_seq: self.available_seq,
            held_seq: self.held_seq,
            version: self.version,
        };
        Ok(((customer_id(&self.owner)?, asset_code(&self.asset)?), balance))
    }
}

pub(super) struct HoldRow {
    pub hold_id: Uuid,
    pub customer_id: String,
    pub side: i16,
    pub base_asset: String,
    pub quote_asset: String,
    pub limit_price: Decimal,
    pub quantity: Decimal,
    pub cum_quantity: Decimal,
    pub cum_notional: Decimal,
    pub cum_fee: Decimal,
    pub fee_ppm: i32,
    pub fee_scale: i16,
    pub placed: Decimal,
    pub captured: Decimal,
    pub released: Decimal,
    pub status: String,
    pub version: i64,
}

impl TryFrom<HoldRow> for Hold {
    type Error = sqlx::Error;

    fn try_from(row: HoldRow) -> Result<Self, sqlx::Error> {
        let terms = Terms {
            customer: customer_id(&row.customer_id)?,
            side: Side::from_code(row.side).ok_or_else(|| broken(format!("side {}", row.side)))?,
            base: asset_code(&row.base_asset)?,
            quote: asset_code(&row.quote_asset)?,
            limit: Price::from_decimal(row.limit_price).map_err(broken)?,
            quantity: Quantity::from_decimal(row.quantity).map_err(broken)?,
            commission: Commission { rate: rate(row.fee_ppm)?, scale: scale(row.fee_scale)? },
        };
        Ok(Self {
            id: HoldId::from(row.hold_id),
            terms,
            cum_quantity: Quantity::from_decimal(row.cum_quantity).map_err(broken)?,
            cum_notional: amount(row.cum_notional)?,
            cum_fee: amount(row.cum_fee)?,
            placed: amount(row.placed)?,
            captured: amount(row.captured)?,
            released: amount(row.released)?,
            state: HoldState::from_name(&row.status)
                .ok_or_else(|| broken(format!("hold status {}", row.status)))?,
            version: row.version,
        })
    }
}
