//! A hold: what is kept back for one order, and the authority on what was taken from it.
//!
//! Rules L-5 and L-12. A buy holds `L·leaves + reserve(cum_notional + L·leaves) − cum_fee` of the quote asset, `L`
//! being its limit; a sell holds `leaves` of the base asset and pays its fee out of the proceeds. A fill at a price
//! no worse than `L` always leaves enough: what the formula no longer asks for (price improvement and slack of the
//! fee) is released by the same fill, so a filled hold is exactly empty. Nothing here moves money; `settle` does.

use brokerage_types::{Amount, AssetCode, CustomerId, HoldId, MoneyError, Price, Quantity, Side, notional};
use service_kit::defect;

use super::fees::Commission;
use super::rejection::Rejection;

/// What a hold is for. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whose.
    pub customer: CustomerId,
    /// Buy or sell.
    pub side: Side,
    /// What is bought or sold.
    pub base: AssetCode,
    /// What is paid with.
    pub quote: AssetCode,
    /// Worst price.
    pub limit: Price,
    /// How much in all.
    pub quantity: Quantity,
    /// The commission, fixed when the hold was placed.
    pub commission: Commission,
}

/// Whether a hold still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Something remains.
    Active,
    /// Nothing remains, and never will.
    Closed,
}

impl State {
    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Closed => "CLOSED",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Closed].into_iter().find(|state| state.as_str() == name)
    }
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id: the order's.
    pub id: HoldId,
    /// What it is for.
    pub terms: Terms,
    /// Filled so far.
    pub cum_quantity: Quantity,
    /// Price × quantity of all fills.
    pub cum_notional: Amount,
    /// Commission charged so far.
    pub cum_fee: Amount,
    /// What was held at first.
    pub placed: Amount,
    /// What fills have taken from it.
    pub captured: Amount,
    /// What went back to the customer.
    pub released: Amount,
    /// Active or closed.
    pub state: State,
    /// Counts changes from 1.
    pub version: i64,
}

/// One fill's effect on one hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The hold afterwards.
    pub hold: Hold,
    /// The fill's price × quantity.
    pub notional: Amount,
    /// The commission of this fill: out of the hold for a buy, out of the proceeds for a sell.
    pub fee: Amount,
    /// What goes back to the customer because of the fill.
    pub released: Amount,
}

impl Terms {
    /// The asset that is held: money for a buy, shares for a sell.
    #[must_use]
    pub const fn held_asset(&self) -> &AssetCode {
        match self.side {
            Side::Buy => &self.quote,
            Side::Sell => &self.base,
        }
    }

    /// What must be held when so much is filled and so much has been charged.
    fn obligation(&self, filled: &Progress) -> Result<Amount, MoneyError> {
        let leaves = self.quantity.checked_sub(filled.quantity)?;
        match self.side {
            Side::Sell => Ok(leaves.amount()),
            // The last fill has paid its fee; what was reserved beyond that is not owed.
            Side::Buy if leaves.is_zero() => Ok(Amount::ZERO),
            Side::Buy => {
                let open = notional(self.limit, leaves)?;
                let reserve = self.commission.reserve(filled.notional.checked_add(open)?)?;
                Ok(open.checked_add(reserve)?.checked_sub(filled.fee)?)
            }
        }
    }
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    quantity: Quantity,
    notional: Amount,
    fee: Amount,
}

impl Hold {
    /// A new hold for an order of which nothing is filled.
    ///
    /// # Errors
    /// When the amount to hold is out of range.
    pub fn place(id: HoldId, terms: Terms) -> Result<Self, MoneyError> {
        let placed = terms.obligation(&Progress::default())?;
        Ok(Self {
            id,
            terms,
            cum_quantity: Quantity::ZERO,
            cum_notional: Amount::ZERO,
            cum_fee: Amount::ZERO,
            placed,
            captured: Amount::ZERO,
            released: Amount::ZERO,
            state: State::Active,
            version: 1,
        })
    }

    /// What is still held.
    ///
    /// # Errors
    /// Never for a hold whose row satisfies its constraints.
    pub fn remaining(&self) -> Result<Amount, MoneyError> {
        Ok(self.placed.checked_sub(self.captured)?.checked_sub(self.released)?)
    }

    /// What is not filled.
    ///
    /// # Errors
    /// Never for a hold whose row satisfies its constraints.
    pub fn leaves(&self) -> Result<Quantity, MoneyError> {
        Ok(self.terms.quantity.checked_sub(self.cum_quantity)?)
    }

    /// Takes a fill's share out of the hold and releases what the rest no longer needs.
    ///
    /// # Errors
    /// A closed hold, more than is left, a price worse than the limit; the hold itself is not touched.
    pub fn capture(&self, quantity: Quantity, price: Price) -> Result<Capture, Rejection> {
        self.may_fill(quantity, price)?;
        let traded = notional(price, quantity)?;
        let cum_notional = self.cum_notional.checked_add(traded)?;
        let owed = self.terms.commission.due(cum_notional)?.checked_sub(self.cum_fee)?;
        let (fee, taken) = match self.terms.side {
            Side::Buy => (owed, traded.checked_add(owed)?),
            // Never more than the fill brings in. What is not collected stays in the cumulative target.
            Side::Sell => (owed.min(traded), quantity.amount()),
        };
        let filled = Progress {
            quantity: self.cum_quantity.checked_add(quantity)?,
            notional: cum_notional,
            fee: self.cum_fee.checked_add(fee)?,
        };
        let kept = self.terms.obligation(&filled)?;
        let mut released = self.remaining()?.checked_sub(taken)?.checked_sub(kept)?;
        if defect::is_seeded("price_improvement_kept") {
            released = Amount::ZERO;
        }
        if released.is_negative() || fee.is_negative() {
            return Err(Rejection::Broken("a fill within its limit needs more than is held"));
        }
        let hold = Self {
            cum_quantity: filled.quantity,
            cum_notional: filled.notional,
            cum_fee: filled.fee,
            captured: self.captured.checked_add(taken)?,
            released: self.released.checked_add(released)?,
            state: if kept.is_zero() { State::Closed } else { State::Active },
            version: self.version + 1,
            ..self.clone()
        };
        Ok(Capture { hold, notional: traded, fee, released })
    }

    /// Releases whatever remains and closes the hold: the hold afterwards, and how much goes back.
    ///
    /// `None` for a hold that is closed already.
    ///
    /// # Errors
    /// Never for a hold whose row satisfies its constraints.
    pub fn close(&self) -> Result<Option<(Self, Amount)>, MoneyError> {
        match self.state {
            State::Closed if !defect::is_seeded("closed_hold_released_again") => Ok(None),
            State::Closed | State::Active => {
                let residual = self.remaining()?;
                let released = self.released.checked_add(residual)?;
                let closed =
                    Self { released, state: State::Closed, version: self.version + 1, ..self.clone() };
                Ok(Some((closed, residual)))
            }
        }
    }

    fn may_fill(&self, quantity: Quantity, price: Price) -> Result<(), Rejection> {
        match self.state {
            State::Closed => return Err(Rejection::HoldClosed(self.id)),
            State::Active => {}
        }
        let leaves = self.leaves()?;
        if quantity > leaves && !defect::is_seeded("hold_overdrawn") {
            return Err(Rejection::HoldInsufficient { hold: self.id, leaves, quantity });
        }
        let limit = self.terms.limit;
        let worse = match self.terms.side {
            Side::Buy => price > limit,
            Side::Sell => price < limit,
        };
        if worse {
            return Err(Rejection::PriceOutsideLimits { hold: self.id, limit, price });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
