//! Tables: what the grammar takes, how numbers print, what the database may say, and how fees round.

use rust_decimal::Decimal;

use super::{
    Amount, FeeRate, InvalidAmount, InvalidFeeRate, MoneyError, Overflow, Price, Quantity, notional,
};

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn the_grammar_takes_plain_decimals_and_prints_them_canonically() {
    let table = [
        ("0", "0"),
        ("-0", "0"),
        ("0.0", "0"),
        ("-0.00000000", "0"),
        ("1", "1"),
        ("10", "10"),
        ("1.0", "1"),
        ("1.00", "1"),
        ("1.50", "1.5"),
        ("-1.5", "-1.5"),
        ("0.00000001", "0.00000001"),
        ("-0.00000001", "-0.00000001"),
        ("100.01000000", "100.01"),
        ("999999999999999999.99999999", "999999999999999999.99999999"),
        ("-999999999999999999.99999999", "-999999999999999999.99999999"),
    ];
    for (text, printed) in table {
        assert_eq!(amount(text).to_string(), printed, "{text}");
    }
}

#[test]
fn the_grammar_refuses_everything_else() {
    let malformed = [
        "",
        "-",
        ".",
        "-.",
        "+5",
        "1e3",
        "1E3",
        "1_000",
        "1,000",
        "1,5",
        "01",
        "00",
        "-01",
        "00.5",
        ".5",
        "-.5",
        "5.",
        "1.2.3",
        "--1",
        "- 1",
        " 1",
        "1 ",
        "1\n",
        "1\0",
        "0x10",
        "NaN",
        "inf",
        "Infinity",
        "-inf",
        "١",
        "1.٥",
        "½",
        "0.000000000",
        "1.123456789",
        "1.-5",
        "1.+5",
        "−1",
    ];
    for text in malformed {
        assert_eq!(Amount::parse(text), Err(InvalidAmount::Grammar), "{text:?}");
        assert_eq!(Price::parse(text), Err(InvalidAmount::Grammar), "{text:?}");
        assert_eq!(Quantity::parse(text), Err(InvalidAmount::Grammar), "{text:?}");
    }
    let forty_nines = "9".repeat(40);
    for text in ["1000000000000000000", "-1000000000000000000", "1000000000000000000.5", &forty_nines] {
        assert_eq!(Amount::parse(text), Err(InvalidAmount::TooLarge), "{text}");
    }
    assert_eq!(Amount::parse(&"0".repeat(40)), Err(InvalidAmount::Grammar));
}

#[test]
fn each_kind_has_its_own_least_value() {
    assert_eq!(Price::parse("0"), Err(InvalidAmount::NotPositive));
    assert_eq!(Price::parse("-0"), Err(InvalidAmount::NotPositive));
    assert_eq!(Price::parse("-1"), Err(InvalidAmount::NotPositive));
    assert_eq!(Price::parse("0.00000001").map(Price::units), Ok(1));
    assert_eq!(Quantity::parse("-0.1"), Err(InvalidAmount::Negative));
    assert_eq!(Quantity::parse("-0"), Ok(Quantity::ZERO));
    assert_eq!(Amount::parse("-0.1").map(Amount::units), Ok(-10_000_000));
}

#[test]
fn numbers_of_different_spelling_are_equal_and_ordered_by_value() {
    assert_eq!(amount("1.0"), amount("1.00"));
    assert!(amount("-2") < amount("-1.5") && amount("9") < amount("10"));
    assert_eq!(Quantity::parse("3").unwrap().min(Quantity::parse("2.5").unwrap()).to_string(), "2.5");
}

#[test]
fn decimals_counts_places_in_use() {
    let table = [("0", 0), ("10", 0), ("1.50", 1), ("0.05", 2), ("-0.00000001", 8), ("1.10000000", 1)];
    for (text, places) in table {
        assert_eq!(amount(text).decimals(), places, "{text}");
    }
}

#[test]
fn a_multiple_is_exact_and_only_zero_is_a_multiple_of_zero() {
    let table = [
        ("1.5", "0.5", true),
        ("1.5", "0.4", false),
        ("0", "0.4", true),
        ("-1.5", "0.5", true),
        ("0", "0", true),
        ("1", "0", false),
        ("0.3", "0.1", true),
    ];
    for (number, step, holds) in table {
        assert_eq!(amount(number).is_multiple_of(amount(step)), holds, "{number} of {step}");
    }
}

#[test]
fn arithmetic_stops_at_the_edge_of_the_range() {
    let (most, least) = (amount("999999999999999999.99999999"), amount("0.00000001"));
    assert_eq!(most.checked_add(least), Err(Overflow));
    assert_eq!(most.neg().checked_sub(least), Err(Overflow));
    assert_eq!(most.checked_add(most.neg()), Ok(Amount::ZERO));
    let (one, two) = (Quantity::parse("1").unwrap(), Quantity::parse("2").unwrap());
    assert_eq!(one.checked_sub(two), Err(Overflow));
    assert_eq!(one.checked_sub(one), Ok(Quantity::ZERO));
    let price = Price::parse("1").unwrap();
    assert_eq!(price.checked_sub(price), Err(Overflow));
}

#[test]
fn a_notional_is_exact_or_an_error() {
    let table = [
        ("0.00000001", "1", Ok("0.00000001")),
        ("12.34", "0.0001", Ok("0.001234")),
        ("0.0001", "0.0001", Ok("0.00000001")),
        ("0.0001", "0.00001", Err(MoneyError::Inexact)),
        ("0.00000001", "0.5", Err(MoneyError::Inexact)),
        ("0.00000001", "100000000", Ok("1")),
        ("999999999", "999999999", Ok("999999998000000001")),
        ("1000000000", "1000000000", Err(MoneyError::Overflow)),
        ("999999999999999999.99999999", "999999999999999999.99999999", Err(MoneyError::Overflow)),
        ("5", "0", Ok("0")),
    ];
    for (price, quantity, expected) in table {
        let product = notional(Price::parse(price).unwrap(), Quantity::parse(quantity).unwrap());
        assert_eq!(product, expected.map(amount), "{price} × {quantity}");
    }
}

#[test]
fn the_database_may_only_say_numbers_that_we_could_have_stored() {
    let decimal = |mantissa: i128, scale: u32| Decimal::try_from_i128_with_scale(mantissa, scale).unwrap();
    let table = [
        (decimal(150_000_000, 8), Ok("1.5")),
        (decimal(15, 1), Ok("1.5")),
        (decimal(-15, 0), Ok("-15")),
        (decimal(0, 28), Ok("0")),
        (decimal(1_500_000_000_000, 12), Ok("1.5")),
        (decimal(1, 9), Err(InvalidAmount::Grammar)),
        (decimal(15_000_000_000_000_000_000_000_000_001, 28), Err(InvalidAmount::Grammar)),
        (decimal(1_000_000_000_000_000_000, 0), Err(InvalidAmount::TooLarge)),
        (Decimal::MAX, Err(InvalidAmount::TooLarge)),
        (Decimal::MIN, Err(InvalidAmount::TooLarge)),
        (decimal(99_999_999_999_999_999_999_999_999, 8), Ok("999999999999999999.99999999")),
    ];
    for (from, expected) in table {
        assert_eq!(Amount::from_decimal(from), expected.map(amount), "{from}");
    }
    assert_eq!(Price::from_decimal(Decimal::ZERO), Err(InvalidAmount::NotPositive));
    assert_eq!(Quantity::from_decimal(Decimal::NEGATIVE_ONE), Err(InvalidAmount::Negative));
    assert_eq!(amount("-0.10").to_decimal().to_string(), "-0.1");
}

#[test]
fn json_holds_canonical_strings_and_never_numbers() {
    assert_eq!(serde_json::to_string(&amount("-1.50")).unwrap(), r#""-1.5""#);
    assert_eq!(serde_json::from_str::<Amount>(r#""1.50""#).unwrap(), amount("1.5"));
    assert!(serde_json::from_str::<Amount>("1.5").is_err());
    assert!(serde_json::from_str::<Price>(r#""0""#).is_err());
    assert!(serde_json::from_str::<Quantity>(r#""-1""#).is_err());
}

#[test]
fn printing_obeys_the_width_that_tables_ask_for() {
    assert_eq!(format!("{:>8}|", amount("-1.5")), "    -1.5|");
    assert_eq!(format!("{:?}", amount("1.50")), "Amount(1.5)");
}

#[test]
fn a_fee_is_rounded_half_up_on_its_magnitude_and_its_ceiling_up() {
    // ppm, notional, transfer scale, fee, ceiling
    let table = [
        (0, "1000000", 2, "0", "0"),
        (1_500, "100", 2, "0.15", "0.15"),
        (125_000, "1", 2, "0.13", "0.13"),
        (124_999, "1", 2, "0.12", "0.13"),
        (125_001, "1", 2, "0.13", "0.13"),
        (1, "0.01", 2, "0", "0.01"),
        (1, "0.00000001", 8, "0", "0.00000001"),
        (500_000, "1", 0, "1", "1"),
        (499_999, "1", 0, "0", "1"),
        (1_000_000, "123.456", 2, "123.46", "123.46"),
        (1_000_000, "123.45678901", 8, "123.45678901", "123.45678901"),
        (125_000, "-1", 2, "-0.13", "-0.13"),
        (124_999, "-1", 2, "-0.12", "-0.13"),
        (2_000, "0", 2, "0", "0"),
    ];
    for (ppm, of, scale, fee, ceiling) in table {
        let rate = FeeRate::from_ppm(ppm).unwrap();
        assert_eq!(rate.fee(amount(of), scale), Ok(amount(fee)), "fee of {of} at {rate}");
        assert_eq!(rate.fee_ceil(amount(of), scale), Ok(amount(ceiling)), "ceiling of {of} at {rate}");
    }
}

#[test]
fn a_fee_out_of_range_is_refused() {
    assert_eq!(FeeRate::from_ppm(1_000_001), Err(InvalidFeeRate));
    let whole = FeeRate::from_ppm(1_000_000).unwrap();
    let most = amount("999999999999999999.99999999");
    assert_eq!(whole.fee(most, 8), Ok(most));
    assert_eq!(whole.fee_ceil(most, 2), Err(MoneyError::Overflow));
    assert_eq!(whole.fee(most, 9), Err(MoneyError::Inexact));
}
