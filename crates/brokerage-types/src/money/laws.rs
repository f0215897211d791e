//! Laws: what holds for all numbers, orders and fills, on random ones.

use proptest::prelude::*;

use super::{Amount, FeeRate, Price, Quantity, notional};

const UNITS_MAX: i128 = 99_999_999_999_999_999_999_999_999;
/// 0.0001 in units: quantities of these laws have 4 decimals and prices 2, as the instrument rule allows.
const QUANTITY_STEP: i128 = 10_000;
/// 0.01 in units.
const PRICE_STEP: i128 = 1_000_000;

fn units() -> impl Strategy<Value = i128> {
    prop_oneof![
        -UNITS_MAX..=UNITS_MAX,
        -1_000_000_000_i128..=1_000_000_000,
        (-1_000_000_i128..=1_000_000).prop_map(|whole| whole * 100_000_000),
        Just(UNITS_MAX),
        Just(-UNITS_MAX),
    ]
}

fn amounts() -> impl Strategy<Value = Amount> {
    units().prop_map(|units| Amount::from_units(units).unwrap())
}

fn rates() -> impl Strategy<Value = FeeRate> {
    prop_oneof![Just(0), Just(1), 1_u32..10_000, 0_u32..=1_000_000]
        .prop_map(|ppm| FeeRate::from_ppm(ppm).unwrap())
}

fn price(steps: i128) -> Price {
    Price::from_units(steps * PRICE_STEP).unwrap()
}

fn quantity(steps: i128) -> Quantity {
    Quantity::from_units(steps * QUANTITY_STEP).unwrap()
}

fn plus(left: Amount, right: Amount) -> Amount {
    left.checked_add(right).unwrap()
}

fn minus(left: Amount, right: Amount) -> Amount {
    left.checked_sub(right).unwrap()
}

/// A buy order on its way through the market: how it was filled so far.
#[derive(Clone, Copy)]
struct Buyer {
    rate: FeeRate,
    scale: u32,
    limit: Price,
    leaves: Quantity,
    cum_notional: Amount,
    cum_fee: Amount,
}

impl Buyer {
    /// What must be held: the worst price of the rest, and a fee that covers whatever comes.
    fn required(&self) -> Amount {
        let rest = notional(self.limit, self.leaves).unwrap();
        let fee = self.rate.fee_ceil(plus(self.cum_notional, rest), self.scale).unwrap();
        minus(plus(rest, fee), self.cum_fee)
    }

    /// The order after a fill, and what the fill captures of the hold.
    fn filled(self, quantity: Quantity, price: Price) -> (Self, Amount) {
        let paid = notional(price, quantity).unwrap();
        let cum_notional = plus(self.cum_notional, paid);
        let cum_fee = self.rate.fee(cum_notional, self.scale).unwrap();
        let leaves = self.leaves.checked_sub(quantity).unwrap();
        let captured = plus(paid, minus(cum_fee, self.cum_fee));
        (Self { leaves, cum_notional, cum_fee, ..self }, captured)
    }
}

/// Fills as (share of the rest in 1/1000, price as a share of the limit in 1/1000).
fn fills() -> impl Strategy<Value = Vec<(i128, i128)>> {
    prop::collection::vec((1_i128..=1000, 1_i128..=1000), 0..12)
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(amount in amounts()) {
        prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        prop_assert_eq!(Amount::from_decimal(amount.to_decimal()), Ok(amount));
        prop_assert_eq!(amount.to_decimal().to_string(), amount.to_string());
        prop_assert_eq!(amount.to_decimal().scale(), amount.decimals());
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
    }

    #[test]
    fn every_text_is_parsed_exactly_as_the_grammar_says(text in "-?[0-9]{0,20}(\\.[0-9]{0,9})?") {
        let (whole, fraction) = text.trim_start_matches('-').split_once('.').map_or_else(
            || (text.trim_start_matches('-'), None),
            |(whole, fraction)| (whole, Some(fraction)),
        );
        let whole_is_fine = (1..=18).contains(&whole.len()) && (whole == "0" || !whole.starts_with('0'));
        let fraction_is_fine = fraction.is_none_or(|digits| (1..=8).contains(&digits.len()));
        prop_assert_eq!(Amount::parse(&text).is_ok(), whole_is_fine && fraction_is_fine);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        if let Ok(amount) = Amount::parse(&text) {
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }
    }

    #[test]
    fn adding_and_subtracting_are_inverse(left in amounts(), right in amounts()) {
        if let Ok(sum) = left.checked_add(right) {
            prop_assert_eq!(sum.checked_sub(right), Ok(left));
            prop_assert_eq!(right.checked_add(left), Ok(sum));
        } else {
            prop_assert!((left.units() + right.units()).abs() > UNITS_MAX);
        }
        prop_assert_eq!(left.checked_sub(right), left.checked_add(right.neg()));
    }

    #[test]
    fn order_of_amounts_is_order_of_numbers(left in amounts(), right in amounts()) {
        prop_assert_eq!(left.cmp(&right), left.to_decimal().cmp(&right.to_decimal()));
    }

    #[test]
    fn a_notional_is_the_sum_of_the_notionals_of_its_parts(
        at in 1_i128..1_000_000_000, parts in prop::collection::vec(0_i128..1_000_000_000, 0..10),
    ) {
        let whole = notional(price(at), quantity(parts.iter().sum())).unwrap();
        let sum = parts.iter().map(|part| notional(price(at), quantity(*part)).unwrap()).fold(Amount::ZERO, plus);
        prop_assert_eq!(whole, sum);
        prop_assert!(whole.decimals() <= 6);
    }

    #[test]
    fn fees_do_not_depend_on_slicing_and_no_fill_pays_a_negative_one(
        rate in rates(), scale in 0_u32..=8, slices in prop::collection::vec(0_i128..10_000_000_000_000, 1..20),
    ) {
        let (mut total, mut charged) = (Amount::ZERO, Amount::ZERO);
        for slice in slices {
            let before = rate.fee(total, scale).unwrap();
            total = plus(total, Amount::from_units(slice).unwrap());
            let fee = minus(rate.fee(total, scale).unwrap(), before);
            prop_assert!(!fee.is_negative());
            charged = plus(charged, fee);
        }
        prop_assert_eq!(charged, rate.fee(total, scale).unwrap());
    }

    #[test]
    fn a_fee_ceiling_covers_the_fee_by_less_than_one_unit_and_never_falls(
        rate in rates(), scale in 0_u32..=8, low in 0..UNITS_MAX / 2, more in 0..UNITS_MAX / 4,
    ) {
        let (low, high) = (Amount::from_units(low).unwrap(), Amount::from_units(low + more).unwrap());
        let unit = 10_i128.pow(8 - scale);
        for at in [low, high] {
            let (fee, ceiling) = (rate.fee(at, scale).unwrap(), rate.fee_ceil(at, scale).unwrap());
            let slack = minus(ceiling, fee);
            prop_assert!(slack.is_zero() || slack.units() == unit);
            prop_assert!(fee.decimals() <= scale && ceiling.decimals() <= scale);
        }
        prop_assert!(rate.fee(low, scale).unwrap() <= rate.fee(high, scale).unwrap());
        prop_assert!(rate.fee_ceil(low, scale).unwrap() <= rate.fee_ceil(high, scale).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_buy_hold_covers_every_fill_and_closes_at_exactly_zero(
        rate in rates(), scale in 0_u32..=4, limit in 1_i128..10_000_000, size in 1_i128..10_000_000, fills in fills(),
    ) {
        let mut order = Buyer {
            rate, scale, limit: price(limit), leaves: quantity(size), cum_notional: Amount::ZERO, cum_fee: Amount::ZERO,
        };
        let placed = order.required();
        let (mut remaining, mut captured, mut released) = (placed, Amount::ZERO, Amount::ZERO);
        let mut left = size;
        let all_at_once = (1000, 1000);
        for (share, discount) in fills.into_iter().chain([all_at_once]) {
            let part = (left * share / 1000).max(i128::from(left > 0));
            let (next, capture) = order.filled(quantity(part), price((limit * discount / 1000).max(1)));
            let release = minus(minus(remaining, capture), next.required());
            prop_assert!(!capture.is_negative() && !release.is_negative());
            captured = plus(captured, capture);
            released = plus(released, release);
            remaining = next.required();
            prop_assert!(!remaining.is_negative());
            order = next;
            left -= part;
        }
        prop_assert_eq!(left, 0);
        let residue = remaining;
        prop_assert!(residue.is_zero() || residue.units() == 10_i128.pow(8 - scale));
        prop_assert_eq!(plus(plus(captured, released), residue), placed);
        prop_assert_eq!(captured, plus(order.cum_notional, order.cum_fee));
    }
}
