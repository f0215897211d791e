//! What can be traded, and which prices and quantities it takes.
//!
//! An instrument that passed [`Instrument::validate`] cannot produce a notional that needs rounding. Checks here
//! see one order alone; balances, halts and opposite orders are for the services.

use serde::{Deserialize, Serialize};

use crate::{
    Amount, AssetCode, FieldViolation, MONEY_SCALE_MAX, MoneyError, Price, Quantity, Reason, Symbol, notional,
};

/// Whether an instrument trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstrumentState {
    /// Orders open and match.
    Open,
    /// No order opens, no match starts; cancels work.
    Halted,
}

impl InstrumentState {
    /// `OPEN` or `HALTED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Halted => "HALTED",
        }
    }

    /// How the database and the wire number it.
    pub const fn code(self) -> i16 {
        match self {
            Self::Open => 1,
            Self::Halted => 2,
        }
    }

    /// The state of that number, if there is one.
    pub const fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Halted),
            _ => None,
        }
    }
}

/// A price from which a tick applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TickBand {
    /// The band starts here, inclusive; the first band at 0.
    pub from: Amount,
    /// Prices in the band are multiples of this.
    pub tick: Price,
}

/// What can be traded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instrument {
    /// Its name.
    pub symbol: Symbol,
    /// What is bought.
    pub base: AssetCode,
    /// What is paid with.
    pub quote: AssetCode,
    /// Most decimals of a price.
    pub price_scale: u32,
    /// Most decimals of a quantity.
    pub quantity_scale: u32,
    /// How many decimals the ledger of the quote asset keeps.
    pub quote_ledger_scale: u32,
    /// Ascending; the first starts at 0.
    pub tick_bands: Vec<TickBand>,
    /// Quantities are multiples of this.
    pub lot: Quantity,
    /// Least quantity of an order; none: one lot.
    pub min_quantity: Option<Quantity>,
    /// Most quantity of an order; none: no bound but the grammar's.
    pub max_quantity: Option<Quantity>,
    /// Least price × quantity of an order; none: 0.
    pub min_notional: Option<Amount>,
    /// Open or halted.
    pub state: InstrumentState,
}

impl Instrument {
    /// Checks the instrument itself and says everything that is wrong, each with its field on the wire.
    pub fn validate(&self) -> Result<(), Vec<FieldViolation>> {
        let mut found = Vec::new();
        self.check_scales(&mut found);
        self.check_tick_bands(&mut found);
        self.check_quantities(&mut found);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// Everything that is wrong with an order of this price and quantity; nothing if it may be placed.
    pub fn check_order(&self, price: Price, quantity: Quantity) -> Vec<FieldViolation> {
        let mut found = Vec::new();
        self.check_price(price, &mut found);
        self.check_quantity(quantity, &mut found);
        self.check_notional(price, quantity, &mut found);
        found
    }

    /// The tick that applies to a price: that of the last band that starts at or below it.
    pub fn tick_at(&self, price: Price) -> Option<Price> {
        self.tick_bands.iter().rev().find(|band| band.from <= price.amount()).map(|band| band.tick)
    }

    fn check_scales(&self, found: &mut Vec<FieldViolation>) {
        if self.base == self.quote {
            let text = "must differ from base_asset";
            found.push(FieldViolation::new("quote_asset", Reason::FieldInvalid, text));
        }
        let scales = [
            ("price_scale", self.price_scale),
            ("quantity_scale", self.quantity_scale),
            ("quote_ledger_scale", self.quote_ledger_scale),
        ];
        for (field, scale) in scales {
            if scale > MONEY_SCALE_MAX {
                let text = format!("must be at most {MONEY_SCALE_MAX}");
                found.push(FieldViolation::new(field, Reason::FieldInvalid, text));
            }
        }
        if self.price_scale.saturating_add(self.quantity_scale) > self.quote_ledger_scale {
            let text = "must be at least price_scale + quantity_scale, so that no notional is ever rounded";
            found.push(FieldViolation::new("quote_ledger_scale", Reason::FieldInvalid, text));
        }
    }

    fn check_tick_bands(&self, found: &mut Vec<FieldViolation>) {
        match self.tick_bands.first() {
            None => found.push(FieldViolation::new("tick_bands", Reason::FieldRequired, "must not be empty")),
            Some(first) if !first.from.is_zero() => {
                let text = "the first band must start at 0";
                found.push(FieldViolation::new("tick_bands[0].from_price", Reason::FieldInvalid, text));
            }
            Some(_) => {}
        }
        let mut previous: Option<Amount> = None;
        for (index, band) in self.tick_bands.iter().enumerate() {
            let from_field = format!("tick_bands[{index}].from_price");
            check_decimals(&from_field, band.from.decimals(), self.price_scale, found);
            check_decimals(
                &format!("tick_bands[{index}].tick"),
                band.tick.decimals(),
                self.price_scale,
                found,
            );
            if previous.is_some_and(|previous| band.from <= previous) {
                let text = "must be more than the start of the band before";
                found.push(FieldViolation::new(from_field, Reason::FieldInvalid, text));
            }
            previous = Some(band.from);
        }
    }

    fn check_quantities(&self, found: &mut Vec<FieldViolation>) {
        if self.lot.is_zero() {
            found.push(FieldViolation::new("lot", Reason::AmountNotPositive, "must be more than 0"));
        }
        check_decimals("lot", self.lot.decimals(), self.quantity_scale, found);
        for (field, bound) in [("min_quantity", self.min_quantity), ("max_quantity", self.max_quantity)] {
            let Some(bound) = bound else { continue };
            if bound.is_zero() {
                found.push(FieldViolation::new(field, Reason::AmountNotPositive, "must be more than 0"));
            } else if self.lot.is_positive() && !bound.is_multiple_of(self.lot) {
                let text = format!("must be a multiple of the lot, {}", self.lot);
                found.push(FieldViolation::new(field, Reason::OffLot, text));
            }
        }
        if let Some(most) = self.max_quantity
            && most < self.min_quantity.unwrap_or(self.lot)
        {
            let text = "must be at least one lot and at least min_quantity";
            found.push(FieldViolation::new("max_quantity", Reason::FieldInvalid, text));
        }
        if let Some(least) = self.min_notional {
            if least.is_negative() {
                let text = "must not be less than 0";
                found.push(FieldViolation::new("min_notional", Reason::AmountNotPositive, text));
            }
            check_decimals("min_notional", least.decimals(), self.quote_ledger_scale, found);
        }
    }

    fn check_price(&self, price: Price, found: &mut Vec<FieldViolation>) {
        if check_decimals("limit_price", price.decimals(), self.price_scale, found) {
            match self.tick_at(price) {
                Some(tick) if price.is_multiple_of(tick) => {}
                Some(tick) => {
                    let text = format!("must be a multiple of {tick} at this price");
                    found.push(FieldViolation::new("limit_price", Reason::OffTick, text));
                }
                None => {
                    let text = "no tick applies at this price";
                    found.push(FieldViolation::new("limit_price", Reason::OffTick, text));
                }
            }
        }
    }

    fn check_quantity(&self, quantity: Quantity, found: &mut Vec<FieldViolation>) {
        if quantity.is_zero() {
            found.push(FieldViolation::new("quantity", Reason::AmountNotPositive, "must be more than 0"));
            return;
        }
        if check_decimals("quantity", quantity.decimals(), self.quantity_scale, found)
            && !quantity.is_multiple_of(self.lot)
        {
            let text = format!("must be a multiple of {}", self.lot);
            found.push(FieldViolation::new("quantity", Reason::OffLot, text));
        }
        // Without a least quantity it is one lot, and less than one lot is off the lot already.
        if let Some(least) = self.min_quantity.filter(|least| quantity < *least) {
            let text = format!("must be at least {least}");
            found.push(FieldViolation::new("quantity", Reason::BelowMinQuantity, text));
        }
        if let Some(most) = self.max_quantity.filter(|most| quantity > *most) {
            let text = format!("must be at most {most}");
            found.push(FieldViolation::new("quantity", Reason::AboveMaxQuantity, text));
        }
    }

    fn check_notional(&self, price: Price, quantity: Quantity, found: &mut Vec<FieldViolation>) {
        // With too many decimals already reported, the product says nothing new.
        if price.decimals() > self.price_scale
            || quantity.decimals() > self.quantity_scale
            || quantity.is_zero()
        {
            return;
        }
        match notional(price, quantity) {
            Ok(value) => {
                if let Some(least) = self.min_notional.filter(|least| value < *least) {
                    let text = format!("price × quantity is {value} and must be at least {least}");
                    found.push(FieldViolation::new("quantity", Reason::BelowMinNotional, text));
                }
            }
            Err(MoneyError::Overflow) => {
                let text = "price × quantity has more than 18 digits before the decimal point";
                found.push(FieldViolation::new("quantity", Reason::AmountTooLarge, text));
            }
            Err(MoneyError::Inexact) => {
                let text = format!("price × quantity has more than {MONEY_SCALE_MAX} decimals");
                found.push(FieldViolation::new("quantity", Reason::TooManyDecimals, text));
            }
        }
    }
}

/// True if the number has few enough decimals; otherwise says so.
fn check_decimals(field: &str, decimals: u32, scale: u32, found: &mut Vec<FieldViolation>) -> bool {
    if decimals <= scale {
        return true;
    }
    let text = format!("has {decimals} decimals and may have at most {scale}");
    found.push(FieldViolation::new(field, Reason::TooManyDecimals, text));
    false
}

#[cfg(test)]
mod tests;
