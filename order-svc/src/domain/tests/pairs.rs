//! M-4: what a pair must be, one refusal for each rule.

use brokerage_types::{InstrumentState, Reason, Side};

use super::fixture::{Command, Two, instrument, now, open_order, price, qty, terms};
use crate::domain::matching::{Deal, Pair, reserve};
use crate::domain::{Order, create};

fn open(order: &crate::domain::Terms) -> Order {
    let drafted = create::draft(order, Some(&instrument()), now()).unwrap().0;
    open_order(&drafted, 3).unwrap().0
}

#[track_caller]
fn check(expected: Result<(), Reason>, change: impl FnOnce(&mut Two, &mut Deal)) {
    let mut two = Two::drafted().after(&[Command::Open]);
    let mut deal = two.deal(5, qty("4"));
    change(&mut two, &mut deal);
    let pair = Pair { buy: &two.alice, sell: &two.bob };
    let outcome = reserve(pair, &deal, &instrument(), now());
    assert_eq!(outcome.map(drop).map_err(|r| r.reason()), expected);
}

#[test]
fn a_crossing_pair_of_two_owners_is_reserved() {
    check(Ok(()), |_, _| {});
}

#[test]
fn a_match_across_instruments_is_refused() {
    check(Err(Reason::InstrumentMismatch), |two, _| two.bob.terms.instrument = "ABC".parse().unwrap());
    check(Err(Reason::InstrumentMismatch), |_, deal| deal.instrument = "ABC".parse().unwrap());
}

#[test]
fn two_orders_of_one_side_are_refused() {
    check(Err(Reason::SameSide), |two, _| two.bob = open(&terms(4, "bob", Side::Buy, "10")));
    check(Err(Reason::SameSide), |two, _| std::mem::swap(&mut two.alice, &mut two.bob));
}

#[test]
fn two_orders_of_one_owner_are_refused() {
    check(Err(Reason::SelfTrade), |two, _| two.bob = open(&terms(4, "alice", Side::Sell, "10")));
}

#[test]
fn limits_that_do_not_cross_are_refused() {
    check(Err(Reason::NotCrossing), |two, _| two.bob.terms.limit_price = price("100.01"));
}

#[test]
fn a_price_outside_either_limit_is_refused() {
    check(Err(Reason::PriceOutsideLimits), |_, deal| deal.price = price("100.01"));
    check(Err(Reason::PriceOutsideLimits), |_, deal| deal.price = price("99.99"));
}

#[test]
fn a_price_off_tick_and_a_quantity_off_lot_are_refused() {
    check(Err(Reason::TooManyDecimals), |two, deal| {
        two.bob.terms.limit_price = price("99");
        deal.price = price("99.505");
    });
    check(Err(Reason::TooManyDecimals), |_, deal| deal.quantity = qty("0.5"));
}

#[test]
fn more_than_either_side_has_is_refused() {
    check(Err(Reason::QuantityExceedsLeaves), |_, deal| deal.quantity = qty("11"));
    check(Err(Reason::QuantityExceedsLeaves), |two, _| two.bob = open(&terms(4, "bob", Side::Sell, "3")));
}

#[test]
fn a_halted_instrument_does_not_match() {
    let two = Two::drafted().after(&[Command::Open]);
    let mut halted = instrument();
    halted.state = InstrumentState::Halted;
    let outcome = reserve(two.pair(), &two.deal(5, qty("4")), &halted, now());
    assert_eq!(outcome.map(drop).map_err(|r| r.reason()), Err(Reason::MarketHalted));
}

#[test]
fn the_smallest_order_of_an_instrument_does_not_bind_a_part_of_one() {
    let two = Two::drafted().after(&[Command::Open]);
    let mut large_only = instrument();
    large_only.min_quantity = Some(qty("10"));
    assert!(reserve(two.pair(), &two.deal(5, qty("4")), &large_only, now()).is_ok());
}

#[test]
fn the_order_that_came_second_is_the_aggressor() {
    let two = Two::drafted().after(&[Command::Open]);
    assert!(two.alice.accept_seq > two.bob.accept_seq);
    assert_eq!(two.pair().aggressor(), Side::Buy);
}
