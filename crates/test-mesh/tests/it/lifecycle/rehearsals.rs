//! `validate_only`: every check, and nothing else.

use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, expect_refusal, fresh};

#[tokio::test]
async fn a_rehearsal_says_what_would_happen_and_changes_nothing() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "100").await;
    admin.deposits(BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "5", "8.00").await;
    let ask = bob.sells("THYAO", "3", "7.00").await;
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);

    let create = CreateOrderRequest { validate_only: true, ..alice.bid("THYAO", "1", "8.00") };
    let answer = alice.tries_to_place(create.clone()).await.unwrap();
    assert_eq!((answer.order_id.as_str(), answer.replayed), ("", false));
    let too_dear = CreateOrderRequest { quantity: "100".to_owned(), ..create.clone() };
    expect_refusal(alice.tries_to_place(too_dear).await, Reason::InsufficientUsable);

    let cancel = CancelOrderRequest {
        request_id: fresh(),
        order_id: bid.clone(),
        validate_only: true,
        ..Default::default()
    };
    let answer = alice.trading.clone().cancel_order(cancel.clone()).await.unwrap().into_inner();
    assert_eq!((answer.order_id.as_str(), answer.saga_id.as_str()), (bid.as_str(), ""));
    expect_refusal(bob.trading.clone().cancel_order(cancel.clone()).await, Reason::OrderNotFound);

    let pair = MatchOrdersRequest { validate_only: true, ..admin.pair(&bid, &ask) };
    let answer = admin.tries_to_match(pair.clone()).await.unwrap();
    assert_eq!((answer.trade_id.as_str(), answer.quantity.as_str(), answer.price.as_str()), ("", "3", "8"));
    let too_much = MatchOrdersRequest { quantity: "4".to_owned(), ..pair.clone() };
    expect_refusal(admin.tries_to_match(too_much).await, Reason::QuantityExceedsLeaves);

    brokerage.snapshot().await.is(&before.0, "rehearsals");
    assert_eq!(brokerage.saga_count().await, before.1);

    // A rehearsal does not use its request id up.
    let real = admin.tries_to_match(MatchOrdersRequest { validate_only: false, ..pair }).await.unwrap();
    assert_eq!((real.quantity.as_str(), real.price.as_str(), real.replayed), ("3", "8", false));
    let real = CancelOrderRequest { validate_only: false, ..cancel };
    assert!(!alice.trading.clone().cancel_order(real).await.unwrap().into_inner().replayed);
    let real = CreateOrderRequest { validate_only: false, ..create };
    assert!(!alice.tries_to_place(real).await.unwrap().replayed);
    brokerage.audit().await;
}
