//! Everything that can be commanded. The serialised form is what the executor's request hash covers, so a field that
//! is not part of the payload (who commands) is left out of it.

use brokerage_types::{Actor, Amount, AssetCode, CustomerId, HoldId, Price, Quantity, Side, TradeId};
use serde::Serialize;

use super::asset::Asset;
use super::customer::{State, Tier};
use super::ledger::{ExternalRef, House};

/// A command: three saga steps, and those that need no other service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Step of the create saga. Inverse: release everything that remains.
    PlaceHold(PlaceHold),
    /// Pivot of the cancel saga.
    ReleaseHold(ReleaseHold),
    /// Pivot of the match saga.
    SettleTrade(SettleTrade),
    /// One service.
    UpsertAsset(Asset),
    /// One service.
    OpenAsset(OpenAsset),
    /// One service.
    Deposit(Deposit),
    /// One service.
    Withdraw(Withdraw),
    /// One service.
    Transfer(Transfer),
    /// One service.
    UpsertCustomer(UpsertCustomer),
}

/// Holds what an order may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceHold {
    /// The order's id.
    pub hold_id: HoldId,
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
    /// How much.
    pub quantity: Quantity,
}

/// Releases what is left in a hold and closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseHold {
    /// The hold.
    pub hold_id: HoldId,
}

/// Moves money and shares of one trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettleTrade {
    /// The match saga's id, and the journal transaction's.
    pub trade_id: TradeId,
    /// The buyer's hold.
    pub buy_hold: HoldId,
    /// The seller's hold.
    pub sell_hold: HoldId,
    /// The buyer.
    pub buyer: CustomerId,
    /// The seller.
    pub seller: CustomerId,
    /// What changes hands.
    pub base: AssetCode,
    /// What is paid with.
    pub quote: AssetCode,
    /// How much.
    pub quantity: Quantity,
    /// At which price.
    pub price: Price,
}

/// Makes an empty entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenAsset {
    /// Whose.
    pub customer: CustomerId,
    /// Of which asset.
    pub asset: AssetCode,
}

/// Money or shares from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deposit {
    /// Whose.
    pub customer: CustomerId,
    /// Of which asset.
    pub asset: AssetCode,
    /// How much.
    pub amount: Amount,
    /// The payment outside.
    pub external: Option<ExternalRef>,
    /// Who commands.
    #[serde(skip)]
    pub actor: Actor,
}

/// Usable money or shares to outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Withdraw {
    /// Whose.
    pub customer: CustomerId,
    /// Of which asset.
    pub asset: AssetCode,
    /// How much.
    pub amount: Amount,
    /// Who commands.
    #[serde(skip)]
    pub actor: Actor,
}

/// Which way a transfer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// The customer gets.
    HouseToCustomer,
    /// The customer gives.
    CustomerToHouse,
}

/// An administrator's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// The customer.
    pub customer: CustomerId,
    /// The house's account.
    pub house: House,
    /// Which way.
    pub direction: Direction,
    /// Of which asset.
    pub asset: AssetCode,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: String,
    /// Who commands.
    #[serde(skip)]
    pub actor: Actor,
}

/// What a customer shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpsertCustomer {
    /// Who.
    pub customer: CustomerId,
    /// His name.
    pub name: String,
    /// His tier.
    pub tier: Tier,
    /// Active or frozen.
    pub state: State,
}
