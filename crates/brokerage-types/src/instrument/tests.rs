//! Tables: which instruments are sound, and which orders they take.

use super::{Instrument, InstrumentState, TickBand};
use crate::{Amount, AssetCode, Price, Quantity, Reason, Symbol, notional};

/// Fields and reasons that a check must find, in order.
type Violations = &'static [(&'static str, Reason)];

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

fn band(from: &str, tick: &str) -> TickBand {
    TickBand { from: Amount::parse(from).unwrap(), tick: Price::parse(tick).unwrap() }
}

fn share_in_lira() -> Instrument {
    Instrument {
        symbol: Symbol::parse("THYAO").unwrap(),
        base: AssetCode::parse("THYAO").unwrap(),
        quote: AssetCode::parse("TRY").unwrap(),
        price_scale: 2,
        quantity_scale: 1,
        quote_ledger_scale: 6,
        tick_bands: vec![band("0", "0.01"), band("20", "0.02"), band("50", "0.05")],
        lot: quantity("0.5"),
        min_quantity: Some(quantity("1")),
        max_quantity: Some(quantity("1000")),
        min_notional: Some(Amount::parse("10").unwrap()),
        state: InstrumentState::Open,
    }
}

fn check(change: impl FnOnce(&mut Instrument), expected: &[(&str, Reason)]) {
    let mut instrument = share_in_lira();
    change(&mut instrument);
    let found = instrument.validate().err().unwrap_or_default();
    let found: Vec<_> = found.iter().map(|violation| (violation.field.as_str(), violation.reason)).collect();
    assert_eq!(found, expected, "{instrument:?}");
}

#[test]
fn a_sound_instrument_is_valid() {
    check(|_| {}, &[]);
    check(
        |instrument| {
            (instrument.min_quantity, instrument.max_quantity, instrument.min_notional) = (None, None, None);
        },
        &[],
    );
}

#[test]
fn scales_that_could_round_a_notional_are_refused() {
    let invalid = Reason::FieldInvalid;
    check(|instrument| instrument.quote_ledger_scale = 3, &[]);
    check(|instrument| instrument.quote_ledger_scale = 2, &[("quote_ledger_scale", invalid)]);
    check(|instrument| instrument.quote_ledger_scale = 9, &[("quote_ledger_scale", invalid)]);
    check(
        |instrument| instrument.price_scale = u32::MAX,
        &[("price_scale", invalid), ("quote_ledger_scale", invalid)],
    );
    check(
        |instrument| instrument.quantity_scale = 9,
        &[("quantity_scale", invalid), ("quote_ledger_scale", invalid)],
    );
    check(|instrument| instrument.base = instrument.quote.clone(), &[("quote_asset", invalid)]);
}

#[test]
fn tick_bands_start_at_zero_ascend_and_fit_the_price_scale() {
    let invalid = Reason::FieldInvalid;
    check(|instrument| instrument.tick_bands.clear(), &[("tick_bands", Reason::FieldRequired)]);
    let not_from_zero = [("tick_bands[0].from_price", invalid)];
    check(|instrument| instrument.tick_bands = vec![band("1", "0.01")], &not_from_zero);
    check(|instrument| instrument.tick_bands = vec![band("-1", "0.01")], &not_from_zero);
    check(
        |instrument| instrument.tick_bands = vec![band("0", "0.01"), band("5", "0.02"), band("5", "0.05")],
        &[("tick_bands[2].from_price", invalid)],
    );
    check(
        |instrument| instrument.tick_bands = vec![band("0", "0.005"), band("1.001", "0.01")],
        &[
            ("tick_bands[0].tick", Reason::TooManyDecimals),
            ("tick_bands[1].from_price", Reason::TooManyDecimals),
        ],
    );
}

#[test]
fn lot_and_bounds_agree_with_each_other() {
    check(|instrument| instrument.lot = Quantity::ZERO, &[("lot", Reason::AmountNotPositive)]);
    check(|instrument| instrument.lot = quantity("0.25"), &[("lot", Reason::TooManyDecimals)]);
    check(|instrument| instrument.min_quantity = Some(quantity("0.7")), &[("min_quantity", Reason::OffLot)]);
    check(
        |instrument| instrument.min_quantity = Some(Quantity::ZERO),
        &[("min_quantity", Reason::AmountNotPositive)],
    );
    check(
        |instrument| instrument.max_quantity = Some(quantity("0.5")),
        &[("max_quantity", Reason::FieldInvalid)],
    );
    check(
        |instrument| instrument.min_notional = Amount::parse("-1").ok(),
        &[("min_notional", Reason::AmountNotPositive)],
    );
    check(
        |instrument| instrument.min_notional = Amount::parse("0.0000001").ok(),
        &[("min_notional", Reason::TooManyDecimals)],
    );
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mut broken = share_in_lira();
    broken.tick_bands.clear();
    broken.lot = Quantity::ZERO;
    broken.base = broken.quote.clone();
    assert_eq!(broken.validate().unwrap_err().len(), 3);
}

#[test]
fn an_order_is_checked_against_tick_lot_and_bounds() {
    use Reason::{
        AboveMaxQuantity, AmountNotPositive, BelowMinNotional, BelowMinQuantity, OffLot, OffTick,
        TooManyDecimals,
    };
    let table: [(&str, &str, Violations); 17] = [
        ("19.99", "1", &[]),
        ("20.01", "1", &[("limit_price", OffTick)]),
        ("20.02", "1", &[]),
        ("20", "1", &[]),
        ("49.98", "1", &[]),
        ("50.02", "1", &[("limit_price", OffTick)]),
        ("50.05", "1000", &[]),
        ("19.991", "1", &[("limit_price", TooManyDecimals)]),
        ("20", "1.5", &[]),
        ("20", "1.3", &[("quantity", OffLot)]),
        ("20", "1.25", &[("quantity", TooManyDecimals)]),
        ("20", "0", &[("quantity", AmountNotPositive)]),
        ("20", "0.5", &[("quantity", BelowMinQuantity)]),
        ("20", "1000.5", &[("quantity", AboveMaxQuantity)]),
        ("9.99", "1", &[("quantity", BelowMinNotional)]),
        ("10", "1", &[]),
        ("20.01", "1.3", &[("limit_price", OffTick), ("quantity", OffLot)]),
    ];
    let instrument = share_in_lira();
    for (at, size, expected) in table {
        let found = instrument.check_order(Price::parse(at).unwrap(), quantity(size));
        let found: Vec<_> =
            found.iter().map(|violation| (violation.field.as_str(), violation.reason)).collect();
        assert_eq!(found, expected, "{size} at {at}");
    }
}

#[test]
fn a_notional_out_of_range_is_a_violation_and_not_a_panic() {
    let mut unbounded = share_in_lira();
    unbounded.max_quantity = None;
    let huge = "999999999999999999";
    let found = unbounded.check_order(Price::parse(huge).unwrap(), quantity(huge));
    assert_eq!(found.iter().map(|violation| violation.reason).collect::<Vec<_>>(), [Reason::AmountTooLarge]);
}

#[test]
fn an_order_that_passes_has_an_exact_notional() {
    let instrument = share_in_lira();
    for (at, size) in [("19.99", "1.5"), ("999.95", "999.5"), ("10", "1")] {
        let (at, size) = (Price::parse(at).unwrap(), quantity(size));
        assert!(instrument.check_order(at, size).is_empty());
        assert!(notional(at, size).unwrap().decimals() <= instrument.quote_ledger_scale);
    }
}

#[test]
fn an_instrument_survives_json() {
    let instrument = share_in_lira();
    let json = serde_json::to_value(&instrument).unwrap();
    assert_eq!(json["lot"], "0.5");
    assert_eq!(json["state"], "OPEN");
    assert_eq!(serde_json::from_value::<Instrument>(json).unwrap(), instrument);
}

#[test]
fn states_have_one_number_each() {
    for state in [InstrumentState::Open, InstrumentState::Halted] {
        assert_eq!(InstrumentState::from_code(state.code()), Some(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    assert_eq!(InstrumentState::from_code(0), None);
}
