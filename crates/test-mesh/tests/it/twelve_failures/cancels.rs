//! Cancels that come between, and cancels that others refuse.

use brokerage_proto::order::v1::OrderStatus;
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, expect_refusal, holding};

async fn with_money_and_shares() -> Brokerage {
    let brokerage = Brokerage::start().await;
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    brokerage.admin().deposits(BOB, "THYAO", "10").await;
    brokerage
}

#[tokio::test]
async fn a_cancel_between_match_and_settlement_waits_for_the_trade() {
    let brokerage = with_money_and_shares().await;
    let (alice, bob) = (brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    let trade = brokerage.match_by_hand(&bid, &ask, "6", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let canceling = tokio::spawn({
        let (alice, bid) = (alice.clone(), bid.clone());
        async move { alice.tries_to_cancel(&bid).await }
    });
    let order = alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    assert_eq!(order.inflight_quantity, "6");
    // A cancel of our own stands where theirs does: nothing may be released yet.
    let by_hand = brokerage.cancel_by_hand(&bid);
    assert_eq!(by_hand.await_drain().await, "NOT_NOW");
    assert_eq!(alice.has("TRY").await, holding("20", "80"), "the hold is whole while a trade is in flight");
    assert!(!canceling.is_finished());
    // No new match starts meanwhile.
    let admin = brokerage.admin();
    expect_refusal(admin.tries_to_match(admin.pair(&bid, &ask)).await, Reason::NotMatchable);
    assert_eq!(trade.settle().await, "DONE");
    assert_eq!(
        alice.has("TRY").await,
        holding("20", "32"),
        "paid, and the rest is held until the fill is booked"
    );
    assert_eq!(trade.fill().await, "DONE");
    canceling.await.unwrap().unwrap();
    let order = alice.sees(&bid).await;
    assert_eq!(order.status(), OrderStatus::Canceled);
    assert_eq!((order.cum_quantity.as_str(), order.canceled_quantity.as_str()), ("6", "4"));
    assert_eq!(alice.has("TRY").await, holding("52", "0"));
    assert_eq!(alice.has("THYAO").await, holding("6", "0"));
    assert_eq!(bob.has("THYAO").await, holding("0", "4"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_cancel_under_a_trade_that_fills_the_order_comes_too_late() {
    let brokerage = with_money_and_shares().await;
    let (alice, bob) = (brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    let trade = brokerage.match_by_hand(&bid, &ask, "10", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let canceling = tokio::spawn({
        let (alice, bid) = (alice.clone(), bid.clone());
        async move { alice.tries_to_cancel(&bid).await }
    });
    alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    assert_eq!((trade.settle().await, trade.fill().await), ("DONE".to_owned(), "DONE".to_owned()));
    expect_refusal(canceling.await.unwrap(), Reason::TooLateToCancel);
    let order = alice.sees(&bid).await;
    assert_eq!(order.status(), OrderStatus::Matched);
    let last = order.history.last().unwrap();
    assert_eq!(last.r#type, "OrderMatched", "the late cancel takes nothing back: {:?}", order.history);
    assert!(last.payload_json.contains("TOO_LATE_TO_CANCEL"), "{last:?}");
    assert_eq!(alice.has("THYAO").await, holding("10", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_cancel_under_a_trade_that_fails_cancels_the_whole_order() {
    let brokerage = with_money_and_shares().await;
    let (alice, bob) = (brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    let trade = brokerage.match_by_hand(&bid, &ask, "6", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let canceling = tokio::spawn({
        let (alice, bid) = (alice.clone(), bid.clone());
        async move { alice.tries_to_cancel(&bid).await }
    });
    alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    // Giving up begins at the pivot; after its tombstone the settlement can never come.
    assert_eq!(trade.undo_settle("GAVE_UP").await, "DONE(GAVE_UP)");
    assert_eq!(trade.undo_reserve("GAVE_UP").await, "DONE(GAVE_UP)");
    assert_eq!(trade.settle().await, "TOMBSTONE(GAVE_UP)");
    canceling.await.unwrap().unwrap();
    assert_eq!(alice.status(&bid).await, OrderStatus::Canceled);
    assert_eq!(alice.has("TRY").await, holding("100", "0"));
    assert_eq!(bob.status(&ask).await, OrderStatus::Pending);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_cancel_and_a_match_at_the_same_time_end_in_one_of_two_ways() {
    const PAIRS: usize = 24;
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "2400").await;
    admin.deposits(BOB, "THYAO", "240").await;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((alice.buys("THYAO", "10", "8.00").await, bob.sells("THYAO", "10", "8.00").await));
    }
    // Every other cancel gets a head start, so that neither always wins.
    let races = pairs.iter().enumerate().map(async |(nth, (bid, ask))| {
        let (matching, canceling) = (admin.tries_to_match(admin.pair(bid, ask)), alice.tries_to_cancel(bid));
        if nth % 2 == 0 {
            futures::future::join(matching, canceling).await
        } else {
            let (canceled, matched) = futures::future::join(canceling, matching).await;
            (matched, canceled)
        }
    });
    let mut trades = 0;
    for ((bid, _), (matched, canceled)) in pairs.iter().zip(futures::future::join_all(races).await) {
        let order = alice.sees(bid).await;
        assert_eq!(order.inflight_quantity, "0");
        if matched.is_ok() {
            trades += 1;
            expect_refusal(canceled, Reason::TooLateToCancel);
            assert_eq!(order.status(), OrderStatus::Matched);
        } else {
            expect_refusal(matched, Reason::NotMatchable);
            canceled.unwrap();
            assert_eq!(order.status(), OrderStatus::Canceled);
            assert!(order.fills.is_empty());
        }
    }
    let spent = trades * 80;
    assert_eq!(alice.has("TRY").await, holding(&(2400 - spent).to_string(), "0"));
    assert_eq!(alice.has("THYAO").await, holding(&(trades * 10).to_string(), "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_customer_without_spare_cash_can_cancel() {
    let brokerage = Brokerage::start().await;
    brokerage.charges(2_000).await;
    let alice = brokerage.alice();
    // Eighty for the shares and sixteen kuruş for the commission: not a kuruş is left.
    brokerage.admin().deposits(ALICE, "TRY", "80.16").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    assert_eq!(alice.has("TRY").await, holding("0", "80.16"));
    alice.cancels(&bid).await;
    assert_eq!(alice.has("TRY").await, holding("80.16", "0"));
    // The cash is there as soon as the cancel is answered.
    alice.buys("THYAO", "10", "8.00").await;
    brokerage.audit().await;
}

#[tokio::test]
async fn a_partly_filled_order_can_be_canceled_on_both_sides() {
    let brokerage = with_money_and_shares().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "7.50").await;
    admin.matches_part(&bid, &ask, "4").await;
    for (person, order) in [(&alice, &bid), (&bob, &ask)] {
        assert_eq!(person.status(order).await, OrderStatus::PartiallyMatched);
        person.cancels(order).await;
        let order = person.sees(order).await;
        assert_eq!(order.status(), OrderStatus::Canceled);
        let parts = [&order.cum_quantity, &order.canceled_quantity, &order.leaves_quantity];
        assert_eq!(parts, ["4", "6", "0"]);
        assert_eq!(order.fills.len(), 1, "what was filled stays filled");
    }
    assert_eq!(alice.has("TRY").await, holding("68", "0"));
    assert_eq!(alice.has("THYAO").await, holding("4", "0"));
    assert_eq!(bob.has("THYAO").await, holding("6", "0"));
    assert_eq!(bob.has("TRY").await, holding("32", "0"));
    brokerage.audit().await;
}
