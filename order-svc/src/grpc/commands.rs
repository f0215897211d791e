//! Commands as they come over the wire, read into types that cannot be wrong.

use brokerage_proto::common::v1 as common;
use brokerage_proto::order::v1 as wire;
use brokerage_types::{Instrument, InstrumentState, Quantity, Reason, Side, TickBand};
use service_kit::fault::{ApiError, ApiResult, Refusal};
use service_kit::validate::Fields;

use crate::domain::Terms;
use crate::domain::command::{BeginCancel, Command, ConfirmCancel, Open, Suspension};
use crate::domain::matching::Deal;

/// How long the reason of a suspension may be.
const WHY_LENGTH_MAX: usize = 256;

/// Reads one kind of command.
macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $message:ty, $read:ident, $variant:ident) => {
        $(#[$doc])*
        pub fn $name(command: Option<&$message>) -> ApiResult<Command> {
            let mut fields = Fields::new();
            let read = match command {
                Some(command) => $read(&mut fields, command),
                None => {
                    fields.violate("command", Reason::FieldRequired, "must be given");
                    None
                }
            };
            fields.finish(read).map(Command::$variant)
        }
    };
}

reader!(
    /// The order to be.
    draft, wire::Draft, read_draft, Draft
);
reader!(
    /// The order to open.
    open, wire::Open, read_open, Open
);
reader!(
    /// The order to cancel.
    begin_cancel, wire::BeginCancel, read_begin_cancel, BeginCancel
);
reader!(
    /// The canceled order.
    confirm_cancel, wire::ConfirmCancel, read_confirm_cancel, ConfirmCancel
);
reader!(
    /// The pair to reserve.
    reserve_match, wire::ReserveMatch, read_reserve_match, ReserveMatch
);
reader!(
    /// The trade to book.
    apply_fill, wire::ApplyFill, read_apply_fill, ApplyFill
);

/// The original command of a step that is taken back. One behind a pivot never is: nobody may forestall what a saga
/// that has happened still owes, and whoever asks for it has lost his way.
pub fn original(command: Option<&wire::OrderCommand>) -> ApiResult<Command> {
    use wire::order_command::Kind;
    match command.and_then(|command| command.kind.as_ref()) {
        Some(Kind::Draft(command)) => draft(Some(command)),
        Some(Kind::Open(command)) => open(Some(command)),
        Some(Kind::BeginCancel(command)) => begin_cancel(Some(command)),
        Some(Kind::ReserveMatch(command)) => reserve_match(Some(command)),
        Some(Kind::ConfirmCancel(_)) => Err(never_taken_back("confirm_cancel")),
        Some(Kind::ApplyFill(_)) => Err(never_taken_back("apply_fill")),
        None => draft(None),
    }
}

fn never_taken_back(step: &str) -> ApiError {
    let description = format!("{step} comes after a pivot and is never taken back");
    Refusal::field("command", Reason::FieldInvalid, description).into()
}

fn read_draft(fields: &mut Fields, command: &wire::Draft) -> Option<Terms> {
    let order_id = fields.parse("order_id", &command.order_id);
    let customer = fields.parse("customer_id", &command.customer_id);
    let client_order_id = fields.parse("client_order_id", &command.client_order_id);
    let instrument = fields.parse("instrument", &command.instrument);
    let side = fields.choice("side", command.side, side);
    let limit_price = fields.amount("limit_price", &command.limit_price);
    let qty = positive(fields, "quantity", &command.quantity);
    let created_by = fields.parse("created_by", &command.created_by);
    Some(Terms {
        order_id: order_id?,
        customer: customer?,
        client_order_id: client_order_id?,
        instrument: instrument?,
        side: side?,
        limit_price: limit_price?,
        qty: qty?,
        created_by: created_by?,
    })
}

fn read_open(fields: &mut Fields, command: &wire::Open) -> Option<Open> {
    let order_id = fields.parse("order_id", &command.order_id);
    let instrument = fields.parse("instrument", &command.instrument);
    Some(Open { order_id: order_id?, instrument: instrument? })
}

fn read_begin_cancel(fields: &mut Fields, command: &wire::BeginCancel) -> Option<BeginCancel> {
    let order_id = fields.parse("order_id", &command.order_id);
    let requested_by = fields.parse("requested_by", &command.requested_by);
    Some(BeginCancel { order_id: order_id?, requested_by: requested_by? })
}

fn read_confirm_cancel(fields: &mut Fields, command: &wire::ConfirmCancel) -> Option<ConfirmCancel> {
    Some(ConfirmCancel { order_id: fields.parse("order_id", &command.order_id)? })
}

fn read_reserve_match(fields: &mut Fields, command: &wire::ReserveMatch) -> Option<Deal> {
    let trade_id = fields.parse("trade_id", &command.trade_id);
    let instrument = fields.parse("instrument", &command.instrument);
    let buy_order_id = fields.parse("buy_order_id", &command.buy_order_id);
    let sell_order_id = fields.parse("sell_order_id", &command.sell_order_id);
    let quantity = positive(fields, "quantity", &command.quantity);
    let price = fields.amount("price", &command.price);
    Some(Deal {
        trade_id: trade_id?,
        instrument: instrument?,
        buy_order_id: buy_order_id?,
        sell_order_id: sell_order_id?,
        quantity: quantity?,
        price: price?,
    })
}

/// The same numbers as its reservation, so it is read by the same eyes.
fn read_apply_fill(fields: &mut Fields, command: &wire::ApplyFill) -> Option<Deal> {
    let wire::ApplyFill { trade_id, instrument, buy_order_id, sell_order_id, quantity, price } =
        command.clone();
    let same = wire::ReserveMatch { trade_id, instrument, buy_order_id, sell_order_id, quantity, price };
    read_reserve_match(fields, &same)
}

fn positive(fields: &mut Fields, field: &str, text: &str) -> Option<Quantity> {
    let quantity = fields.amount::<Quantity>(field, text)?;
    if quantity.is_zero() {
        fields.violate(field, Reason::AmountNotPositive, "must be more than 0");
        return None;
    }
    Some(quantity)
}

/// Buy or sell.
pub fn side(side: common::Side) -> Option<Side> {
    match side {
        common::Side::Unspecified => None,
        common::Side::Buy => Some(Side::Buy),
        common::Side::Sell => Some(Side::Sell),
    }
}

/// What an instrument shall be; valid in itself.
pub fn upsert_instrument(instrument: Option<&wire::Instrument>) -> ApiResult<Command> {
    let mut fields = Fields::new();
    let definition = match fields.message("instrument", &instrument) {
        Some(instrument) => read_instrument(&mut fields, instrument),
        None => None,
    };
    if let Some(Err(violations)) = definition.as_ref().map(Instrument::validate) {
        let within = |mut violation: brokerage_types::FieldViolation| {
            violation.field = format!("instrument.{}", violation.field);
            violation
        };
        fields.extend(violations.into_iter().map(within).collect());
    }
    fields.finish(definition).map(Command::UpsertInstrument)
}

fn read_instrument(fields: &mut Fields, instrument: &wire::Instrument) -> Option<Instrument> {
    let symbol = fields.parse("instrument.symbol", &instrument.symbol);
    let base = fields.parse("instrument.base_asset", &instrument.base_asset);
    let quote = fields.parse("instrument.quote_asset", &instrument.quote_asset);
    let tick_bands = read_tick_bands(fields, &instrument.tick_bands);
    let lot = fields.amount("instrument.lot", &instrument.lot);
    let min_quantity = fields.optional("instrument.min_quantity", &instrument.min_quantity);
    let max_quantity = fields.optional("instrument.max_quantity", &instrument.max_quantity);
    let min_notional = fields.optional("instrument.min_notional", &instrument.min_notional);
    let state = fields.choice("instrument.state", instrument.state, |state| match state {
        wire::InstrumentState::Unspecified => None,
        wire::InstrumentState::Open => Some(InstrumentState::Open),
        wire::InstrumentState::Halted => Some(InstrumentState::Halted),
    });
    Some(Instrument {
        symbol: symbol?,
        base: base?,
        quote: quote?,
        price_scale: instrument.price_scale,
        quantity_scale: instrument.quantity_scale,
        quote_ledger_scale: instrument.quote_ledger_scale,
        tick_bands: tick_bands?,
        lot: lot?,
        min_quantity: min_quantity?,
        max_quantity: max_quantity?,
        min_notional: min_notional?,
        state: state?,
    })
}

fn read_tick_bands(fields: &mut Fields, bands: &[wire::TickBand]) -> Option<Vec<TickBand>> {
    const BANDS_MAX: usize = 100;
    if bands.len() > BANDS_MAX {
        let description = format!("must be at most {BANDS_MAX}");
        fields.violate("instrument.tick_bands", Reason::FieldInvalid, description);
        return None;
    }
    // Every band is read before the first wrong one ends it, so that all mistakes are told.
    let read: Vec<Option<TickBand>> = bands
        .iter()
        .enumerate()
        .map(|(index, band)| {
            let from = fields.amount(&format!("instrument.tick_bands[{index}].from_price"), &band.from_price);
            let tick = fields.amount(&format!("instrument.tick_bands[{index}].tick"), &band.tick);
            Some(TickBand { from: from?, tick: tick? })
        })
        .collect();
    read.into_iter().collect()
}

/// What suspend and resume have in common.
pub fn suspension(order_id: &str, why: &str, by: brokerage_types::Actor) -> ApiResult<Suspension> {
    let mut fields = Fields::new();
    let order_id = fields.parse("order_id", order_id);
    let why = fields.text("reason", why, WHY_LENGTH_MAX).map(str::to_owned);
    let wish = order_id.zip(why).map(|(order_id, why)| Suspension { order_id, by, why });
    fields.finish(wish)
}
