//! Commands that are well said and cannot be: no money, no shares, nothing left to cancel.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::trading::v1::CreateOrderRequest;
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, expect_refusal, fresh, holding};
use tonic::Code;

#[tokio::test]
async fn what_is_not_usable_cannot_be_spent() {
    let brokerage = Brokerage::start().await;
    let (admin, alice) = (brokerage.admin(), brokerage.alice());
    admin.deposits(ALICE, "TRY", "100").await;
    admin.deposits(ALICE, "THYAO", "5").await;
    // Held is not usable.
    alice.buys("THYAO", "5", "8.00").await;
    alice.sells("THYAO", "2", "9.00").await;
    let before = brokerage.snapshot().await;
    for (what, request) in [
        ("sixty lira and a kuruş", alice.bid("THYAO", "1", "60.05")),
        ("four shares of three", alice.ask("THYAO", "4", "9.00")),
        ("shares of which there are none", alice.ask("GARAN", "0.0001", "9.00")),
    ] {
        let rehearsed = CreateOrderRequest { validate_only: true, request_id: fresh(), ..request.clone() };
        let refusal = expect_refusal(alice.tries_to_place(rehearsed).await, Reason::InsufficientUsable);
        assert_eq!(refusal.code, Code::FailedPrecondition, "{what}");
        let refusal = expect_refusal(alice.tries_to_place(request).await, Reason::InsufficientUsable);
        assert_eq!(refusal.code, Code::FailedPrecondition, "{what}");
        assert!(refusal.violations.is_empty(), "{what}: no field is at fault");
        // The order is there for whoever looks for it, and came to nothing.
        let order = alice.sees(refusal.metadata("order_id").unwrap()).await;
        assert_eq!(order.status(), OrderStatus::Rejected, "{what}");
        assert_eq!(order.reason, "INSUFFICIENT_USABLE", "{what}");
        assert_eq!(order.accept_seq, 0, "{what}");
    }
    let transfer = asset::TransferRequest {
        request_id: fresh(),
        customer_id: ALICE.to_owned(),
        house: asset::HouseAccount::Suspense.into(),
        direction: asset::TransferDirection::CustomerToHouse.into(),
        asset: "TRY".to_owned(),
        amount: "60.000001".to_owned(),
        reason: "a fine".to_owned(),
    };
    for refusal in [
        expect_refusal(alice.tries_to_withdraw("TRY", "60.01").await, Reason::InsufficientUsable),
        expect_refusal(admin.assets.clone().transfer(transfer).await, Reason::InsufficientUsable),
    ] {
        assert_eq!(refusal.code, Code::FailedPrecondition);
    }
    brokerage.snapshot().await.is(&before, "spending what is not usable");
    assert_eq!(alice.has("TRY").await, holding("60", "40"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_finished_order_cannot_be_canceled() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "1000").await;
    admin.deposits(BOB, "THYAO", "10").await;
    let matched = alice.buys("THYAO", "10", "8.00").await;
    admin.matches(&matched, &bob.sells("THYAO", "10", "8.00").await).await;
    let canceled = alice.buys("THYAO", "10", "8.00").await;
    alice.cancels(&canceled).await;
    let too_dear = alice.tries_to_place(alice.bid("THYAO", "1000", "8.00")).await;
    let too_dear = expect_refusal(too_dear, Reason::InsufficientUsable);
    let rejected = too_dear.metadata("order_id").unwrap();
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    for order in [matched.as_str(), canceled.as_str(), rejected] {
        for person in [&alice, &admin] {
            let refusal = expect_refusal(person.tries_to_cancel(order).await, Reason::TooLateToCancel);
            assert_eq!(refusal.code, Code::FailedPrecondition);
        }
    }
    brokerage.snapshot().await.is(&before.0, "canceling what has ended");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_label_names_one_order_of_a_customer_for_ever() {
    let brokerage = Brokerage::start().await;
    let (alice, bob) = (brokerage.alice(), brokerage.bob());
    for customer in [ALICE, BOB] {
        brokerage.admin().deposits(customer, "TRY", "100").await;
    }
    let labelled = |quantity: &str| CreateOrderRequest {
        client_order_id: "breakfast".to_owned(),
        ..alice.bid("THYAO", quantity, "8.00")
    };
    // Even an order that was rejected keeps its label.
    expect_refusal(alice.tries_to_place(labelled("1000")).await, Reason::InsufficientUsable);
    let before = (alice.has("TRY").await, brokerage.snapshot().await);
    let refusal = expect_refusal(alice.tries_to_place(labelled("1")).await, Reason::DuplicateClientOrderId);
    assert_eq!(refusal.code, Code::AlreadyExists);
    // The hold is placed beside the draft and taken back with it: the journal tells, and nothing remains.
    let after = brokerage.snapshot().await;
    assert_eq!(alice.has("TRY").await, before.0);
    for part in ["orders", "order events", "matches", "trades"] {
        assert_eq!(after.count(part), before.1.count(part), "{part}");
    }
    assert_eq!(after.count("holds"), before.1.count("holds") + 1, "one more, and it is closed");
    // Labels of others are others.
    let his = CreateOrderRequest { client_order_id: "breakfast".to_owned(), ..bob.bid("THYAO", "1", "8.00") };
    bob.places(his).await;
    brokerage.audit().await;
}
