//! TradingService: one effect for each request, true answers, every mistake at once.

use std::collections::HashSet;

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::saga::v1::SagaStatus;
use brokerage_proto::trading::v1 as wire;
use brokerage_types::Reason;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::fakes::Mood;
use crate::mesh::{Mesh, Process, as_user, buys_10_at_100, metadata, reason};

fn cancels(order_id: &str) -> wire::CancelOrderRequest {
    let request_id = Uuid::new_v4().to_string();
    wire::CancelOrderRequest { request_id, order_id: order_id.to_owned(), ..Default::default() }
}

async fn cancel(
    process: &Process,
    request: &wire::CancelOrderRequest,
) -> Result<wire::CancelOrderResponse, tonic::Status> {
    let asked = process.trading().cancel_order(as_user("token-customer-a", request.clone())).await;
    asked.map(tonic::Response::into_inner)
}

async fn matches(
    process: &Process,
    request: &wire::MatchOrdersRequest,
) -> Result<wire::MatchOrdersResponse, tonic::Status> {
    let asked = process.trading().match_orders(as_user("token-admin", request.clone())).await;
    asked.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn creating_twice_is_creating_once() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let order = buys_10_at_100();
    let first = process.create(&order).await.unwrap();
    assert!(!first.replayed);
    assert_eq!(first.client_order_id, first.order_id);
    // Another spelling of the same payload.
    let again = wire::CreateOrderRequest { limit_price: "100.00".to_owned(), ..order.clone() };
    let second = process.create(&again).await.unwrap();
    assert_eq!(second, wire::CreateOrderResponse { replayed: true, ..first.clone() });
    assert_eq!(mesh.fakes.effects("draft"), 1);

    let altered = wire::CreateOrderRequest { quantity: "11".to_owned(), ..order.clone() };
    let refused = process.create(&altered).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::AlreadyExists, Reason::RequestIdReused));
    assert_eq!(mesh.fakes.effects("draft"), 1);

    // The request id belongs to its caller.
    let foreign = wire::CreateOrderRequest { customer_id: "customer-b".to_owned(), ..order.clone() };
    let other = process.trading().create_order(as_user("token-customer-b", foreign)).await.unwrap();
    assert_ne!(other.into_inner().order_id, first.order_id);

    // What was accepted keeps its answer after a restart.
    process.stop().await;
    let process = mesh.process().await;
    assert_eq!(process.create(&order).await.unwrap().order_id, first.order_id);
}

#[tokio::test]
async fn a_storm_of_one_request_is_one_saga() {
    let mesh = Mesh::start().await;
    let processes = [mesh.process().await, mesh.process().await];
    let order = buys_10_at_100();
    let storm = (0..64).map(|number| processes[number % 2].create(&order));
    let answers = futures::future::join_all(storm).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let ids: HashSet<_> = answers.iter().map(|answer| answer.order_id.clone()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(mesh.fakes.effects("draft"), 1);
    assert_eq!(mesh.count("SELECT count(*) FROM sagas").await, 1);
}

#[tokio::test]
async fn new_requests_beside_a_known_one_are_accepted() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let known = buys_10_at_100();
    let first = process.create(&known).await.unwrap();
    // The first time the batch finds out by failing, the second time it looks.
    for round in 1..=2 {
        let mut orders: Vec<_> = (0..20).map(|_| buys_10_at_100()).collect();
        orders.insert(10, known.clone());
        let answers = futures::future::join_all(orders.iter().map(|order| process.create(order))).await;
        for (order, answer) in orders.iter().zip(answers) {
            let answer = answer.unwrap();
            assert_eq!(answer.replayed, order.request_id == known.request_id);
            assert_eq!(answer.replayed, answer.order_id == first.order_id);
        }
        assert_eq!(mesh.count("SELECT count(*) FROM sagas").await, 1 + 20 * round);
    }
}

#[tokio::test]
async fn a_refused_hold_rolls_back_and_stays_refused() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    mesh.fakes.feel("place_hold", Mood::Refuses(Reason::InsufficientUsable));
    let order = buys_10_at_100();
    let refused = process.create(&order).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::FailedPrecondition, Reason::InsufficientUsable));
    assert_eq!(metadata(&refused, "step"), "place_hold");
    assert_eq!(metadata(&refused, "replayed"), "false");
    let saga_id = metadata(&refused, "saga_id");
    assert_eq!(saga_id, metadata(&refused, "order_id"));

    // The money has come; the answer stays.
    mesh.fakes.feel_well("place_hold");
    let again = process.create(&order).await.unwrap_err();
    assert_eq!((reason(&again), metadata(&again, "replayed").as_str()), (Reason::InsufficientUsable, "true"));
    assert_eq!(metadata(&again, "saga_id"), saga_id);

    let saga = process.until(&saga_id, SagaStatus::RolledBack).await;
    assert_eq!(saga.reason, "INSUFFICIENT_USABLE");
    let told: Vec<_> = saga
        .steps
        .iter()
        .flat_map(|step| step.attempts.iter().map(|a| (step.name.as_str(), a.compensation, a.reply.as_str())))
        .collect();
    assert_eq!(told, [("draft", false, "DONE"), ("draft", true, "DONE"), ("place_hold", false, "REJECTED")]);
}

#[tokio::test]
async fn every_mistake_of_an_order_is_told_at_once_and_leaves_nothing() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let wrong = wire::CreateOrderRequest {
        request_id: "mine".to_owned(),
        side: 0,
        limit_price: "1e5".to_owned(),
        quantity: "-1".to_owned(),
        ..buys_10_at_100()
    };
    let refused = process.create(&wrong).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::ValidationFailed);
    let fields = |status: &tonic::Status| -> Vec<String> {
        let bad = status.get_details_bad_request().unwrap();
        bad.field_violations.into_iter().map(|violation| violation.field).collect()
    };
    assert_eq!(fields(&refused), ["request_id", "side", "limit_price", "quantity"]);

    // What the instrument says is told together with what the grammar says.
    let wrong = wire::CreateOrderRequest {
        request_id: "mine".to_owned(),
        limit_price: "100.005".to_owned(),
        quantity: "1.5".to_owned(),
        ..buys_10_at_100()
    };
    let refused = process.create(&wrong).await.unwrap_err();
    assert_eq!(fields(&refused), ["request_id", "limit_price", "quantity"]);

    let unknown = wire::CreateOrderRequest { instrument: "NONE".to_owned(), ..buys_10_at_100() };
    let refused = process.create(&unknown).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::NotFound, Reason::InstrumentNotFound));
    let nobody = wire::CreateOrderRequest { customer_id: "nobody".to_owned(), ..buys_10_at_100() };
    let refused = process.trading().create_order(as_user("token-admin", nobody)).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::CustomerNotFound);
    let foreign = wire::CreateOrderRequest { customer_id: "customer-b".to_owned(), ..buys_10_at_100() };
    assert_eq!(reason(&process.create(&foreign).await.unwrap_err()), Reason::CustomerNotFound);
    assert_eq!(mesh.count("SELECT count(*) FROM sagas").await, 0);
}

#[tokio::test]
async fn validating_only_checks_funds_and_leaves_nothing() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let rehearsed = wire::CreateOrderRequest { validate_only: true, ..buys_10_at_100() };
    assert_eq!(process.create(&rehearsed).await.unwrap(), wire::CreateOrderResponse::default());
    mesh.fakes.feel("place_hold", Mood::Refuses(Reason::InsufficientUsable));
    assert_eq!(reason(&process.create(&rehearsed).await.unwrap_err()), Reason::InsufficientUsable);
    assert_eq!(mesh.count("SELECT count(*) FROM sagas").await, 0);
    assert_eq!(mesh.fakes.effects("draft"), 0);
}

#[tokio::test]
async fn a_second_cancel_joins_the_running_one_and_gets_its_answer() {
    let mesh = Mesh::start().await;
    let processes = [mesh.process().await, mesh.process().await];
    let order_id = Uuid::now_v7().to_string();
    mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.feel("await_drain", Mood::NotNow);
    let requests: Vec<_> = (0..6).map(|_| cancels(&order_id)).collect();
    let all = requests.iter().enumerate().map(|(number, request)| cancel(&processes[number % 2], request));
    let drains = async {
        while mesh.count("SELECT count(*) FROM saga_requests").await < 6 {}
        mesh.fakes.feel_well("await_drain");
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(all), drains);
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let sagas: HashSet<_> = answers.iter().map(|answer| answer.saga_id.clone()).collect();
    assert_eq!(sagas.len(), 1, "one saga for all");
    assert!(answers.iter().all(|answer| answer.order_id == order_id && !answer.replayed));
    assert_eq!(mesh.fakes.effects("release_hold"), 1);

    // Whoever joined keeps the answer, long after that saga has ended.
    for request in &requests {
        let again = cancel(&processes[0], request).await.unwrap();
        assert!(again.replayed && sagas.contains(&again.saga_id));
    }
    let altered = wire::CancelOrderRequest { order_id: Uuid::now_v7().to_string(), ..requests[3].clone() };
    assert_eq!(reason(&cancel(&processes[1], &altered).await.unwrap_err()), Reason::RequestIdReused);
}

#[tokio::test]
async fn an_order_that_has_ended_or_is_foreign_is_not_canceled() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let (matched, foreign) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    mesh.fakes.order(&matched, Side::Buy, "100", OrderStatus::Matched);
    mesh.fakes.order(&foreign, Side::Sell, "100", OrderStatus::Pending);
    let refused = cancel(&process, &cancels(&matched)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::FailedPrecondition, Reason::TooLateToCancel));
    for hidden in [foreign, Uuid::now_v7().to_string()] {
        let refused = cancel(&process, &cancels(&hidden)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused)), (Code::NotFound, Reason::OrderNotFound));
    }
    assert_eq!(mesh.count("SELECT count(*) FROM sagas").await, 0);

    // It got filled while the cancel waited.
    let order_id = Uuid::now_v7().to_string();
    mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.feel("await_drain", Mood::Refuses(Reason::TooLateToCancel));
    let refused = cancel(&process, &cancels(&order_id)).await.unwrap_err();
    assert_eq!((reason(&refused), metadata(&refused, "order_id")), (Reason::TooLateToCancel, order_id));
}

#[tokio::test]
async fn a_match_takes_quantity_and_price_from_both_orders() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let (buy, sell) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    mesh.fakes.order(&buy, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.order(&sell, Side::Sell, "99.5", OrderStatus::Pending);
    let pair = || wire::MatchOrdersRequest {
        request_id: Uuid::new_v4().to_string(),
        buy_order_id: buy.clone(),
        sell_order_id: sell.clone(),
        ..Default::default()
    };
    let request = pair();
    let matched = matches(&process, &request).await.unwrap();
    // The buy order was opened first: it rests, and its limit is the price.
    assert_eq!((matched.quantity.as_str(), matched.price.as_str()), ("10", "100"));
    assert_eq!(matched.trade_id, matched.saga_id);
    let again = matches(&process, &request).await.unwrap();
    assert_eq!(again, wire::MatchOrdersResponse { replayed: true, ..matched });
    assert_eq!(mesh.fakes.effects("apply_fill"), 1);

    let with = |quantity: &str, price: &str| wire::MatchOrdersRequest {
        quantity: quantity.to_owned(),
        price: price.to_owned(),
        ..pair()
    };
    let partial = matches(&process, &with("3", "99.75")).await.unwrap();
    assert_eq!((partial.quantity.as_str(), partial.price.as_str()), ("3", "99.75"));
    let cases = [
        (with("11", ""), Reason::QuantityExceedsLeaves),
        (with("", "100.01"), Reason::PriceOutsideLimits),
        (with("", "99.005"), Reason::OffTick),
        (with("1.5", ""), Reason::OffLot),
        (with("0", ""), Reason::AmountNotPositive),
        (wire::MatchOrdersRequest { sell_order_id: buy.clone(), ..pair() }, Reason::SameSide),
        (
            wire::MatchOrdersRequest { sell_order_id: Uuid::now_v7().to_string(), ..pair() },
            Reason::OrderNotFound,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(reason(&matches(&process, &request).await.unwrap_err()), expected, "{request:?}");
    }
    mesh.fakes.order(&sell, Side::Sell, "101", OrderStatus::Pending);
    assert_eq!(reason(&matches(&process, &pair()).await.unwrap_err()), Reason::NotCrossing);
    mesh.fakes.order(&sell, Side::Sell, "100", OrderStatus::Init);
    assert_eq!(reason(&matches(&process, &pair()).await.unwrap_err()), Reason::NotMatchable);
}

#[tokio::test]
async fn a_refused_settlement_gives_the_reservation_back_and_is_told() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let (buy, sell) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    mesh.fakes.order(&buy, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.order(&sell, Side::Sell, "100", OrderStatus::Pending);
    mesh.fakes.feel("settle_trade", Mood::Refuses(Reason::CustomerFrozen));
    let request = wire::MatchOrdersRequest {
        request_id: Uuid::new_v4().to_string(),
        buy_order_id: buy,
        sell_order_id: sell,
        ..Default::default()
    };
    let refused = matches(&process, &request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::FailedPrecondition, Reason::CustomerFrozen));
    let saga = process.until(&metadata(&refused, "saga_id"), SagaStatus::RolledBack).await;
    assert!(saga.steps[0].attempts.iter().any(|attempt| attempt.compensation && attempt.reply == "DONE"));
    assert_eq!(mesh.fakes.effects("apply_fill"), 0);
}

#[tokio::test]
async fn a_saga_goes_on_when_its_caller_does_not_wait() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let order = buys_10_at_100();
    mesh.fakes.feel("open", Mood::Silent);
    let mut request = as_user("token-customer-a", order.clone());
    request.set_timeout(std::time::Duration::from_millis(300));
    let left = process.trading().create_order(request).await.unwrap_err();
    assert!(matches!(left.code(), Code::DeadlineExceeded | Code::Cancelled), "{left:?}");
    mesh.fakes.feel_well("open");
    let found = process.create(&order).await.unwrap();
    assert!(found.replayed);
    assert_eq!(mesh.fakes.effects("open"), 1);
}
