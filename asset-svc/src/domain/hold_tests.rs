//! Tables and properties of holds: nothing is ever short, nothing is ever left over.

use brokerage_types::FeeRate;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn hold(side: Side, limit: &str, quantity: &str, ppm: u32) -> Hold {
    let terms = Terms {
        customer: CustomerId::parse("alice").unwrap(),
        side,
        base: AssetCode::parse("XYZ").unwrap(),
        quote: AssetCode::parse("TRY").unwrap(),
        limit: Price::parse(limit).unwrap(),
        quantity: Quantity::parse(quantity).unwrap(),
        commission: Commission { rate: FeeRate::from_ppm(ppm).unwrap(), scale: 2 },
    };
    Hold::place(HoldId::from(Uuid::from_u128(7)), terms).unwrap()
}

fn fill(hold: &Hold, quantity: &str, price: &str) -> Result<Capture, Rejection> {
    hold.capture(Quantity::parse(quantity).unwrap(), Price::parse(price).unwrap())
}

/// (side, limit, quantity, ppm, fills as (quantity, price, fee, released), placed, remaining after)
#[expect(clippy::type_complexity, reason = "a table is read by its columns")]
#[test]
fn fills_take_what_the_rule_says() {
    let cases: &[(Side, &str, &str, u32, &[(&str, &str, &str, &str)], &str, &str)] = &[
        // No commission, no improvement.
        (Side::Buy, "10", "5", 0, &[("2", "10", "0", "0")], "50", "30"),
        // Price improvement goes back at once.
        (Side::Buy, "10", "5", 0, &[("2", "9.5", "0", "1"), ("3", "9", "0", "3")], "50", "0"),
        // 0.15 % of 50 is 0.075: 0.08 is reserved; 0.03 and then the rest of 0.08 are charged.
        (Side::Buy, "10", "5", 1500, &[("2", "10", "0.03", "0"), ("3", "10", "0.05", "0")], "50.08", "0"),
        // Half up charges 0.03 of a reserved 0.04: the slack goes back with the last fill.
        (Side::Buy, "10", "3.1", 1000, &[("3.1", "10", "0.03", "0.01")], "31.04", "0"),
        // A sell holds shares and pays out of the proceeds.
        (Side::Sell, "10", "5", 1500, &[("2", "11", "0.03", "0")], "5", "3"),
        // A fee is never more than the proceeds; the rest of it is collected by a later fill.
        (
            Side::Sell,
            "0.001",
            "1000",
            1_000_000,
            &[("6", "0.001", "0.006", "0"), ("994", "0.001", "0.994", "0")],
            "1000",
            "0",
        ),
    ];
    for (side, limit, quantity, ppm, fills, placed, left) in cases {
        let mut now = hold(*side, limit, quantity, *ppm);
        assert_eq!(now.placed, amount(placed), "{side} {quantity} at {limit}");
        for (quantity, price, fee, released) in *fills {
            let capture = fill(&now, quantity, price).unwrap();
            assert_eq!(
                (capture.fee, capture.released),
                (amount(fee), amount(released)),
                "{quantity} at {price}"
            );
            now = capture.hold;
        }
        assert_eq!(now.remaining().unwrap(), amount(left));
        assert_eq!(now.state == State::Closed, now.leaves().unwrap().is_zero());
        assert_eq!(now.version, 1 + i64::try_from(fills.len()).unwrap());
    }
}

#[test]
fn a_hold_refuses_what_is_not_its_own() {
    let buy = hold(Side::Buy, "10", "5", 0);
    assert!(matches!(fill(&buy, "5.1", "10"), Err(Rejection::HoldInsufficient { .. })));
    assert!(matches!(fill(&buy, "5", "10.01"), Err(Rejection::PriceOutsideLimits { .. })));
    let sell = hold(Side::Sell, "10", "5", 0);
    assert!(matches!(fill(&sell, "5", "9.99"), Err(Rejection::PriceOutsideLimits { .. })));
    let (closed, residual) = buy.close().unwrap().unwrap();
    assert_eq!(residual, amount("50"));
    assert!(matches!(fill(&closed, "1", "10"), Err(Rejection::HoldClosed(_))));
    assert_eq!(closed.close().unwrap(), None);
}

#[test]
fn closing_after_a_partial_fill_gives_back_exactly_the_rest() {
    let partly = fill(&hold(Side::Buy, "10", "5", 1500), "2", "9").unwrap().hold;
    let (closed, residual) = partly.close().unwrap().unwrap();
    assert_eq!(closed.remaining().unwrap(), Amount::ZERO);
    assert_eq!(
        residual.checked_add(partly.captured).unwrap().checked_add(partly.released).unwrap(),
        partly.placed
    );
}

#[test]
fn an_amount_beyond_the_ledger_is_an_error_not_a_smaller_hold() {
    let terms = Terms { limit: Price::parse("999999999999").unwrap(), ..hold(Side::Buy, "1", "1", 0).terms };
    let terms = Terms { quantity: Quantity::parse("999999999999").unwrap(), ..terms };
    assert_eq!(Hold::place(HoldId::from(Uuid::from_u128(1)), terms), Err(MoneyError::Overflow));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any slicing into fills at prices no worse than the limit, at any rate: the hold is never short, every unit is
    /// captured or released, the fee charged is the fee of the whole, and a filled hold is empty.
    #[test]
    fn every_slicing_adds_up(
        buy in any::<bool>(),
        ticks in 1_i128..50_000,
        lots in 1_i128..2_000,
        fractional in any::<bool>(),
        ppm in prop::sample::select(vec![0_u32, 1, 250, 1_000, 1_500, 99_999, 1_000_000]),
        slices in prop::collection::vec((1_i128..500, 0_i128..5_000), 1..12),
    ) {
        let lot = if fractional { 10_000 } else { 100_000_000 };
        let tick = 1_000_000;
        let side = if buy { Side::Buy } else { Side::Sell };
        let limit = Price::from_units(ticks * tick).unwrap();
        let quantity = Quantity::from_units(lots * lot).unwrap();
        let mut now = Hold::place(HoldId::from(Uuid::from_u128(3)), Terms { limit, quantity,
            ..hold(side, "1", "1", ppm).terms }).unwrap();
        let placed = now.placed;
        let mut traded = Amount::ZERO;
        for (size, better) in slices {
            let size = (size * lot).min(now.leaves().unwrap().units());
            if size == 0 {
                break;
            }
            let price = match side {
                Side::Buy => (ticks - better).max(1) * tick,
                Side::Sell => (ticks + better) * tick,
            };
            let before = now.remaining().unwrap();
            let capture = now
                .capture(Quantity::from_units(size).unwrap(), Price::from_units(price).unwrap())
                .unwrap();
            prop_assert!(!capture.released.is_negative() && !capture.fee.is_negative());
            prop_assert!(side == Side::Buy || capture.fee <= capture.notional);
            prop_assert!(capture.hold.remaining().unwrap() <= before);
            traded = traded.checked_add(capture.notional).unwrap();
            now = capture.hold;
            let due = now.terms.commission.due(traded).unwrap();
            prop_assert!(now.cum_fee == due || (side == Side::Sell && now.cum_fee < due));
        }
        prop_assert_eq!(now.cum_notional, traded);
        if now.leaves().unwrap().is_zero() {
            prop_assert_eq!(now.state, State::Closed);
            prop_assert_eq!(now.remaining().unwrap(), Amount::ZERO);
        }
        if let Some((closed, _)) = now.close().unwrap() {
            now = closed;
        }
        prop_assert_eq!(now.captured.checked_add(now.released).unwrap(), placed);
    }
}
