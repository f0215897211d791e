//! Settlement: one trade, one journal transaction, all legs (rule M-1).
//!
//! The buyer pays from his hold, the seller delivers from his; each gets the other's in his available account. Both
//! commissions go to the house. What the buyer's hold no longer needs goes back to him. Neither needs spare cash: a
//! buyer's fee was held, a seller's comes out of the proceeds.

use brokerage_types::{Side, TxId};
use service_kit::defect;

use super::command::SettleTrade;
use super::event::Event;
use super::hold::{Capture, Hold};
use super::ledger::{Account, Cause, Head, House, JournalTx, Kind, Lines};
use super::place::{fits_ledgers, may_trade, mismatch};
use super::plan::{Moment, Plan};
use super::rejection::Rejection;
use super::world::World;

/// Moves money and shares of one trade.
///
/// # Errors
/// The same customer twice, an unknown, different, closed or too small hold, a frozen party, a price outside a
/// limit, a trade that another saga settled.
pub fn settle_trade(world: &World, moment: Moment, command: &SettleTrade) -> Result<Plan, Rejection> {
    if command.buyer == command.seller {
        return Err(Rejection::SelfTrade(command.buyer.clone()));
    }
    let is_settled = world.known_txs.contains(&TxId::of_trade(command.trade_id));
    if is_settled && !defect::is_seeded("trade_settled_twice") {
        return Err(Rejection::TradeSettled(command.trade_id));
    }
    let buy = party(world, command, Side::Buy)?;
    let sell = party(world, command, Side::Sell)?;
    may_trade(world.customer(&command.buyer)?)?;
    may_trade(world.customer(&command.seller)?)?;
    if command.quantity.is_zero() {
        return Err(Rejection::NotPositive(command.quantity.amount()));
    }
    let (base, quote) = (world.asset(&command.base)?, world.asset(&command.quote)?);
    // The limits too: what is left of an order must stay exact at its own price.
    for price in [command.price, buy.terms.limit, sell.terms.limit] {
        fits_ledgers(base, quote, price, command.quantity)?;
    }
    let buy = buy.capture(command.quantity, command.price)?;
    let sell = sell.capture(command.quantity, command.price)?;
    let tx = movement(moment, command, &buy, &sell)?;
    let events = vec![
        Event::hold_captured(&buy, command),
        Event::hold_captured(&sell, command),
        Event::trade_settled(command, &buy, &sell),
    ];
    Ok(Plan { tx: Some(tx), holds: vec![buy.hold, sell.hold], events, ..Plan::default() })
}

/// The legs. A seller's proceeds come before his commission, so his account is never short.
fn movement(
    moment: Moment,
    command: &SettleTrade,
    buy: &Capture,
    sell: &Capture,
) -> Result<JournalTx, Rejection> {
    let (buyer, seller) = (&command.buyer, &command.seller);
    let fees = || Account::House(House::Fees);
    let (base, quote) = (&command.base, &command.quote);
    let head = Head {
        tx_id: TxId::of_trade(command.trade_id),
        kind: Kind::Settle,
        cause: Cause::Trade(command.trade_id),
        reason: None,
        external: None,
        created_at: moment.now,
    };
    let tx = Lines::default()
        .transfer(Account::held(buyer), Account::available(seller), quote, buy.notional)
        .transfer(Account::held(seller), Account::available(buyer), base, command.quantity.amount())
        .transfer(Account::held(buyer), fees(), quote, buy.fee)
        .transfer(Account::available(seller), fees(), quote, sell.fee)
        .transfer(Account::held(buyer), Account::available(buyer), quote, buy.released)
        .into_tx(head)?;
    Ok(tx)
}

/// One side's hold, if it is what the command says.
fn party<'w>(world: &'w World, command: &SettleTrade, side: Side) -> Result<&'w Hold, Rejection> {
    let (id, customer) = match side {
        Side::Buy => (command.buy_hold, &command.buyer),
        Side::Sell => (command.sell_hold, &command.seller),
    };
    let hold = world.hold(id).ok_or(Rejection::HoldNotFound(id))?;
    let terms = &hold.terms;
    if terms.customer != *customer && !defect::is_seeded("foreign_hold_settled") {
        Err(mismatch(id, "it is another customer's"))
    } else if terms.side != side {
        Err(mismatch(id, "it is for the other side"))
    } else if terms.base != command.base || terms.quote != command.quote {
        Err(mismatch(id, "it is for other assets"))
    } else {
        Ok(hold)
    }
}
