//! The span tree of each saga: success, rejection, compensation, cancel, match with a partial fill.

use brokerage_proto::trading::v1::CancelOrderRequest;
use service_kit::names::{attribute, link};
use test_mesh::collector::{hex, links, text_of};
use test_mesh::fresh;

use super::{traced, watched};

#[tokio::test]
async fn an_order_is_one_trace_through_three_services_and_their_databases() {
    let (brokerage, collector) = watched().await;
    let alice = brokerage.alice();
    let (trace, request) = traced(alice.bid("THYAO", "10", "8.00"));
    alice.trading.clone().create_order(request).await.unwrap();
    collector.shows(trace, include_str!("create_order.txt")).await;
    for seen in collector.spans(trace) {
        // The transaction points to the batch that it was, which is a trace of its own and points back.
        let Some((batch_trace, batch)) = links(&seen.span, link::BATCH).next() else { continue };
        assert_ne!(batch_trace, trace.trace_id());
        let all = collector.all();
        let batch = all.iter().find(|other| hex(&other.span.span_id) == batch).expect("the batch");
        let served: Vec<_> = links(&batch.span, link::SERVES).collect();
        assert!(served.contains(&(trace.trace_id(), hex(&seen.span.parent_span_id))), "{served:?}");
        assert_eq!(text_of(&seen.span.attributes, attribute::DB_SYSTEM).as_deref(), Some("postgresql"));
    }
}

#[tokio::test]
async fn a_refused_order_shows_who_refused_it_and_what_was_taken_back() {
    let (brokerage, collector) = watched().await;
    let alice = brokerage.alice();
    let (trace, request) = traced(alice.bid("THYAO", "1000000", "8.00"));
    alice.trading.clone().create_order(request).await.unwrap_err();
    collector.shows(trace, include_str!("insufficient.txt")).await;
}

#[tokio::test]
async fn what_is_refused_before_it_is_a_saga_is_one_span() {
    let (brokerage, collector) = watched().await;
    let alice = brokerage.alice();
    let (trace, request) = traced(alice.bid("THYAO", "-1", "8.00"));
    alice.trading.clone().create_order(request).await.unwrap_err();
    collector.shows(trace, "saga-orchestrator: serve TradingService/CreateOrder INVALID_ARGUMENT\n").await;
    assert!(collector.spans(trace).iter().all(|seen| seen.span.status.as_ref().is_none_or(|s| s.code == 0)));
}

#[tokio::test]
async fn a_cancel_is_one_trace() {
    let (brokerage, collector) = watched().await;
    let alice = brokerage.alice();
    let order_id = alice.buys("THYAO", "10", "8.00").await;
    let request = CancelOrderRequest { request_id: fresh(), order_id, ..Default::default() };
    let (trace, request) = traced(request);
    alice.trading.clone().cancel_order(request).await.unwrap();
    collector.shows(trace, include_str!("cancel_order.txt")).await;
}

#[tokio::test]
async fn a_match_with_a_partial_fill_is_one_trace() {
    let (brokerage, collector) = watched().await;
    let (alice, bob, admin) = (brokerage.alice(), brokerage.bob(), brokerage.admin());
    let (buy, sell) = (alice.buys("THYAO", "10", "8.00").await, bob.sells("THYAO", "4", "8.00").await);
    let (trace, request) = traced(admin.pair(&buy, &sell));
    let matched = admin.trading.clone().match_orders(request).await.unwrap().into_inner();
    assert_eq!(matched.quantity, "4", "{matched:?}");
    collector.shows(trace, include_str!("match_orders.txt")).await;
}

#[tokio::test]
async fn each_event_carries_the_trace_of_the_step_that_made_it() {
    let (brokerage, _collector) = watched().await;
    let alice = brokerage.alice();
    let placing = futures::future::join_all((0..8).map(|_| {
        let (trace, request) = traced(alice.bid("THYAO", "1", "8.00"));
        let mut trading = alice.trading.clone();
        async move { (trace, trading.create_order(request).await.unwrap().into_inner().order_id) }
    }));
    let mut database = brokerage.databases.order().await;
    for (trace, order_id) in placing.await {
        let query = "SELECT traceparent FROM outbox WHERE aggregateid = $1";
        let told: Vec<Option<String>> =
            sqlx::query_scalar(query).bind(&order_id).fetch_all(&mut database).await.unwrap();
        assert!(told.len() >= 2, "drafted and opened");
        for told in told {
            let told = told.expect("a trace");
            assert!(told.contains(&trace.trace_id()), "{told} of {order_id}");
        }
    }
}

#[tokio::test]
async fn health_and_reflection_are_in_no_trace() {
    let (brokerage, collector) = watched().await;
    let channel = brokerage.orchestrators[0].public.clone();
    let mut client = tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel);
    let ask = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            tonic_reflection::pb::v1::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let (quiet, request) = traced(tokio_stream::once(ask));
    let mut answers = client.server_reflection_info(request).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    let alice = brokerage.alice();
    let (loud, request) = traced(alice.bid("THYAO", "-1", "8.00"));
    alice.trading.clone().create_order(request).await.unwrap_err();
    collector.shows(loud, "saga-orchestrator: serve TradingService/CreateOrder INVALID_ARGUMENT\n").await;
    assert!(collector.spans(quiet).is_empty());
    assert!(collector.all().iter().all(|seen| !seen.span.name.starts_with("grpc.")));
}
