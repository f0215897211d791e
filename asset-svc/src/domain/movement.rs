//! Movements that need no other service: deposits, withdrawals, transfers; and the empty entry that moves nothing.

use brokerage_types::{Actor, Amount, AssetCode, CustomerId, TxId};

use super::asset::Asset;
use super::command::{Deposit, Direction, OpenAsset, Transfer, Withdraw};
use super::event::Event;
use super::ledger::{Account, Cause, Head, Kind, Lines};
use super::place::may_trade;
use super::plan::{Moment, Plan};
use super::rejection::Rejection;
use super::world::World;

/// From outside into available. A frozen customer may be paid.
///
/// # Errors
/// Unknown customer or asset, too many decimals, a payment that was brought before.
pub fn deposit(world: &World, moment: Moment, command: &Deposit) -> Result<Plan, Rejection> {
    world.customer(&command.customer)?;
    let asset = world.asset(&command.asset)?;
    within_scale(asset, command.amount, asset.transfer_scale)?;
    if let Some(external) = command.external.as_ref().filter(|external| world.known_refs.contains(external)) {
        return Err(Rejection::DuplicateExternalRef {
            channel: external.channel.clone(),
            reference: external.reference.clone(),
        });
    }
    let mut head = head(moment, Kind::Deposit, &command.actor);
    head.external = command.external.clone();
    let to = Account::available(&command.customer);
    let lines = Lines::default().transfer(Account::External, to, &command.asset, command.amount);
    let event = Event::moved("Deposited", &head, &command.customer, &command.asset, command.amount);
    Ok(Plan { tx: Some(lines.into_tx(head)?), events: vec![event], ..Plan::default() })
}

/// From available to outside; never from what is held.
///
/// # Errors
/// Unknown or frozen customer, unknown asset, too many decimals; not enough usable when the world takes the plan.
pub fn withdraw(world: &World, moment: Moment, command: &Withdraw) -> Result<Plan, Rejection> {
    may_trade(world.customer(&command.customer)?)?;
    let asset = world.asset(&command.asset)?;
    within_scale(asset, command.amount, asset.transfer_scale)?;
    let head = head(moment, Kind::Withdraw, &command.actor);
    let from = Account::available(&command.customer);
    let lines = Lines::default().transfer(from, Account::External, &command.asset, command.amount);
    let event = Event::moved("Withdrawn", &head, &command.customer, &command.asset, command.amount.neg());
    Ok(Plan { tx: Some(lines.into_tx(head)?), events: vec![event], ..Plan::default() })
}

/// Between a customer's available account and an account of the house, with a reason.
///
/// # Errors
/// Unknown customer or asset, too many decimals; not enough usable when the world takes the plan.
pub fn transfer(world: &World, moment: Moment, command: &Transfer) -> Result<Plan, Rejection> {
    world.customer(&command.customer)?;
    let asset = world.asset(&command.asset)?;
    within_scale(asset, command.amount, asset.ledger_scale)?;
    let mut head = head(moment, Kind::Transfer, &command.actor);
    head.reason = Some(command.reason.clone());
    let (house, customer) = (Account::House(command.house), Account::available(&command.customer));
    let (from, to, seen) = match command.direction {
        Direction::HouseToCustomer => (house, customer, command.amount),
        Direction::CustomerToHouse => (customer, house, command.amount.neg()),
    };
    let lines = Lines::default().transfer(from, to, &command.asset, command.amount);
    let event = Event::moved("Transferred", &head, &command.customer, &command.asset, seen);
    Ok(Plan { tx: Some(lines.into_tx(head)?), events: vec![event], ..Plan::default() })
}

/// An empty entry, so that the asset shows in lists. Opening what is open changes nothing.
///
/// # Errors
/// Unknown customer or asset.
pub fn open_asset(world: &World, command: &OpenAsset) -> Result<Plan, Rejection> {
    world.customer(&command.customer)?;
    world.asset(&command.asset)?;
    if is_open(world, &command.customer, &command.asset) {
        return Ok(Plan::nothing());
    }
    Ok(Plan {
        opened: Some((command.customer.clone(), command.asset.clone())),
        events: vec![Event::asset_opened(&command.customer, &command.asset)],
        ..Plan::default()
    })
}

fn is_open(world: &World, customer: &CustomerId, asset: &AssetCode) -> bool {
    world.balance(customer, asset).version > 0
}

fn within_scale(asset: &Asset, amount: Amount, scale: u32) -> Result<(), Rejection> {
    if !amount.is_positive() {
        Err(Rejection::NotPositive(amount))
    } else if amount.decimals() > scale {
        Err(Rejection::TooManyDecimals { asset: asset.asset.clone(), amount, scale })
    } else {
        Ok(())
    }
}

/// The transaction's id is the derived id of the command: once per caller and request id.
fn head(moment: Moment, kind: Kind, actor: &Actor) -> Head {
    Head {
        tx_id: TxId::from(moment.saga_id),
        kind,
        cause: Cause::Actor(actor.clone()),
        reason: None,
        external: None,
        created_at: moment.now,
    }
}
