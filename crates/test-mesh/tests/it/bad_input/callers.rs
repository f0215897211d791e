//! Callers that nobody knows, and messages that are too long to read.

use brokerage_proto::asset::v1::{Customer, GetCustomerRequest};
use brokerage_proto::order::v1::ListOrdersRequest;
use brokerage_proto::saga::v1::ListSagasRequest;
use brokerage_proto::trading::v1::CreateOrderRequest;
use brokerage_types::Reason;
use test_mesh::{ALICE, Brokerage, Identity, Person, expect_refusal, fresh};
use tonic::{Code, Response, Status};

/// More than the public listeners read.
const TOO_LONG: usize = 70_000;

#[tokio::test]
async fn a_caller_is_known_or_gets_nothing() {
    let brokerage = Brokerage::start().await;
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    for (identity, reason) in [
        (Identity::Nobody, Reason::TokenMissing),
        (Identity::user("token-of-nobody"), Reason::TokenUnknown),
        (Identity::user("token-customer-A"), Reason::TokenUnknown),
        (Identity::user(""), Reason::TokenUnknown),
        (Identity::user("token-expired"), Reason::TokenExpired),
        // A service's secret opens no public door.
        (Identity::orchestrator(), Reason::TokenMissing),
    ] {
        let stranger = brokerage.caller(&identity, ALICE, 0);
        for refusal in [
            expect_refusal(stranger.tries_to_place(stranger.bid("THYAO", "1", "8.00")).await, reason),
            expect_refusal(stranger.looks_for(&fresh()).await, reason),
            expect_refusal(stranger.tries_to_withdraw("TRY", "1").await, reason),
            expect_refusal(stranger.sagas.clone().list_sagas(ListSagasRequest::default()).await, reason),
            expect_refusal(get_customer(&stranger, String::new()).await, reason),
        ] {
            assert_eq!(refusal.code, Code::Unauthenticated, "{identity:?}");
            assert!(refusal.violations.is_empty(), "{identity:?}: no field is at fault");
        }
    }
    brokerage.snapshot().await.is(&before.0, "calls of nobody");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_message_is_short_or_not_read() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    let long = || "x".repeat(TOO_LONG);
    let order = CreateOrderRequest { client_order_id: long(), ..alice.bid("THYAO", "1", "8.00") };
    let list = ListOrdersRequest { client_order_id_prefix: long(), ..Default::default() };
    for refusal in [
        expect_refusal(alice.tries_to_place(order).await, Reason::MessageTooLarge),
        expect_refusal(alice.orders.clone().list_orders(list).await, Reason::MessageTooLarge),
        expect_refusal(alice.tries_to_withdraw("TRY", &long()).await, Reason::MessageTooLarge),
        expect_refusal(get_customer(&alice, long()).await, Reason::MessageTooLarge),
    ] {
        assert_eq!(refusal.code, Code::OutOfRange);
    }
    brokerage.snapshot().await.is(&before.0, "messages that are too long");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

async fn get_customer(person: &Person, customer_id: String) -> Result<Response<Customer>, Status> {
    person.customers.clone().get_customer(GetCustomerRequest { customer_id }).await
}
