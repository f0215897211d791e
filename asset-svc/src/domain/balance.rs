//! What a customer has of one asset: his two guarded accounts, with their counters.

use brokerage_types::{Amount, AssetCode, Overflow};
use service_kit::defect;

use super::ledger::Part;

/// Two running balances. Neither is ever negative, and nothing is ever clamped to make it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Free to use.
    pub available: Amount,
    /// Held for orders.
    pub held: Amount,
    /// Counts the postings of the available account.
    pub available_seq: i64,
    /// Counts the postings of the held account.
    pub held_seq: i64,
    /// Counts the changes of both together; 0 means that there is no row yet.
    pub version: i64,
}

/// What a customer is told he has of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The asset.
    pub asset: AssetCode,
    /// Usable and held together.
    pub total: Amount,
    /// Free to use.
    pub usable: Amount,
    /// Held for orders.
    pub held: Amount,
    /// Counts changes; 0 for an instant in the past.
    pub version: i64,
}

/// A posting that a guarded account does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The account would be negative by so much.
    Short(Amount),
    /// The sum leaves the ledger's range.
    Overflow,
}

impl From<Overflow> for Refused {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

impl Balance {
    /// Both accounts together.
    ///
    /// # Errors
    /// Never for a balance that came from postings: the total is bounded whenever it grows.
    pub fn total(&self) -> Result<Amount, Overflow> {
        self.available.checked_add(self.held)
    }

    /// As the customer is told.
    ///
    /// # Errors
    /// Never for a balance that came from postings.
    pub fn holding(&self, asset: &AssetCode) -> Result<Holding, Overflow> {
        let (total, usable, held) = (self.total()?, self.available, self.held);
        Ok(Holding { asset: asset.clone(), total, usable, held, version: self.version })
    }

    /// One account.
    #[must_use]
    pub const fn of(&self, part: Part) -> Amount {
        match part {
            Part::Available => self.available,
            Part::Held => self.held,
        }
    }

    /// How many postings one account has had.
    #[must_use]
    pub const fn seq(&self, part: Part) -> i64 {
        match part {
            Part::Available => self.available_seq,
            Part::Held => self.held_seq,
        }
    }

    /// How many postings both have had: the place of the latest one in the statement.
    #[must_use]
    pub const fn statement_seq(&self) -> i64 {
        self.available_seq + self.held_seq
    }

    /// The balance after one more posting.
    ///
    /// # Errors
    /// When the account would be negative or out of range.
    pub fn after(mut self, part: Part, amount: Amount) -> Result<Self, Refused> {
        let (balance, seq) = match part {
            Part::Available => (&mut self.available, &mut self.available_seq),
            Part::Held => (&mut self.held, &mut self.held_seq),
        };
        let mut after = balance.checked_add(amount)?;
        if defect::is_seeded("negative_balance_clamped") {
            after = after.max(Amount::ZERO);
        }
        if after.is_negative() {
            return Err(Refused::Short(after.neg()));
        }
        *balance = after;
        *seq += 1;
        // What moves between the two accounts keeps the total, so a release can never be out of range.
        self.total()?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn a_posting_counts_and_a_short_account_says_by_how_much() {
        let start = Balance { available: amount("10"), available_seq: 4, ..Balance::default() };
        let after = start.after(Part::Available, amount("-10")).unwrap();
        assert_eq!((after.available, after.available_seq, after.statement_seq()), (Amount::ZERO, 5, 5));
        assert_eq!(
            start.after(Part::Available, amount("-10.00000001")),
            Err(Refused::Short(amount("0.00000001")))
        );
        assert_eq!(start.after(Part::Held, amount("-1")), Err(Refused::Short(amount("1"))));
    }

    #[test]
    fn the_total_is_bounded_so_that_a_release_always_fits() {
        let most = amount("999999999999999999.99999999");
        let full = Balance { held: most, ..Balance::default() };
        assert_eq!(full.after(Part::Available, amount("0.00000001")), Err(Refused::Overflow));
        let moved = full.after(Part::Held, most.neg()).unwrap().after(Part::Available, most).unwrap();
        assert_eq!(moved.available, most);
    }
}
