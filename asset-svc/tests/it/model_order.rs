//! An order of the model: a list of fills, from which everything is worked out anew.

use brokerage_types::HoldId;

use crate::asks::{CENT, ONE};

/// An order's money, from first principles.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: HoldId,
    pub who: usize,
    pub buy: bool,
    pub share: usize,
    pub quantity: i128,
    pub limit: i128,
    pub ppm: i128,
    pub fills: Vec<(i128, i128)>,
    pub open: bool,
    /// Whether the hold came to be.
    pub placed: bool,
}

pub fn product(price: i128, quantity: i128) -> i128 {
    price * quantity / ONE
}

fn fee(notional: i128, ppm: i128) -> i128 {
    (notional * ppm + 500_000 * CENT) / (1_000_000 * CENT) * CENT
}

fn fee_up(notional: i128, ppm: i128) -> i128 {
    (notional * ppm + 1_000_000 * CENT - 1) / (1_000_000 * CENT) * CENT
}

impl Order {
    pub fn leaves(&self) -> i128 {
        self.quantity - self.fills.iter().map(|(quantity, _)| quantity).sum::<i128>()
    }

    fn traded(&self) -> i128 {
        self.fills.iter().map(|(quantity, price)| product(*price, *quantity)).sum()
    }

    /// Commission so far: of the whole for a buy, fill by fill and never beyond the proceeds for a sell.
    pub fn charged(&self) -> i128 {
        if self.buy {
            return fee(self.traded(), self.ppm);
        }
        let (mut traded, mut charged) = (0, 0);
        for (quantity, price) in &self.fills {
            let proceeds = product(*price, *quantity);
            traded += proceeds;
            charged += (fee(traded, self.ppm) - charged).min(proceeds);
        }
        charged
    }

    /// What is held for it now.
    pub fn needs(&self) -> i128 {
        let leaves = self.leaves();
        match (self.open && leaves > 0, self.buy) {
            (false, _) => 0,
            (true, false) => leaves,
            (true, true) => {
                let open = product(self.limit, leaves);
                open + fee_up(self.traded() + open, self.ppm) - fee(self.traded(), self.ppm)
            }
        }
    }

    pub fn held_asset(&self) -> usize {
        if self.buy { 0 } else { self.share }
    }
}
