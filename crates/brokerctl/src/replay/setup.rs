//! What a run needs before its first message: an instrument of its own, two customers, enough balances.

use anyhow::Result;
use brokerage_types::Side;
use uuid::Uuid;

use super::fold::{FileOrder, Folded};
use crate::api::Api;
use crate::market::{Listing, MONEY_SCALES, Market, SHARE_SCALES};

const BASE: &str = "AAPL";
const QUOTE: &str = "USD";
/// Whose orders the file's orders are.
const MAKER: &str = "replay-maker";
/// Who trades against them.
const TAKER: &str = "replay-taker";
/// Prices of the file have four decimals; most instruments need two.
const PRICE_SCALES: std::ops::RangeInclusive<u32> = 2..=4;
/// Stands between a label and its attempt.
const ATTEMPT_MARK: char = '~';
/// Covers commission: 5 % more than price × quantity.
const HEADROOM_NUMERATOR: u128 = 105;
const HEADROOM_DENOMINATOR: u128 = 100;
/// Prices of the file are in 1/10,000 of the quote unit.
const FILE_PRICES_PER_UNIT: u128 = 10_000;

/// One run: its own instrument, so that its book starts empty.
#[derive(Clone, Debug)]
pub struct Run {
    /// Makes every request id of the run.
    pub id: Uuid,
    /// Its instrument.
    pub symbol: String,
    /// Whose orders the file's orders are.
    pub maker: &'static str,
    /// Who trades against them.
    pub taker: &'static str,
}

impl Run {
    /// A run that nobody had before.
    #[must_use]
    pub fn fresh() -> Self {
        let id = Uuid::new_v4();
        // 12 hexadecimal digits: a second run with the same ones would be refused for its labels, not mixed up.
        let tail = id.simple().to_string()[..12].to_uppercase();
        Self { id, symbol: format!("REPLAY-{tail}"), maker: MAKER, taker: TAKER }
    }

    /// The label of an order: unique per customer for ever, so the run's symbol is part of it, and so is the attempt:
    /// an order that was given up keeps its label.
    #[must_use]
    pub fn label(&self, of: &str, attempt: u32) -> String {
        match attempt {
            0 => format!("{}:{of}", self.symbol),
            again => format!("{}:{of}{ATTEMPT_MARK}{again}", self.symbol),
        }
    }

    /// The label without its attempt.
    #[must_use]
    pub fn first_label(label: &str) -> &str {
        label.split(ATTEMPT_MARK).next().unwrap_or(label)
    }

    /// The id of one request of this run.
    #[must_use]
    pub fn request_id(&self, what: &str) -> String {
        Uuid::new_v5(&self.id, what.as_bytes()).to_string()
    }
}

/// What a side of the market has to bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Need {
    money_in_file_units: u128,
    shares: u128,
}

impl Need {
    fn add(&mut self, side: Side, shares: u64, price: i64) {
        match side {
            Side::Buy => self.money_in_file_units += u128::from(shares) * u128::from(price.unsigned_abs()),
            Side::Sell => self.shares += u128::from(shares),
        }
    }

    /// Whole units, rounded up, with headroom for commission.
    fn money(&self) -> u128 {
        (self.money_in_file_units * HEADROOM_NUMERATOR).div_ceil(HEADROOM_DENOMINATOR * FILE_PRICES_PER_UNIT)
    }
}

/// As if every order were open at once, and what was traded never came back.
fn needs(folded: &Folded) -> (Need, Need) {
    let (mut maker, mut taker) = (Need::default(), Need::default());
    for FileOrder { side, price, size, executed, .. } in folded.orders.values() {
        maker.add(*side, *size, price.0);
        taker.add(side.opposite(), *executed, price.0);
    }
    (maker, taker)
}

/// Sets the market up for one run.
///
/// # Errors
/// What the mesh refused; or it could not be asked.
pub async fn set_up(api: Api, run: &Run, folded: &Folded) -> Result<()> {
    let mut market = Market::new(api, format!("replay/{}", run.id));
    market.asset(BASE, SHARE_SCALES).await?;
    market.asset(QUOTE, MONEY_SCALES).await?;
    let needed = folded.orders.values().map(|order| order.price.decimals()).max().unwrap_or(0);
    let price_scale = needed.clamp(*PRICE_SCALES.start(), *PRICE_SCALES.end());
    let tick = format!("0.{:0>width$}", 1, width = price_scale as usize);
    let ticks = [("0", tick.as_str())];
    market
        .instrument(&Listing { symbol: &run.symbol, base: BASE, quote: QUOTE, price_scale, ticks: &ticks })
        .await?;
    let (maker, taker) = needs(folded);
    for (customer, name, need) in [(run.maker, "Replay maker", maker), (run.taker, "Replay taker", taker)] {
        market.customer(customer, name).await?;
        for (asset, amount) in [(QUOTE, need.money()), (BASE, need.shares)] {
            if amount > 0 {
                market.deposit(customer, asset, &amount.to_string()).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{fold::fold, message::parse};
    use super::*;

    #[test]
    fn both_sides_can_pay_for_everything_at_once() {
        // Buys 10 at 2.00 and sells 7 at 3.00, of which 4 are executed.
        let folded = fold(&parse("1,1,1,10,20000,1\n2,1,2,7,30000,-1\n3,4,2,4,30000,-1\n").unwrap());
        let (maker, taker) = needs(&folded);
        assert_eq!((maker.money(), maker.shares), (21, 7));
        assert_eq!((taker.money(), taker.shares), (13, 0));
    }

    #[test]
    fn two_runs_share_neither_symbol_nor_request_ids() {
        let (one, other) = (Run::fresh(), Run::fresh());
        assert_ne!(one.symbol, other.symbol);
        assert_ne!(one.request_id("x"), other.request_id("x"));
        assert!(brokerage_types::Symbol::parse(&one.symbol).is_ok());
    }
}
