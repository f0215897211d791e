//! Wire messages as commands. Everything that is wrong with a request is said at once.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::common::v1 as common;
use brokerage_types::{
    Actor, Amount, AssetCode, CustomerId, HoldId, InvalidAmount, Price, Quantity, Reason, Side, TradeId,
};
use chrono::{DateTime, Utc};
use service_kit::fault::{ApiResult, Refusal};
use service_kit::validate::Fields;

use crate::domain::asset::Asset;
use crate::domain::command::{
    Command, Deposit, Direction, PlaceHold, ReleaseHold, SettleTrade, Transfer, UpsertCustomer, Withdraw,
};
use crate::domain::customer::{RESERVED_IDS, State, Tier};
use crate::domain::ledger::{ExternalRef, House};

/// Decimals that any ledger can keep.
const LEDGER_SCALE_MAX: u32 = brokerage_types::MONEY_SCALE_MAX;
const NAME_LENGTH_MAX: usize = 128;
const REFERENCE_LENGTH_MAX: usize = 128;
const CHANNEL_LENGTH_MAX: usize = 32;
const REASON_LENGTH_MAX: usize = 256;

pub(super) fn upsert_asset(request: &wire::UpsertAssetRequest) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let asset = fields.message("asset", &request.asset).and_then(|asset| {
        let code = fields.parse::<AssetCode>("asset.asset", &asset.asset);
        if asset.ledger_scale > LEDGER_SCALE_MAX {
            fields.violate("asset.ledger_scale", Reason::FieldInvalid, "must be at most 8");
        }
        if asset.transfer_scale > asset.ledger_scale {
            fields.violate(
                "asset.transfer_scale",
                Reason::FieldInvalid,
                "must be at most the ledger's scale",
            );
        }
        let (ledger_scale, transfer_scale) = (asset.ledger_scale, asset.transfer_scale);
        code.map(|asset| Asset { asset, ledger_scale, transfer_scale })
    });
    fields.finish(asset.map(Command::UpsertAsset))
}

pub(super) fn deposit(
    request: &wire::DepositRequest,
    customer: CustomerId,
    actor: Actor,
) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let asset = fields.parse::<AssetCode>("asset", &request.asset);
    let amount = positive(&mut fields, "amount", &request.amount);
    let external = external(&mut fields, request);
    let read = asset.zip(amount).zip(external);
    fields.finish(read.map(|((asset, amount), external)| {
        Command::Deposit(Deposit { customer, asset, amount, external, actor })
    }))
}

/// `Some(None)`: the payment has no reference.
fn external(fields: &mut Fields, request: &wire::DepositRequest) -> Option<Option<ExternalRef>> {
    if request.external_ref.is_empty() && request.channel.is_empty() {
        return Some(None);
    }
    let reference = fields.text("external_ref", &request.external_ref, REFERENCE_LENGTH_MAX);
    let channel = fields.text("channel", &request.channel, CHANNEL_LENGTH_MAX);
    let (reference, channel) = reference.zip(channel)?;
    Some(Some(ExternalRef { channel: channel.to_owned(), reference: reference.to_owned() }))
}

pub(super) fn withdraw(
    request: &wire::WithdrawRequest,
    customer: CustomerId,
    actor: Actor,
) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let asset = fields.parse::<AssetCode>("asset", &request.asset);
    let amount = positive(&mut fields, "amount", &request.amount);
    let read = asset.zip(amount);
    fields.finish(read.map(|(asset, amount)| Command::Withdraw(Withdraw { customer, asset, amount, actor })))
}

pub(super) fn transfer(
    request: &wire::TransferRequest,
    customer: CustomerId,
    actor: Actor,
) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let house = fields.choice("house", request.house, |house| match house {
        wire::HouseAccount::Unspecified => None,
        wire::HouseAccount::Fees => Some(House::Fees),
        wire::HouseAccount::Inventory => Some(House::Inventory),
        wire::HouseAccount::Suspense => Some(House::Suspense),
        wire::HouseAccount::Rounding => Some(House::Rounding),
    });
    let direction = fields.choice("direction", request.direction, |direction| match direction {
        wire::TransferDirection::Unspecified => None,
        wire::TransferDirection::HouseToCustomer => Some(Direction::HouseToCustomer),
        wire::TransferDirection::CustomerToHouse => Some(Direction::CustomerToHouse),
    });
    let asset = fields.parse::<AssetCode>("asset", &request.asset);
    let amount = positive(&mut fields, "amount", &request.amount);
    let reason = fields.text("reason", &request.reason, REASON_LENGTH_MAX);
    let read = house.zip(direction).zip(asset.zip(amount)).zip(reason);
    fields.finish(read.map(|(((house, direction), (asset, amount)), reason)| {
        let reason = reason.to_owned();
        Command::Transfer(Transfer { customer, house, direction, asset, amount, reason, actor })
    }))
}

pub(super) fn upsert_customer(request: &wire::UpsertCustomerRequest) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let customer = fields.message("customer", &request.customer).and_then(|customer| {
        let id = fields.parse::<CustomerId>("customer.customer_id", &customer.customer_id);
        if RESERVED_IDS.contains(&customer.customer_id.as_str()) {
            fields.violate("customer.customer_id", Reason::FieldInvalid, "is the name of no customer");
        }
        let name = fields.text("customer.name", &customer.name, NAME_LENGTH_MAX);
        let tier = fields.choice("customer.tier", customer.tier, |tier| match tier {
            wire::Tier::Unspecified => None,
            wire::Tier::Standard => Some(Tier::Standard),
            wire::Tier::Premium => Some(Tier::Premium),
            wire::Tier::Vip => Some(Tier::Vip),
        });
        let state = fields.choice("customer.state", customer.state, |state| match state {
            wire::CustomerState::Unspecified => None,
            wire::CustomerState::Active => Some(State::Active),
            wire::CustomerState::Frozen => Some(State::Frozen),
        });
        let ((customer, name), (tier, state)) = id.zip(name).zip(tier.zip(state))?;
        Some(UpsertCustomer { customer, name: name.to_owned(), tier, state })
    });
    fields.finish(customer.map(Command::UpsertCustomer))
}

pub(super) fn place_hold(hold: &Option<wire::PlaceHold>) -> ApiResult<PlaceHold> {
    let mut fields = Fields::new();
    let read = fields.message("command", hold).and_then(|hold| {
        let hold_id = fields.parse::<HoldId>("command.hold_id", &hold.hold_id);
        hold_terms(&mut fields, "command", hold).zip(hold_id)
    });
    fields.finish(read.map(|(hold, hold_id)| PlaceHold { hold_id, ..hold }))
}

/// A hold that is only asked about need not have an id yet.
pub(super) fn hold_to_rehearse(hold: &wire::PlaceHold) -> ApiResult<PlaceHold> {
    let mut fields = Fields::new();
    let hold_id = fields.optional::<HoldId>("hold.hold_id", &hold.hold_id);
    let read = hold_terms(&mut fields, "hold", hold).zip(hold_id);
    fields.finish(read.map(|(hold, hold_id)| PlaceHold { hold_id: hold_id.unwrap_or(hold.hold_id), ..hold }))
}

/// Everything but the id, which is left nil.
fn hold_terms(fields: &mut Fields, within: &str, hold: &wire::PlaceHold) -> Option<PlaceHold> {
    let name = |field: &str| format!("{within}.{field}");
    let customer = fields.parse::<CustomerId>(&name("customer_id"), &hold.customer_id);
    let side = fields.choice(&name("side"), hold.side, |side| match side {
        common::Side::Unspecified => None,
        common::Side::Buy => Some(Side::Buy),
        common::Side::Sell => Some(Side::Sell),
    });
    let base = fields.parse::<AssetCode>(&name("base_asset"), &hold.base_asset);
    let quote = fields.parse::<AssetCode>(&name("quote_asset"), &hold.quote_asset);
    let limit = fields.amount::<Price>(&name("limit_price"), &hold.limit_price);
    let quantity = some_quantity(fields, &name("quantity"), &hold.quantity);
    let ((customer, side), ((base, quote), (limit, quantity))) =
        customer.zip(side).zip(base.zip(quote).zip(limit.zip(quantity)))?;
    let hold_id = HoldId::from(uuid::Uuid::nil());
    Some(PlaceHold { hold_id, customer, side, base, quote, limit, quantity })
}

pub(super) fn release_hold(release: &Option<wire::ReleaseHold>) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let hold_id = fields
        .message("command", release)
        .and_then(|release| fields.parse::<HoldId>("command.hold_id", &release.hold_id));
    fields.finish(hold_id.map(|hold_id| Command::ReleaseHold(ReleaseHold { hold_id })))
}

pub(super) fn settle_trade(trade: &Option<wire::SettleTrade>) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let read = fields.message("command", trade).and_then(|trade| {
        let trade_id = fields.parse::<TradeId>("command.trade_id", &trade.trade_id);
        let buy_hold = fields.parse::<HoldId>("command.buy_hold_id", &trade.buy_hold_id);
        let sell_hold = fields.parse::<HoldId>("command.sell_hold_id", &trade.sell_hold_id);
        let buyer = fields.parse::<CustomerId>("command.buyer_id", &trade.buyer_id);
        let seller = fields.parse::<CustomerId>("command.seller_id", &trade.seller_id);
        let base = fields.parse::<AssetCode>("command.base_asset", &trade.base_asset);
        let quote = fields.parse::<AssetCode>("command.quote_asset", &trade.quote_asset);
        let quantity = some_quantity(&mut fields, "command.quantity", &trade.quantity);
        let price = fields.amount::<Price>("command.price", &trade.price);
        Some(SettleTrade {
            trade_id: trade_id?,
            buy_hold: buy_hold?,
            sell_hold: sell_hold?,
            buyer: buyer?,
            seller: seller?,
            base: base?,
            quote: quote?,
            quantity: quantity?,
            price: price?,
        })
    });
    fields.finish(read.map(Command::SettleTrade))
}

/// The original command that a compensation carries.
pub(super) fn original(command: &Option<wire::AssetCommand>) -> ApiResult<Command> {
    use wire::asset_command::Kind;
    match command.as_ref().and_then(|command| command.kind.clone()) {
        Some(Kind::PlaceHold(hold)) => place_hold(&Some(hold)).map(Command::PlaceHold),
        Some(Kind::ReleaseHold(release)) => release_hold(&Some(release)),
        Some(Kind::SettleTrade(trade)) => settle_trade(&Some(trade)),
        None => Err(Refusal::field("command", Reason::FieldRequired, "must be given").into()),
    }
}

pub(super) fn asset_code(field: &str, text: &str) -> ApiResult<AssetCode> {
    let mut fields = Fields::new();
    let code = fields.parse::<AssetCode>(field, text);
    fields.finish(code)
}

/// An instant that may be left out.
pub(super) fn instant(
    field: &str,
    stamp: Option<&prost_types::Timestamp>,
) -> ApiResult<Option<DateTime<Utc>>> {
    let Some(stamp) = stamp else { return Ok(None) };
    let nanos = u32::try_from(stamp.nanos).ok();
    match nanos.and_then(|nanos| DateTime::from_timestamp(stamp.seconds, nanos)) {
        Some(instant) => Ok(Some(instant)),
        None => Err(Refusal::field(field, Reason::FieldInvalid, "is no instant").into()),
    }
}

fn positive(fields: &mut Fields, field: &str, text: &str) -> Option<Amount> {
    let amount = fields.amount::<Amount>(field, text)?;
    let checked = if amount.is_positive() { Ok(amount) } else { Err(InvalidAmount::NotPositive) };
    fields.check(field, checked)
}

fn some_quantity(fields: &mut Fields, field: &str, text: &str) -> Option<Quantity> {
    let quantity = fields.amount::<Quantity>(field, text)?;
    let checked = if quantity.is_positive() { Ok(quantity) } else { Err(InvalidAmount::NotPositive) };
    fields.check(field, checked)
}
