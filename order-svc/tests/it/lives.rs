//! Whole lives of orders, and the races of docs/rules.md through the real server.

use brokerage_proto::common::v1::{Side, Verdict};
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::order::v1::order_command::Kind;
use brokerage_types::Reason;
use futures::future::join_all;
use uuid::Uuid;

use crate::fixture::{Server, Step, draft, verdict, xyz};

#[tokio::test]
async fn an_order_is_filled_in_two_parts_and_its_history_says_so() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    for quantity in ["4", "6"] {
        let reserve = Step::reserve(&buy, &sell, quantity);
        server.done(&reserve).await;
        server.done(&Step::fill_of(&reserve)).await;
    }
    let order = server.order(&buy.order_id).await;
    assert_eq!(order.status(), OrderStatus::Matched);
    assert_eq!((order.cum_quantity.as_str(), order.leaves_quantity.as_str()), ("10", "0"));
    assert_eq!((order.cum_notional.as_str(), order.average_price.as_str()), ("1000", "100"));
    let fills: Vec<&str> = order.fills.iter().map(|fill| fill.quantity.as_str()).collect();
    assert_eq!(fills, ["4", "6"]);
    let history: Vec<&str> = order.history.iter().map(|event| event.r#type.as_str()).collect();
    let expected = [
        "OrderCreated",
        "OrderValidated",
        "MatchReserved",
        "OrderPartiallyMatched",
        "MatchReserved",
        "OrderMatched",
    ];
    assert_eq!(history, expected);
    assert_eq!(order.version, 6);
    server.audit().await;
}

#[tokio::test]
async fn the_second_partial_match_cannot_take_more_than_is_left() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    server.done(&Step::reserve(&buy, &sell, "6")).await;
    assert_eq!(server.refused(&Step::reserve(&buy, &sell, "5")).await, "QUANTITY_EXCEEDS_LEAVES");
    server.done(&Step::reserve(&buy, &sell, "4")).await;
    server.audit().await;
}

#[tokio::test]
async fn of_64_matches_of_one_pair_at_once_only_what_is_left_is_reserved() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let steps: Vec<Step> = (0..64).map(|_| Step::reserve(&buy, &sell, "3")).collect();
    let replies = join_all(steps.iter().map(|step| server.step(step))).await;
    assert_eq!(replies.iter().filter(|reply| verdict(reply) == Verdict::Done).count(), 3);
    assert_eq!(server.order(&buy.order_id).await.inflight_quantity, "9");
    server.audit().await;
}

#[tokio::test]
async fn a_match_of_wrong_pairs_is_refused_by_reason() {
    let server = Server::with_xyz().await;
    let mut other = xyz();
    other.symbol = "ABC".to_owned();
    other.base_asset = "ABC".to_owned();
    server.upsert(other).await;
    let (buy, sell) = server.a_crossing_pair().await;
    let own_sell = server.opened("customer-a", Side::Sell, "10").await;
    let mut dear = draft("customer-b", Side::Sell, "10");
    dear.limit_price = "101".to_owned();
    server.done(&Step::draft(&dear)).await;
    server.done(&Step::open(&dear)).await;
    let mut foreign = draft("customer-b", Side::Sell, "10");
    foreign.instrument = "ABC".to_owned();
    server.done(&Step::draft(&foreign)).await;
    server.done(&Step::open(&foreign)).await;
    let unopened = server.drafted("customer-b", Side::Sell, "10").await;
    let nobodys = draft("customer-b", Side::Sell, "10");

    let before = server.everything().await;
    for (buy, sell, reason) in [
        (&buy, &own_sell, "SELF_TRADE"),
        (&buy, &dear, "NOT_CROSSING"),
        (&buy, &foreign, "INSTRUMENT_MISMATCH"),
        (&buy, &unopened, "NOT_MATCHABLE"),
        (&buy, &nobodys, "ORDER_NOT_FOUND"),
        (&sell, &own_sell, "SAME_SIDE"),
        (&buy, &buy, "SAME_SIDE"),
        (&sell, &buy, "SAME_SIDE"),
    ] {
        assert_eq!(server.refused(&Step::reserve(buy, sell, "4")).await, reason);
    }
    let mut priced = Step::reserve(&buy, &sell, "4");
    if let Kind::ReserveMatch(deal) = &mut priced.command {
        deal.price = "100.01".to_owned();
    }
    assert_eq!(server.refused(&priced).await, "PRICE_OUTSIDE_LIMITS");
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_fill_without_its_reservation_or_with_other_numbers_is_refused() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let never = Step::reserve(&buy, &sell, "4");
    assert_eq!(server.refused(&Step::fill_of(&never)).await, "TRADE_NOT_FOUND");
    let reserve = Step::reserve(&buy, &sell, "4");
    server.done(&reserve).await;
    let mut other = Step::fill_of(&reserve);
    if let Kind::ApplyFill(deal) = &mut other.command {
        deal.quantity = "3".to_owned();
    }
    assert_eq!(server.refused(&other).await, "ILLEGAL_TRANSITION");
    server.audit().await;
}

#[tokio::test]
async fn a_halted_instrument_opens_and_matches_nothing_but_cancels() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let drafted = server.drafted("customer-a", Side::Buy, "1").await;
    let mut halted = xyz();
    halted.state = brokerage_proto::order::v1::InstrumentState::Halted.into();
    server.upsert(halted).await;
    assert_eq!(server.refused(&Step::open(&drafted)).await, "MARKET_HALTED");
    assert_eq!(server.refused(&Step::reserve(&buy, &sell, "4")).await, "MARKET_HALTED");
    server.done(&Step::begin_cancel(Uuid::now_v7(), &buy.order_id)).await;
}

#[tokio::test]
async fn a_cancel_before_open_ends_canceled_and_one_after_a_refused_hold_is_too_late() {
    let server = Server::with_xyz().await;
    let (canceled, refused) = (
        server.drafted("customer-a", Side::Buy, "10").await,
        server.drafted("customer-a", Side::Buy, "10").await,
    );
    let saga = Uuid::now_v7();
    server.done(&Step::begin_cancel(saga, &canceled.order_id)).await;
    assert_eq!(verdict(&server.await_drain(saga, &canceled.order_id).await), Verdict::NotNow);
    assert_eq!(server.refused(&Step::open(&canceled)).await, "CANCEL_ASKED");
    server.compensate(&Step::draft(&canceled), Reason::CancelAsked).await;
    assert_eq!(server.status(&canceled.order_id).await, OrderStatus::Canceled);
    assert_eq!(verdict(&server.await_drain(saga, &canceled.order_id).await), Verdict::Done);
    let before = server.everything().await;
    server.done(&Step::confirm_cancel(saga, &canceled.order_id)).await;
    assert_eq!(server.everything().await, before, "there was nothing left to confirm");

    let saga = Uuid::now_v7();
    server.done(&Step::begin_cancel(saga, &refused.order_id)).await;
    server.compensate(&Step::draft(&refused), Reason::InsufficientUsable).await;
    let reply = server.await_drain(saga, &refused.order_id).await;
    assert_eq!((verdict(&reply), reply.reason.as_str()), (Verdict::Rejected, "TOO_LATE_TO_CANCEL"));
    server.compensate(&Step::begin_cancel(saga, &refused.order_id), Reason::TooLateToCancel).await;
    assert_eq!(server.status(&refused.order_id).await, OrderStatus::Rejected);
    server.audit().await;
}

#[tokio::test]
async fn a_cancel_waits_for_what_is_in_flight_and_cancels_only_the_rest() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let reserve = Step::reserve(&buy, &sell, "4");
    server.done(&reserve).await;
    let saga = Uuid::now_v7();
    server.done(&Step::begin_cancel(saga, &buy.order_id)).await;
    assert_eq!(server.refused(&Step::begin_cancel(Uuid::now_v7(), &buy.order_id)).await, "CANCEL_PENDING");
    assert_eq!(server.refused(&Step::reserve(&buy, &sell, "1")).await, "NOT_MATCHABLE");
    assert_eq!(verdict(&server.await_drain(saga, &buy.order_id).await), Verdict::NotNow);
    server.done(&Step::fill_of(&reserve)).await;
    assert_eq!(verdict(&server.await_drain(saga, &buy.order_id).await), Verdict::Done);
    server.done(&Step::confirm_cancel(saga, &buy.order_id)).await;
    let order = server.order(&buy.order_id).await;
    assert_eq!((order.status(), order.reason.as_str()), (OrderStatus::Canceled, "CANCEL_ASKED"));
    assert_eq!((order.cum_quantity.as_str(), order.canceled_quantity.as_str()), ("4", "6"));
    assert_eq!(
        server.refused(&Step::begin_cancel(Uuid::now_v7(), &buy.order_id)).await,
        "TOO_LATE_TO_CANCEL"
    );
    server.audit().await;
}

#[tokio::test]
async fn a_match_of_everything_makes_the_waiting_cancel_too_late() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let reserve = Step::reserve(&buy, &sell, "10");
    server.done(&reserve).await;
    let saga = Uuid::now_v7();
    let begin = Step::begin_cancel(saga, &buy.order_id);
    server.done(&begin).await;
    server.done(&Step::fill_of(&reserve)).await;
    let reply = server.await_drain(saga, &buy.order_id).await;
    assert_eq!((verdict(&reply), reply.reason.as_str()), (Verdict::Rejected, "TOO_LATE_TO_CANCEL"));
    server.compensate(&begin, Reason::TooLateToCancel).await;
    let order = server.order(&buy.order_id).await;
    assert_eq!(order.status(), OrderStatus::Matched);
    let last = order.history.last().unwrap();
    assert!(last.payload_json.contains(r#""cancel_rejected":"TOO_LATE_TO_CANCEL""#), "{last:?}");
    server.audit().await;
}

#[tokio::test]
async fn a_cancel_taken_back_after_a_fill_leaves_the_order_partly_matched() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let reserve = Step::reserve(&buy, &sell, "4");
    server.done(&reserve).await;
    let begin = Step::begin_cancel(Uuid::now_v7(), &buy.order_id);
    server.done(&begin).await;
    server.done(&Step::fill_of(&reserve)).await;
    server.compensate(&begin, Reason::AbortedByOperator).await;
    assert_eq!(server.status(&buy.order_id).await, OrderStatus::PartiallyMatched);
    server.done(&Step::begin_cancel(Uuid::now_v7(), &buy.order_id)).await;
    server.audit().await;
}

#[tokio::test]
async fn priorities_and_trades_of_an_instrument_are_numbered_without_gaps() {
    let server = Server::with_xyz().await;
    let orders = join_all((0..16).map(|n| {
        let (customer, side) = [("customer-a", Side::Buy), ("customer-b", Side::Sell)][n % 2];
        server.opened(customer, side, "10")
    }))
    .await;
    let mut priorities = Vec::new();
    for order in &orders {
        priorities.push(server.order(&order.order_id).await.accept_seq);
    }
    priorities.sort_unstable();
    assert_eq!(priorities, (1..=16).collect::<Vec<i64>>());
    join_all(orders.chunks(2).map(|pair| {
        let reserve = Step::reserve(&pair[0], &pair[1], "10");
        let server = &server;
        async move {
            server.done(&reserve).await;
            server.done(&Step::fill_of(&reserve)).await;
        }
    }))
    .await;
    let numbers: Vec<i64> = sqlx::query_scalar("SELECT trade_seq FROM trades ORDER BY trade_seq")
        .fetch_all(&mut server.connection().await)
        .await
        .unwrap();
    assert_eq!(numbers, (1..=8).collect::<Vec<i64>>());
    server.audit().await;
}
