//! Cancels of orders that are not in the market yet, and cancels of the same order by several callers.

use brokerage_proto::order::v1::OrderStatus;
use brokerage_types::Reason;
use futures::future::join_all;
use test_mesh::{ALICE, Brokerage, expect_refusal, holding, until};

#[tokio::test]
async fn a_cancel_before_the_order_opens_is_granted() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    let create = brokerage.create_by_hand(&alice.bid("THYAO", "10", "8.00"));
    let order_id = create.draft.order_id.clone();
    assert_eq!((create.draft().await, create.place_hold().await), ("DONE".to_owned(), "DONE".to_owned()));
    let canceling = tokio::spawn({
        let (alice, order_id) = (alice.clone(), order_id.clone());
        async move { alice.tries_to_cancel(&order_id).await }
    });
    until("the wish to cancel is noted", async || {
        let history = alice.sees(&order_id).await.history;
        history.iter().any(|event| event.r#type == "OrderCancelRequested").then_some(())
    })
    .await;
    assert_eq!(alice.status(&order_id).await, OrderStatus::Init);
    // Opening sees the wish and refuses; the create saga takes everything back for that reason.
    assert_eq!(create.open().await, "REJECTED(CANCEL_ASKED)");
    assert_eq!(create.undo_place_hold("CANCEL_ASKED").await, "DONE(CANCEL_ASKED)");
    assert_eq!(create.undo_draft("CANCEL_ASKED").await, "DONE(CANCEL_ASKED)");
    canceling.await.unwrap().unwrap();
    let order = alice.sees(&order_id).await;
    assert_eq!((order.status(), order.accept_seq), (OrderStatus::Canceled, 0));
    assert_eq!(alice.has("TRY").await, holding("100", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_cancel_of_an_order_that_is_then_rejected_comes_too_late() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1").await;
    let create = brokerage.create_by_hand(&alice.bid("THYAO", "10", "8.00"));
    let order_id = create.draft.order_id.clone();
    assert_eq!(create.draft().await, "DONE");
    let canceling = tokio::spawn({
        let (alice, order_id) = (alice.clone(), order_id.clone());
        async move { alice.tries_to_cancel(&order_id).await }
    });
    until("the wish to cancel is noted", async || {
        (alice.sees(&order_id).await.history.len() > 1).then_some(())
    })
    .await;
    assert_eq!(create.place_hold().await, "REJECTED(INSUFFICIENT_USABLE)");
    assert_eq!(create.undo_draft("INSUFFICIENT_USABLE").await, "DONE(INSUFFICIENT_USABLE)");
    expect_refusal(canceling.await.unwrap(), Reason::TooLateToCancel);
    assert_eq!(alice.status(&order_id).await, OrderStatus::Rejected);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_late_hold_after_its_tombstone_holds_nothing() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    let create = brokerage.create_by_hand(&alice.bid("THYAO", "10", "8.00"));
    // Everything is given up before anything has run.
    assert_eq!(create.undo_place_hold("GAVE_UP").await, "DONE(GAVE_UP)");
    assert_eq!(create.undo_draft("GAVE_UP").await, "DONE(GAVE_UP)");
    // Then the delayed calls arrive.
    assert_eq!(create.draft().await, "TOMBSTONE(GAVE_UP)");
    assert_eq!(create.place_hold().await, "TOMBSTONE(GAVE_UP)");
    let order = alice.sees(&create.draft.order_id).await;
    assert_eq!((order.status(), order.reason.as_str()), (OrderStatus::Rejected, "GAVE_UP"));
    assert_eq!(alice.has("TRY").await, holding("100", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn cancels_by_several_callers_are_one_cancel() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "100").await;
    admin.deposits(test_mesh::BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    // While a trade is in flight nobody's cancel can end, so all of them meet.
    let trade = brokerage.match_by_hand(&bid, &ask, "1", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let callers = [alice.clone(), admin.clone(), alice.clone(), brokerage.employee()];
    let canceling = tokio::spawn({
        let bid = bid.clone();
        async move { join_all(callers.iter().map(|caller| caller.tries_to_cancel(&bid))).await }
    });
    alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    let mut connection = brokerage.databases.orchestrator().await;
    until("all four requests are accepted", async || {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM saga_requests WHERE kind = 'cancel_order'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        (count == 4).then_some(())
    })
    .await;
    assert_eq!((trade.settle().await, trade.fill().await), ("DONE".to_owned(), "DONE".to_owned()));
    let answers: Vec<_> = canceling.await.unwrap().into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| answer.saga_id == answers[0].saga_id), "{answers:?}");
    assert_eq!(alice.status(&bid).await, OrderStatus::Canceled);
    assert_eq!(alice.has("TRY").await, holding("92", "0"));
    brokerage.audit().await;
}
