//! The races of docs/rules.md (O-5 to O-20), with the interleaving forced.

use brokerage_types::Reason;

use super::fixture::{CANCELER, Command, Two, instrument, now, price, qty, saga};
use crate::domain::cancel::{Drain, drain};
use crate::domain::{Change, Status, create};

fn drained(two: &Two) -> Drain {
    let alice = &two.alice;
    drain(alice.status, alice.cancel, alice.inflight_qty.is_zero(), saga(CANCELER))
}

const ASK: Command = Command::BeginCancel(CANCELER);

#[test]
fn a_cancel_before_open_makes_open_refuse_and_the_order_ends_canceled() {
    let mut two = Two::drafted().after(&[ASK]);
    assert_eq!(two.alice.status, Status::Init);
    assert_eq!(drained(&two), Drain::NotNow);
    assert_eq!(two.run(&Command::Open), Err(Reason::CancelAsked));
    let two = two.after(&[Command::UndoDraft(Reason::CancelAsked)]);
    assert_eq!(two.alice.status, Status::Canceled);
    assert_eq!(drained(&two), Drain::Drained);
    let mut two = two;
    assert_eq!(two.run(&Command::ConfirmCancel), Ok(None));
}

#[test]
fn a_cancel_of_an_order_whose_hold_was_refused_is_too_late() {
    let two = Two::drafted().after(&[ASK, Command::UndoDraft(Reason::InsufficientUsable)]);
    assert_eq!(two.alice.status, Status::Rejected);
    assert_eq!(two.alice.reason, Some(Reason::InsufficientUsable));
    assert_eq!(drained(&two), Drain::TooLate);
}

#[test]
fn a_cancel_that_came_first_keeps_the_match_out() {
    let mut two = Two::drafted().after(&[Command::Open, ASK]);
    assert_eq!(two.run(&Command::Reserve(qty("4"))), Err(Reason::NotMatchable));
    assert_eq!(drained(&two), Drain::Drained);
}

#[test]
fn a_match_that_came_first_makes_the_cancel_wait_and_then_cancel_what_is_left() {
    let two = Two::drafted().after(&[Command::Open, Command::Reserve(qty("4")), ASK]);
    assert_eq!(drained(&two), Drain::NotNow);
    let two = two.after(&[Command::Fill(qty("4"))]);
    assert_eq!(two.alice.status, Status::CancelRequested);
    assert_eq!(drained(&two), Drain::Drained);
    let two = two.after(&[Command::ConfirmCancel]);
    assert_eq!((two.alice.cum_qty, two.alice.canceled_qty), (qty("4"), qty("6")));
}

#[test]
fn a_match_of_the_whole_order_beats_the_cancel() {
    let two =
        Two::drafted().after(&[Command::Open, Command::Reserve(qty("10")), ASK, Command::Fill(qty("10"))]);
    assert_eq!(two.alice.status, Status::Matched);
    assert_eq!(drained(&two), Drain::TooLate);
    let last = two.events.last().map(|event| event.change.clone());
    let Some(Change::OrderMatched { cancel_rejected, .. }) = last else { panic!("{last:?}") };
    assert_eq!(cancel_rejected, Some(Reason::TooLateToCancel));
}

#[test]
fn a_cancel_taken_back_after_a_fill_leaves_the_order_partly_matched() {
    let two = Two::drafted().after(&[
        Command::Open,
        Command::Reserve(qty("4")),
        ASK,
        Command::Fill(qty("4")),
        Command::UndoBeginCancel(CANCELER),
    ]);
    assert_eq!(two.alice.status, Status::PartiallyMatched);
    assert_eq!(two.alice.cancel, None);
}

#[test]
fn only_the_cancel_saga_itself_is_told_that_the_order_is_drained() {
    let two = Two::drafted().after(&[Command::Open, ASK]);
    let alice = &two.alice;
    assert_eq!(drain(alice.status, alice.cancel, true, saga(CANCELER + 1)), Drain::NotNow);
}

#[test]
fn two_matches_may_be_in_flight_up_to_what_is_left() {
    let mut two = Two::drafted().after(&[Command::Open, Command::Reserve(qty("4"))]);
    assert_eq!(two.run(&Command::Reserve(qty("7"))), Err(Reason::QuantityExceedsLeaves));
    let two = two.after(&[Command::Reserve(qty("6")), Command::Fill(qty("6"))]);
    assert_eq!(two.alice.status, Status::PartiallyMatched);
    let mut two = two;
    assert_eq!(two.run(&Command::Reserve(qty("1"))), Err(Reason::QuantityExceedsLeaves));
    let two = two.after(&[Command::Fill(qty("4"))]);
    assert_eq!(two.alice.status, Status::Matched);
}

#[test]
fn fills_at_different_prices_add_up_exactly() {
    let two = Two::drafted().after(&[Command::Open, Command::Reserve(qty("4")), Command::Fill(qty("4"))]);
    assert_eq!(two.alice.cum_notional.to_string(), "400");
    assert_eq!(two.alice.leaves(), qty("6"));
}

#[test]
fn a_resumed_order_keeps_its_priority() {
    let two = Two::drafted().after(&[Command::Open, Command::Suspend, Command::Resume]);
    assert_eq!(two.alice.accept_seq, Some(7));
}

#[test]
fn a_halted_instrument_opens_nothing() {
    let two = Two::drafted();
    let halted = brokerage_types::InstrumentState::Halted;
    let symbol = instrument().symbol;
    let market = create::Market { symbol: &symbol, state: halted, accept_seq: 1 };
    let refused = create::open(&two.alice, market, now()).map(drop).map_err(|r| r.reason());
    assert_eq!(refused, Err(Reason::MarketHalted));
}

#[test]
fn a_draft_that_the_instrument_does_not_take_is_refused_by_reason() {
    let mut terms = Two::drafted().alice.terms;
    let check = |terms: &crate::domain::Terms| {
        create::draft(terms, Some(&instrument()), now()).map(drop).map_err(|r| r.reason())
    };
    terms.limit_price = price("100.001");
    assert_eq!(check(&terms), Err(Reason::TooManyDecimals));
    let unknown = create::draft(&terms, None, now()).map(drop).map_err(|r| r.reason());
    assert_eq!(unknown, Err(Reason::InstrumentNotFound));
}

#[test]
fn a_draft_given_up_before_it_ran_is_found_as_rejected() {
    let terms = Two::drafted().alice.terms;
    let (order, event) = create::reject_unborn(&terms, Reason::GaveUp, now()).unwrap();
    assert_eq!((order.status, order.version, order.reason), (Status::Rejected, 1, Some(Reason::GaveUp)));
    assert_eq!(event.change.kind(), "OrderRejected");
    assert_eq!(order.check(), Ok(()));
}
