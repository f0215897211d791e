//! Orders, customers and markets that stand still for a while.

use brokerage_proto::order::v1 as order;
use brokerage_proto::order::v1::{InstrumentState, OrderStatus};
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, expect_refusal, holding};
use tonic::Code;

async fn with_money_and_shares() -> Brokerage {
    let brokerage = Brokerage::start().await;
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    brokerage.admin().deposits(BOB, "THYAO", "10").await;
    brokerage
}

#[tokio::test]
async fn a_suspended_order_keeps_its_hold_and_its_place() {
    let brokerage = with_money_and_shares().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    let place = alice.sees(&bid).await.accept_seq;
    // What is in flight when the order is suspended still lands.
    let trade = brokerage.match_by_hand(&bid, &ask, "4", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    assert_eq!(admin.suspends(&bid).await.status(), OrderStatus::Suspended);
    expect_refusal(admin.tries_to_match(admin.pair(&bid, &ask)).await, Reason::NotMatchable);
    assert_eq!((trade.settle().await, trade.fill().await), ("DONE".to_owned(), "DONE".to_owned()));
    let order = alice.sees(&bid).await;
    assert_eq!((order.status(), order.cum_quantity.as_str()), (OrderStatus::Suspended, "4"));
    assert_eq!(alice.has("TRY").await, holding("20", "48"));

    let twice = order::SuspendOrderRequest {
        request_id: test_mesh::fresh(),
        order_id: bid.clone(),
        reason: "again".to_owned(),
    };
    let refusal = expect_refusal(admin.orders.clone().suspend_order(twice).await, Reason::IllegalTransition);
    assert_eq!(refusal.code, Code::FailedPrecondition);

    assert_eq!(admin.resumes(&bid).await.status(), OrderStatus::PartiallyMatched);
    assert_eq!(alice.sees(&bid).await.accept_seq, place, "with its old priority");
    admin.matches(&bid, &ask).await;
    assert_eq!(alice.status(&bid).await, OrderStatus::Matched);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_suspended_order_can_be_canceled() {
    let brokerage = with_money_and_shares().await;
    let alice = brokerage.alice();
    let bid = alice.buys("THYAO", "10", "8.00").await;
    brokerage.admin().suspends(&bid).await;
    alice.cancels(&bid).await;
    assert_eq!(alice.status(&bid).await, OrderStatus::Canceled);
    assert_eq!(alice.has("TRY").await, holding("100", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_frozen_customer_trades_nothing_and_may_still_cancel() {
    let brokerage = with_money_and_shares().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "5", "8.00").await;
    let ask = bob.sells("THYAO", "5", "8.00").await;
    admin.freezes(ALICE).await;
    expect_refusal(admin.tries_to_match(admin.pair(&bid, &ask)).await, Reason::CustomerFrozen);
    let before = brokerage.snapshot().await;
    for answer in [
        expect_refusal(alice.tries_to_place(alice.bid("THYAO", "1", "8.00")).await, Reason::CustomerFrozen),
        expect_refusal(alice.tries_to_withdraw("TRY", "1").await, Reason::CustomerFrozen),
    ] {
        assert_eq!(answer.code, Code::FailedPrecondition);
    }
    brokerage.snapshot().await.is(&before, "what a frozen customer wants");
    alice.cancels(&bid).await;
    admin.deposits(ALICE, "TRY", "1").await;
    assert_eq!(alice.has("TRY").await, holding("101", "0"));
    admin.thaws(ALICE).await;
    alice.buys("THYAO", "1", "8.00").await;
    brokerage.audit().await;
}

#[tokio::test]
async fn a_halted_market_opens_and_matches_nothing_and_cancels_as_ever() {
    let brokerage = with_money_and_shares().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "5", "8.00").await;
    let ask = bob.sells("THYAO", "5", "8.00").await;
    let request = order::GetInstrumentRequest { symbol: "THYAO".to_owned() };
    let open = admin.orders.clone().get_instrument(request).await.unwrap().into_inner();
    admin.lists(order::Instrument { state: InstrumentState::Halted.into(), ..open.clone() }).await;
    let before = (alice.has("TRY").await, bob.has("THYAO").await);
    for refusal in [
        expect_refusal(alice.tries_to_place(alice.bid("THYAO", "1", "8.00")).await, Reason::MarketHalted),
        expect_refusal(admin.tries_to_match(admin.pair(&bid, &ask)).await, Reason::MarketHalted),
    ] {
        assert_eq!(refusal.code, Code::FailedPrecondition);
    }
    assert_eq!((alice.has("TRY").await, bob.has("THYAO").await), before);
    bob.cancels(&ask).await;
    assert_eq!(bob.has("THYAO").await, holding("10", "0"));
    admin.lists(order::Instrument { state: InstrumentState::Open.into(), ..open }).await;
    let ask = bob.sells("THYAO", "5", "8.00").await;
    // The orchestrator may remember the halt for a moment; the market does not.
    test_mesh::until("the market is open for everybody", async || {
        admin.tries_to_match(admin.pair(&bid, &ask)).await.ok()
    })
    .await;
    assert_eq!(alice.status(&bid).await, OrderStatus::Matched);
    brokerage.audit().await;
}
