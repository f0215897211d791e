//! Unknown things, and things of others: both are not found, and look the same.

use brokerage_proto::order::v1 as order;
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest};
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, Person, Refusal, expect_refusal, fresh};
use tonic::Code;

#[tokio::test]
async fn what_nobody_has_is_not_found() {
    let brokerage = Brokerage::start().await;
    let admin = brokerage.admin();
    admin.deposits(BOB, "THYAO", "10").await;
    let ask = brokerage.bob().sells("THYAO", "10", "8.00").await;
    let nothing = fresh();
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    let nobody = CreateOrderRequest { customer_id: "nobody".to_owned(), ..admin.bid("THYAO", "1", "8.00") };
    let reason = "why not".to_owned();
    let suspend =
        order::SuspendOrderRequest { request_id: fresh(), order_id: nothing.clone(), reason: reason.clone() };
    let resume = order::ResumeOrderRequest { request_id: fresh(), order_id: nothing.clone(), reason };
    let label = order::GetOrderRequest {
        client_order_id: "no such label".to_owned(),
        customer_id: ALICE.to_owned(),
        ..Default::default()
    };
    let instrument = order::GetInstrumentRequest { symbol: "NOTHING".to_owned() };
    let unknown_instrument = brokerage.alice().bid("NOTHING", "1", "8.00");
    for refusal in [
        expect_refusal(
            brokerage.alice().tries_to_place(unknown_instrument).await,
            Reason::InstrumentNotFound,
        ),
        expect_refusal(admin.orders.clone().get_instrument(instrument).await, Reason::InstrumentNotFound),
        expect_refusal(admin.tries_to_place(nobody).await, Reason::CustomerNotFound),
        expect_refusal(admin.looks_for(&nothing).await, Reason::OrderNotFound),
        expect_refusal(admin.orders.clone().get_order(label).await, Reason::OrderNotFound),
        expect_refusal(admin.tries_to_cancel(&nothing).await, Reason::OrderNotFound),
        expect_refusal(admin.tries_to_match(admin.pair(&nothing, &ask)).await, Reason::OrderNotFound),
        expect_refusal(admin.tries_to_match(admin.pair(&ask, &nothing)).await, Reason::OrderNotFound),
        expect_refusal(admin.orders.clone().suspend_order(suspend).await, Reason::OrderNotFound),
        expect_refusal(admin.orders.clone().resume_order(resume).await, Reason::OrderNotFound),
    ] {
        assert_eq!(refusal.code, Code::NotFound, "{refusal:?}");
    }
    brokerage.snapshot().await.is(&before.0, "commands on nothing");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn an_order_of_another_customer_is_not_found_whoever_asks() {
    let brokerage = Brokerage::start().await;
    let (alice, bob, employee) = (brokerage.alice(), brokerage.bob(), brokerage.employee());
    for customer in [ALICE, BOB] {
        brokerage.admin().deposits(customer, "TRY", "1000").await;
    }
    let labelled =
        CreateOrderRequest { client_order_id: "mine".to_owned(), ..alice.bid("THYAO", "1", "8.00") };
    let (hers, his) = (alice.places(labelled).await, bob.buys("THYAO", "1", "8.00").await);
    // The employee works for Alice, and not for Bob.
    assert_eq!(employee.sees(&hers).await.order_id, hers);
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    for (stranger, order) in [(&bob, &hers), (&alice, &his), (&employee, &his)] {
        looks_like_nothing(stranger, order).await;
    }
    let by_label = |customer: &str| CancelOrderRequest {
        request_id: fresh(),
        client_order_id: "mine".to_owned(),
        customer_id: customer.to_owned(),
        ..Default::default()
    };
    // His own label of that name, which he does not have; and hers, who does not exist for him.
    let own = bob.trading.clone().cancel_order(by_label("")).await;
    assert_eq!(expect_refusal(own, Reason::OrderNotFound).code, Code::NotFound);
    let foreign = bob.trading.clone().cancel_order(by_label(ALICE)).await;
    assert_eq!(expect_refusal(foreign, Reason::CustomerNotFound).code, Code::NotFound);
    brokerage.snapshot().await.is(&before.0, "commands on the orders of others");
    assert_eq!(brokerage.saga_count().await, before.1);
    assert!(alice.sees(&hers).await.reason.is_empty());
    brokerage.audit().await;
}

/// Reading or canceling this order says exactly what it says about an order that does not exist.
async fn looks_like_nothing(stranger: &Person, order: &str) {
    let nothing = fresh();
    let pairs = [
        (
            expect_refusal(stranger.looks_for(order).await, Reason::OrderNotFound),
            expect_refusal(stranger.looks_for(&nothing).await, Reason::OrderNotFound),
        ),
        (
            expect_refusal(stranger.tries_to_cancel(order).await, Reason::OrderNotFound),
            expect_refusal(stranger.tries_to_cancel(&nothing).await, Reason::OrderNotFound),
        ),
    ];
    for (foreign, missing) in pairs {
        assert_eq!(foreign.code, Code::NotFound);
        let shape = |refusal: &Refusal| {
            let keys: Vec<_> = refusal.metadata.iter().map(|(key, _)| key.clone()).collect();
            (refusal.code, refusal.reason.clone(), refusal.violations.clone(), keys)
        };
        assert_eq!(shape(&foreign), shape(&missing));
    }
}

#[tokio::test]
async fn nobody_acts_for_a_customer_who_is_not_his() {
    let brokerage = Brokerage::start().await;
    let (bob, employee) = (brokerage.bob(), brokerage.employee());
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    let for_whom = |person: &Person, customer: &str| CreateOrderRequest {
        customer_id: customer.to_owned(),
        ..person.bid("THYAO", "1", "8.00")
    };
    for answer in [
        bob.tries_to_place(for_whom(&bob, ALICE)).await,
        bob.tries_to_place(for_whom(&bob, "nobody")).await,
        employee.tries_to_place(for_whom(&employee, BOB)).await,
    ] {
        assert_eq!(expect_refusal(answer, Reason::CustomerNotFound).code, Code::NotFound);
    }
    let silent = employee.tries_to_place(for_whom(&employee, "")).await;
    expect_refusal(silent, Reason::FieldRequired).blames(&["customer_id"]);
    brokerage.snapshot().await.is(&before.0, "orders for others");
    assert_eq!(brokerage.saga_count().await, before.1);
    let placed = employee.places(for_whom(&employee, ALICE)).await;
    assert_eq!(brokerage.alice().sees(&placed).await.created_by, "employee");
    brokerage.audit().await;
}
