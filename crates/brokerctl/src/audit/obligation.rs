//! What a live order may still cost, computed once more from scratch (rules L-4 and L-5).

use brokerage_types::{Amount, FeeRate, MoneyError, Price, Quantity, Side, notional};

/// An order as far as money has moved for it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Buy or sell.
    pub side: Side,
    /// Worst price.
    pub limit: Price,
    /// Neither filled nor given up.
    pub leaves: Quantity,
    /// Price × quantity of all fills.
    pub cum_notional: Amount,
}

/// Commission, as the hold took it down when it was placed.
#[derive(Clone, Copy, Debug)]
pub struct Commission {
    /// The share of the notional.
    pub rate: FeeRate,
    /// Decimals of a fee.
    pub scale: u32,
}

impl Commission {
    /// What a buy of this cumulative notional has been charged, to the last unit. For a sell it is the most.
    pub fn due(self, cum_notional: Amount) -> Result<Amount, MoneyError> {
        self.rate.fee(cum_notional, self.scale)
    }
}

/// What must remain in the hold, in the held asset.
///
/// What was charged so far is computed and not read, so a wrong fee on the hold shows as that (A9) and not here.
pub fn obligation(order: &Progress, commission: Commission) -> Result<Amount, MoneyError> {
    match order.side {
        Side::Sell => Ok(order.leaves.amount()),
        // The last fill pays its fee; what was kept beyond it is not owed.
        Side::Buy if order.leaves.is_zero() => Ok(Amount::ZERO),
        Side::Buy => {
            let open = notional(order.limit, order.leaves)?;
            let in_the_end = order.cum_notional.checked_add(open)?;
            let reserve = commission.rate.fee_ceil(in_the_end, commission.scale)?;
            Ok(open.checked_add(reserve)?.checked_sub(commission.due(order.cum_notional)?)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obligation_is_what_is_open_and_the_fee_to_come() {
        // side, limit, leaves, cumulative notional, ppm, obligation
        let table = [
            (Side::Sell, "10", "7", "0", 1_500, "7"),
            (Side::Sell, "10", "0", "70", 1_500, "0"),
            (Side::Buy, "10", "7", "0", 0, "70"),
            // 0.15 % of 70 is 0.105: rounded up.
            (Side::Buy, "10", "7", "0", 1_500, "70.11"),
            // 0.15 % of 30 + 40 less the 0.05 (0.045, half up) that are paid.
            (Side::Buy, "10", "4", "30", 1_500, "40.06"),
            (Side::Buy, "10", "0", "70", 1_500, "0"),
        ];
        for (side, limit, leaves, cum, ppm, expected) in table {
            let order = Progress {
                side,
                limit: Price::parse(limit).unwrap(),
                leaves: Quantity::parse(leaves).unwrap(),
                cum_notional: Amount::parse(cum).unwrap(),
            };
            let commission = Commission { rate: FeeRate::from_ppm(ppm).unwrap(), scale: 2 };
            let found = obligation(&order, commission).unwrap();
            assert_eq!(found.to_string(), expected, "{side:?} {limit} {leaves} {cum} {ppm}");
        }
    }
}
