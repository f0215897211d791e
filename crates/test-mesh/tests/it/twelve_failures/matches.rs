//! Matches that must not be, and what is told of them.

use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::saga::v1::{ListSagasRequest, SagaStatus};
use brokerage_proto::trading::v1::MatchOrdersRequest;
use brokerage_types::Reason;
use futures::future::join_all;
use test_mesh::{ALICE, BOB, Brokerage, CAROL, expect_refusal, holding, until};

async fn with_money_and_shares() -> Brokerage {
    let brokerage = Brokerage::start().await;
    brokerage.admin().deposits(ALICE, "TRY", "10000").await;
    for asset in ["THYAO", "GARAN"] {
        brokerage.admin().deposits(BOB, asset, "1000").await;
    }
    brokerage
}

#[tokio::test]
async fn over_match_on_the_second_partial_match_is_refused() {
    let brokerage = with_money_and_shares().await;
    let admin = brokerage.admin();
    let bid = brokerage.alice().buys("THYAO", "10", "8.00").await;
    let ask = brokerage.bob().sells("THYAO", "20", "8.00").await;
    admin.matches_part(&bid, &ask, "6").await;
    let six_more = || MatchOrdersRequest { quantity: "6".to_owned(), ..admin.pair(&bid, &ask) };
    let before = brokerage.snapshot().await;
    expect_refusal(admin.tries_to_match(six_more()).await, Reason::QuantityExceedsLeaves);
    // Neither the orders nor the money take it, even from somebody who asks them directly.
    let by_hand = brokerage.match_by_hand(&bid, &ask, "6", "8.00").await;
    assert_eq!(by_hand.reserve().await, "REJECTED(QUANTITY_EXCEEDS_LEAVES)");
    assert_eq!(by_hand.settle().await, "REJECTED(HOLD_INSUFFICIENT)");
    brokerage.snapshot().await.is(&before, "six more of four");

    // What is in flight counts as if it were gone.
    let in_flight = brokerage.match_by_hand(&bid, &ask, "3", "8.00").await;
    assert_eq!(in_flight.reserve().await, "DONE");
    let two = MatchOrdersRequest { quantity: "2".to_owned(), ..admin.pair(&bid, &ask) };
    expect_refusal(admin.tries_to_match(two).await, Reason::QuantityExceedsLeaves);
    let rest = admin.matches(&bid, &ask).await;
    assert_eq!(rest.quantity, "1", "as much as is left beside what is in flight");
    assert_eq!((in_flight.settle().await, in_flight.fill().await), ("DONE".to_owned(), "DONE".to_owned()));
    let order = brokerage.alice().sees(&bid).await;
    assert_eq!((order.status(), order.cum_quantity.as_str()), (OrderStatus::Matched, "10"));
    assert_eq!(brokerage.alice().has("TRY").await, holding("9920", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn many_matches_at_once_never_fill_more_than_was_ordered() {
    let brokerage = with_money_and_shares().await;
    let admin = brokerage.admin();
    let bid = brokerage.alice().buys("THYAO", "10", "8.00").await;
    let ask = brokerage.bob().sells("THYAO", "100", "8.00").await;
    let three = || MatchOrdersRequest { quantity: "3".to_owned(), ..admin.pair(&bid, &ask) };
    let answers = join_all((0..12).map(|_| admin.tries_to_match(three()))).await;
    let (matched, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(matched.len(), 3, "three times three fit into ten");
    for answer in refused {
        expect_refusal(answer, Reason::QuantityExceedsLeaves);
    }
    let order = admin.sees(&bid).await;
    assert_eq!((order.cum_quantity.as_str(), order.inflight_quantity.as_str()), ("9", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_match_across_instruments_is_refused() {
    let brokerage = with_money_and_shares().await;
    let admin = brokerage.admin();
    let bid = brokerage.alice().buys("THYAO", "10", "8.00").await;
    let ask = brokerage.bob().sells("GARAN", "10", "8.00").await;
    let before = brokerage.snapshot().await;
    let answer = admin.tries_to_match(admin.pair(&bid, &ask)).await;
    expect_refusal(answer, Reason::InstrumentMismatch);
    for instrument in ["THYAO", "GARAN"] {
        let mut by_hand = brokerage.match_by_hand(&bid, &ask, "10", "8.00").await;
        by_hand.deal.instrument = instrument.to_owned();
        by_hand.trade.base_asset = instrument.to_owned();
        assert_eq!(by_hand.reserve().await, "REJECTED(INSTRUMENT_MISMATCH)", "as {instrument}");
        assert_eq!(by_hand.settle().await, "REJECTED(HOLD_MISMATCH)", "as {instrument}");
    }
    brokerage.snapshot().await.is(&before, "shares of one company for those of another");
    brokerage.audit().await;
}

#[tokio::test]
async fn a_self_match_is_refused() {
    let brokerage = with_money_and_shares().await;
    let (admin, alice) = (brokerage.admin(), brokerage.alice());
    admin.deposits(ALICE, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = alice.sells("THYAO", "10", "8.00").await;
    let before = brokerage.snapshot().await;
    expect_refusal(admin.tries_to_match(admin.pair(&bid, &ask)).await, Reason::SelfTrade);
    let by_hand = brokerage.match_by_hand(&bid, &ask, "10", "8.00").await;
    assert_eq!(by_hand.reserve().await, "REJECTED(SELF_TRADE)");
    assert_eq!(by_hand.settle().await, "REJECTED(SELF_TRADE)");
    // Somebody else's name does not help: the holds know whose they are.
    let mut disguised = brokerage.match_by_hand(&bid, &ask, "10", "8.00").await;
    disguised.trade.seller_id = CAROL.to_owned();
    assert_eq!(disguised.settle().await, "REJECTED(HOLD_MISMATCH)");
    brokerage.snapshot().await.is(&before, "a trade with oneself");
    brokerage.audit().await;
}

#[tokio::test]
async fn a_failed_match_is_told_to_everybody_and_leaves_nothing_behind() {
    let brokerage = with_money_and_shares().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    // The orders do not know it; the money does, when the quantity is in flight already.
    admin.freezes(BOB).await;
    let money = (alice.has("TRY").await, bob.has("THYAO").await);
    let request = admin.pair(&bid, &ask);
    let told = expect_refusal(admin.tries_to_match(request.clone()).await, Reason::CustomerFrozen);
    // Whoever asks again hears the same,
    let again = expect_refusal(admin.tries_to_match(request).await, Reason::CustomerFrozen);
    assert_eq!(again.metadata("saga_id"), told.metadata("saga_id"));
    assert_eq!(again.metadata("replayed"), Some("true"));
    // the saga stays on record as rolled back, with its reason,
    let saga_id = told.metadata("saga_id").unwrap();
    let saga = until("the saga is marked as rolled back", async || {
        let request = ListSagasRequest { order_id: bid.clone(), ..Default::default() };
        let sagas = brokerage.auditor().sagas.clone().list_sagas(request).await.unwrap().into_inner().sagas;
        let saga = sagas.into_iter().find(|saga| saga.saga_id == saga_id)?;
        (saga.status() == SagaStatus::RolledBack).then_some(saga)
    })
    .await;
    assert_eq!(saga.reason, "CUSTOMER_FROZEN");
    // both customers find it in their orders' histories,
    for (person, order) in [(&alice, &bid), (&bob, &ask)] {
        let order = person.sees(order).await;
        assert_eq!(order.status(), OrderStatus::Pending);
        assert_eq!(order.inflight_quantity, "0");
        let events: Vec<_> = order.history.iter().map(|event| event.r#type.as_str()).collect();
        assert_eq!(events, ["OrderCreated", "OrderValidated", "MatchReserved", "MatchReleased"]);
        assert!(order.history[3].payload_json.contains("CUSTOMER_FROZEN"), "{:?}", order.history[3]);
        assert!(order.fills.is_empty());
    }
    // and neither money nor shares have moved.
    assert_eq!((alice.has("TRY").await, bob.has("THYAO").await), money);
    admin.thaws(BOB).await;
    admin.matches(&bid, &ask).await;
    brokerage.audit().await;
}
