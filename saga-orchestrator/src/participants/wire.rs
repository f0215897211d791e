//! Commands as the wire has them. One function for each; nothing is decided here.

use brokerage_proto::asset::v1 as asset_wire;
use brokerage_proto::common::v1::{Side as WireSide, StepContext};
use brokerage_proto::order::v1 as order_wire;
use brokerage_types::Side;
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::engine::reply::Request;
use crate::sagas::command::{asset, order};

pub(super) fn context(request: &Request<'_>) -> StepContext {
    StepContext {
        saga_id: request.saga_id.to_string(),
        step: u32::try_from(request.step).unwrap_or(u32::MAX),
        epoch: request.epoch,
        not_after: Some(timestamp(request.not_after)),
        attempt: request.attempt,
        intent: request.intent.to_vec(),
    }
}

pub(super) fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: at.timestamp(), nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0) }
}

pub(super) fn instant(at: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

pub(super) fn side(side: Side) -> i32 {
    match side {
        Side::Buy => WireSide::Buy.into(),
        Side::Sell => WireSide::Sell.into(),
    }
}

pub(super) fn order_command(command: &order::Command) -> order_wire::OrderCommand {
    use order_wire::order_command::Kind;
    let kind = match command {
        order::Command::Draft(command) => Some(Kind::Draft(draft(command))),
        order::Command::Open(command) => Some(Kind::Open(open(command))),
        order::Command::BeginCancel(command) => Some(Kind::BeginCancel(begin_cancel(command))),
        // A check has no effect, no inbox row and so no compensation; the engine never asks for one.
        order::Command::AwaitDrain(_) => None,
        order::Command::ConfirmCancel(command) => Some(Kind::ConfirmCancel(confirm_cancel(command))),
        order::Command::ReserveMatch(command) => Some(Kind::ReserveMatch(reserve_match(command))),
        order::Command::ApplyFill(command) => Some(Kind::ApplyFill(apply_fill(command))),
    };
    order_wire::OrderCommand { kind }
}

pub(super) fn asset_command(command: &asset::Command) -> asset_wire::AssetCommand {
    use asset_wire::asset_command::Kind;
    let kind = Some(match command {
        asset::Command::PlaceHold(command) => Kind::PlaceHold(place_hold(command)),
        asset::Command::ReleaseHold(command) => Kind::ReleaseHold(release_hold(command)),
        asset::Command::SettleTrade(command) => Kind::SettleTrade(settle_trade(command)),
    });
    asset_wire::AssetCommand { kind }
}

pub(super) fn draft(command: &order::Draft) -> order_wire::Draft {
    order_wire::Draft {
        order_id: command.order_id.to_string(),
        customer_id: command.customer_id.to_string(),
        client_order_id: command.client_order_id.to_string(),
        instrument: command.instrument.to_string(),
        side: side(command.side),
        limit_price: command.limit_price.to_string(),
        quantity: command.quantity.to_string(),
        created_by: command.created_by.to_string(),
    }
}

pub(super) fn open(command: &order::Open) -> order_wire::Open {
    order_wire::Open { order_id: command.order_id.to_string(), instrument: command.instrument.to_string() }
}

pub(super) fn begin_cancel(command: &order::BeginCancel) -> order_wire::BeginCancel {
    let requested_by = command.requested_by.to_string();
    order_wire::BeginCancel { order_id: command.order_id.to_string(), requested_by }
}

pub(super) fn confirm_cancel(command: &order::ConfirmCancel) -> order_wire::ConfirmCancel {
    order_wire::ConfirmCancel { order_id: command.order_id.to_string() }
}

pub(super) fn reserve_match(command: &order::ReserveMatch) -> order_wire::ReserveMatch {
    order_wire::ReserveMatch {
        trade_id: command.trade_id.to_string(),
        instrument: command.instrument.to_string(),
        buy_order_id: command.buy_order_id.to_string(),
        sell_order_id: command.sell_order_id.to_string(),
        quantity: command.quantity.to_string(),
        price: command.price.to_string(),
    }
}

pub(super) fn apply_fill(command: &order::ApplyFill) -> order_wire::ApplyFill {
    order_wire::ApplyFill {
        trade_id: command.trade_id.to_string(),
        instrument: command.instrument.to_string(),
        buy_order_id: command.buy_order_id.to_string(),
        sell_order_id: command.sell_order_id.to_string(),
        quantity: command.quantity.to_string(),
        price: command.price.to_string(),
    }
}

pub(super) fn place_hold(command: &asset::PlaceHold) -> asset_wire::PlaceHold {
    asset_wire::PlaceHold {
        hold_id: command.hold_id.to_string(),
        customer_id: command.customer_id.to_string(),
        side: side(command.side),
        base_asset: command.base_asset.to_string(),
        quote_asset: command.quote_asset.to_string(),
        limit_price: command.limit_price.to_string(),
        quantity: command.quantity.to_string(),
    }
}

pub(super) fn release_hold(command: &asset::ReleaseHold) -> asset_wire::ReleaseHold {
    asset_wire::ReleaseHold { hold_id: command.hold_id.to_string() }
}

pub(super) fn settle_trade(command: &asset::SettleTrade) -> asset_wire::SettleTrade {
    asset_wire::SettleTrade {
        trade_id: command.trade_id.to_string(),
        buy_hold_id: command.buy_hold_id.to_string(),
        sell_hold_id: command.sell_hold_id.to_string(),
        buyer_id: command.buyer_id.to_string(),
        seller_id: command.seller_id.to_string(),
        base_asset: command.base_asset.to_string(),
        quote_asset: command.quote_asset.to_string(),
        quantity: command.quantity.to_string(),
        price: command.price.to_string(),
    }
}
