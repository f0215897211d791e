//! Holds come and go: PlaceHold, its inverse, and ReleaseHold.

use brokerage_types::{AssetCode, HoldId, Price, Quantity, Reason, TxId};
use service_kit::defect;
use uuid::Uuid;

use super::asset::Asset;
use super::command::{PlaceHold, ReleaseHold};
use super::customer::{Customer, State};
use super::event::Event;
use super::fees::Commission;
use super::hold::{Hold, Terms};
use super::ledger::{Account, Cause, Head, Kind, Lines, Unbalanced};
use super::plan::{Moment, Plan};
use super::rejection::Rejection;
use super::world::World;

/// Moves what an order may cost from available to held.
///
/// # Errors
/// Unknown or frozen customer, unknown asset, a hold of that id, too many decimals, or not enough usable.
pub fn place_hold(world: &World, moment: Moment, command: &PlaceHold) -> Result<Plan, Rejection> {
    let customer = world.customer(&command.customer)?;
    may_trade(customer)?;
    let (base, quote) = (world.asset(&command.base)?, world.asset(&command.quote)?);
    if world.hold(command.hold_id).is_some() {
        return Err(Rejection::HoldExists(command.hold_id));
    }
    if command.base == command.quote {
        return Err(mismatch(command.hold_id, "an asset cannot be paid with itself"));
    }
    if command.quantity.is_zero() {
        return Err(Rejection::NotPositive(command.quantity.amount()));
    }
    fits_ledgers(base, quote, command.limit, command.quantity)?;
    let rate = *world.rates.get(&customer.tier).ok_or(Rejection::Broken("a tier without a rate"))?;
    let terms = Terms {
        customer: command.customer.clone(),
        side: command.side,
        base: command.base.clone(),
        quote: command.quote.clone(),
        limit: command.limit,
        quantity: command.quantity,
        commission: Commission { rate, scale: quote.transfer_scale },
    };
    let hold = Hold::place(command.hold_id, terms)?;
    let (from, to) = (Account::available(&command.customer), Account::held(&command.customer));
    let head = head(TxId::from(command.hold_id.uuid()), Kind::Hold, moment, None);
    let tx = Lines::default().transfer(from, to, hold.terms.held_asset(), hold.placed).into_tx(head)?;
    let events = vec![Event::hold_placed(&hold)];
    Ok(Plan { tx: Some(tx), holds: vec![hold], events, ..Plan::default() })
}

/// Releases what is left in a hold and closes it. Frozen customers are released as ever.
///
/// A hold that is closed, or was never placed, leaves nothing to do: the cancel of an order whose create saga was
/// rolled back (T4) arrives here after the hold's own compensation, which no later PlaceHold can pass.
///
/// # Errors
/// Never for business reasons.
pub fn release_hold(world: &World, moment: Moment, command: &ReleaseHold) -> Result<Plan, Rejection> {
    close(world, moment, command.hold_id, None)
}

/// The inverse of [`place_hold`]: releases everything that remains.
///
/// # Errors
/// Never for business reasons.
pub fn undo_place_hold(
    world: &World,
    moment: Moment,
    hold_id: HoldId,
    why: Reason,
) -> Result<Plan, Rejection> {
    close(world, moment, hold_id, Some(why))
}

fn close(world: &World, moment: Moment, hold_id: HoldId, why: Option<Reason>) -> Result<Plan, Rejection> {
    let Some(hold) = world.hold(hold_id) else { return Ok(Plan::nothing()) };
    let Some((closed, residual)) = hold.close()? else { return Ok(Plan::nothing()) };
    let customer = &hold.terms.customer;
    // A hold is closed once, so its id names the one transaction that does it.
    let tx_id = TxId::from(Uuid::new_v5(&hold_id.uuid(), b"release"));
    let head = head(tx_id, Kind::Release, moment, why.map(|reason| reason.as_str().to_owned()));
    let lines = Lines::default().transfer(
        Account::held(customer),
        Account::available(customer),
        hold.terms.held_asset(),
        residual,
    );
    let events = vec![Event::hold_released(&closed, residual, why)];
    Ok(Plan { tx: Some(lines.into_tx(head)?), holds: vec![closed], events, ..Plan::default() })
}

/// Refuses a frozen customer.
///
/// # Errors
/// He is frozen.
pub fn may_trade(customer: &Customer) -> Result<(), Rejection> {
    match customer.state {
        State::Active => Ok(()),
        State::Frozen if defect::is_seeded("frozen_customer_trades") => Ok(()),
        State::Frozen => Err(Rejection::CustomerFrozen(customer.customer_id.clone())),
    }
}

/// Refuses what the two ledgers could not book without rounding, whatever part of the quantity is filled.
///
/// # Errors
/// Too many decimals in the quantity, or in price and quantity together.
pub fn fits_ledgers(base: &Asset, quote: &Asset, price: Price, quantity: Quantity) -> Result<(), Rejection> {
    let check = |what, asset: &AssetCode, decimals: u32, scale: u32| {
        if decimals <= scale {
            Ok(())
        } else {
            Err(Rejection::ScaleExceeded { what, asset: asset.clone(), decimals, scale })
        }
    };
    check("the quantity", &base.asset, quantity.decimals(), base.ledger_scale)?;
    check("price × quantity", &quote.asset, price.decimals() + quantity.decimals(), quote.ledger_scale)
}

pub(super) const fn mismatch(hold: HoldId, difference: &'static str) -> Rejection {
    Rejection::HoldMismatch { hold, difference }
}

fn head(tx_id: TxId, kind: Kind, moment: Moment, reason: Option<String>) -> Head {
    Head { tx_id, kind, cause: Cause::Saga(moment.saga_id), reason, external: None, created_at: moment.now }
}

impl From<Unbalanced> for Rejection {
    fn from(_: Unbalanced) -> Self {
        Self::Broken("the postings of a movement do not sum to zero")
    }
}
