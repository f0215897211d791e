//! The span trees of a match with a partial fill, of what is refused at once, and of what is in no trace.

use super::{traced, watched};

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
