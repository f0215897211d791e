//! Which rule decides which command, and what a command is answered.

use brokerage_types::{AssetCode, HoldId, Reason, TxId};

use super::asset::Asset;
use super::balance::Holding;
use super::command::{Command, UpsertCustomer};
use super::customer::Customer;
use super::event::Event;
use super::movement::{deposit, open_asset, transfer, withdraw};
use super::place::{place_hold, release_hold, undo_place_hold};
use super::plan::{Moment, Plan};
use super::rejection::Rejection;
use super::settle::settle_trade;
use super::world::World;

/// What a one-service command is answered; saga steps have nothing to say beyond DONE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A saga step.
    Step,
    /// The asset as it is.
    Asset(Asset),
    /// What the customer has.
    Opened(Holding),
    /// The movement, and what the customer has right after it.
    Moved(TxId, Holding),
    /// The customer right after the command.
    Customer(Customer),
}

/// Decides a command and applies the decision.
///
/// # Errors
/// The rule that refuses; the world is as it was then.
pub fn execute(world: &mut World, moment: Moment, command: &Command) -> Result<Answer, Rejection> {
    let plan = plan(world, moment, command)?;
    world.take(plan)?;
    answer(world, moment, command)
}

/// Applies the inverse of a PlaceHold that is done.
///
/// # Errors
/// Only when a row is broken.
pub fn compensate(world: &mut World, moment: Moment, hold_id: HoldId, why: Reason) -> Result<(), Rejection> {
    let plan = undo_place_hold(world, moment, hold_id, why)?;
    world.take(plan)
}

/// Whether a command would be done now. Changes nothing.
///
/// # Errors
/// The rule that refuses.
pub fn rehearse(world: &World, moment: Moment, command: &Command) -> Result<(), Rejection> {
    execute(&mut world.clone(), moment, command).map(|_| ())
}

fn plan(world: &World, moment: Moment, command: &Command) -> Result<Plan, Rejection> {
    match command {
        Command::PlaceHold(command) => place_hold(world, moment, command),
        Command::ReleaseHold(command) => release_hold(world, moment, command),
        Command::SettleTrade(command) => settle_trade(world, moment, command),
        Command::UpsertAsset(asset) => upsert_asset(world, asset),
        Command::OpenAsset(command) => open_asset(world, command),
        Command::Deposit(command) => deposit(world, moment, command),
        Command::Withdraw(command) => withdraw(world, moment, command),
        Command::Transfer(command) => transfer(world, moment, command),
        Command::UpsertCustomer(command) => Ok(upsert_customer(world, command)),
    }
}

fn answer(world: &World, moment: Moment, command: &Command) -> Result<Answer, Rejection> {
    let holding = |customer, asset: &AssetCode| world.balance(customer, asset).holding(asset);
    let moved = |customer, asset: &AssetCode| {
        holding(customer, asset).map(|holding| Answer::Moved(TxId::from(moment.saga_id), holding))
    };
    Ok(match command {
        Command::PlaceHold(_) | Command::ReleaseHold(_) | Command::SettleTrade(_) => Answer::Step,
        Command::UpsertAsset(asset) => Answer::Asset(world.asset(&asset.asset)?.clone()),
        Command::OpenAsset(command) => Answer::Opened(holding(&command.customer, &command.asset)?),
        Command::Deposit(command) => moved(&command.customer, &command.asset)?,
        Command::Withdraw(command) => moved(&command.customer, &command.asset)?,
        Command::Transfer(command) => moved(&command.customer, &command.asset)?,
        Command::UpsertCustomer(command) => Answer::Customer(world.customer(&command.customer)?.clone()),
    })
}

fn upsert_asset(world: &World, asset: &Asset) -> Result<Plan, Rejection> {
    match world.assets.get(&asset.asset) {
        Some(known) if known == asset => Ok(Plan::nothing()),
        Some(_) => Err(Rejection::ScaleImmutable(asset.asset.clone())),
        None => Ok(Plan {
            asset: Some(asset.clone()),
            events: vec![Event::asset_upserted(asset)],
            ..Plan::default()
        }),
    }
}

/// A customer who is like that already is left as he is.
fn upsert_customer(world: &World, command: &UpsertCustomer) -> Plan {
    let known = world.customers.get(&command.customer).map(|kept| &kept.row);
    let wanted = Customer {
        customer_id: command.customer.clone(),
        name: command.name.clone(),
        tier: command.tier,
        state: command.state,
        version: known.map_or(0, |customer| customer.version),
    };
    if known == Some(&wanted) {
        return Plan::nothing();
    }
    let customer = Customer { version: wanted.version + 1, ..wanted };
    let events = vec![Event::customer_upserted(&customer)];
    Plan { customer: Some(customer), events, ..Plan::default() }
}
