//! A saga's trace survives the process that began it.

use brokerage_proto::order::v1::OrderStatus;
use service_kit::names::link;
use service_kit::telemetry::TraceParent;
use test_mesh::collector::{hex, links};
use test_mesh::{Options, until};

use super::process::Process;
use super::{traced, watched, watched_with};

#[tokio::test]
async fn whoever_adopts_a_saga_goes_on_in_its_trace() {
    // The lease of a dead owner is five seconds.
    let (brokerage, collector) = watched_with(Options { time_scale: 0.5, ..Options::default() }).await;
    let settings = [("TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str())];
    let doomed = Process::start(&brokerage, &settings, Some("engine.sending/open:1")).await;
    let alice = doomed.caller(&brokerage, "token-customer-a", test_mesh::ALICE);
    let (trace, request) = traced(alice.bid("THYAO", "10", "8.00"));
    alice.trading.clone().create_order(request).await.unwrap_err();

    let query = "SELECT saga_id::text, traceparent FROM sagas WHERE traceparent LIKE '%' || $1 || '%'";
    let (saga_id, stored): (String, String) = sqlx::query_as(query)
        .bind(trace.trace_id())
        .fetch_one(&mut brokerage.databases.orchestrator().await)
        .await
        .unwrap();
    brokerage.alice().waits_for(&saga_id, OrderStatus::Pending).await;
    collector.shows(trace, include_str!("adoption.txt")).await;
    let spans = collector.spans(trace);
    let adopter =
        spans.iter().find(|seen| seen.span.name == "saga create_order").expect("the adopter's span");
    let original = TraceParent::parse(&stored).unwrap();
    let linked: Vec<_> = links(&adopter.span, link::ADOPTED).collect();
    assert_eq!(linked, [(original.trace_id(), original.span_id())]);
    assert_ne!(hex(&adopter.span.span_id), original.span_id());
}

#[tokio::test]
async fn a_saga_whose_row_was_lost_is_adopted_with_its_trace() {
    let (brokerage, collector) = watched_with(Options { time_scale: 0.2, ..Options::default() }).await;
    let alice = brokerage.alice();
    let (trace, request) = traced(alice.bid("THYAO", "10", "8.00"));
    let order_id = alice.trading.clone().create_order(request).await.unwrap().into_inner().order_id;
    let mut database = brokerage.databases.orchestrator().await;
    let delete = "DELETE FROM sagas WHERE saga_id = $1::uuid";
    until("the saga's mark is written, and lost", async || {
        let ended = "SELECT count(*) FROM sagas WHERE saga_id = $1::uuid AND ended_at IS NOT NULL";
        let ended: i64 = sqlx::query_scalar(ended).bind(&order_id).fetch_one(&mut database).await.unwrap();
        (ended == 1).then_some(())
    })
    .await;
    sqlx::query(delete).bind(&order_id).execute(&mut database).await.unwrap();
    until("the lost saga is driven in its trace", async || {
        let spans = collector.spans(trace);
        spans.iter().any(|seen| links(&seen.span, link::ADOPTED).next().is_some()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_not_recorded_leaves_no_trace_in_rows() {
    let (brokerage, _collector) = watched().await;
    let alice = brokerage.alice();
    let (trace, mut request) = traced(alice.bid("THYAO", "10", "8.00"));
    let quiet = trace.sampled(false);
    request.metadata_mut().insert("traceparent", quiet.to_string().parse().unwrap());
    let order_id = alice.trading.clone().create_order(request).await.unwrap().into_inner().order_id;
    let stored = async |connection: &mut sqlx::PgConnection, table: &'static str| -> i64 {
        let query =
            format!("SELECT count(*) FROM {table} WHERE saga_id = $1::uuid AND traceparent IS NOT NULL");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(&order_id);
        query.fetch_one(connection).await.unwrap()
    };
    assert_eq!(stored(&mut brokerage.databases.orchestrator().await, "sagas").await, 0);
    assert_eq!(stored(&mut brokerage.databases.order().await, "inbox").await, 0);
    // Events can be joined with logs all the same.
    let query = "SELECT count(*) FROM outbox WHERE aggregateid = $1 AND traceparent LIKE '%' || $2 || '%-00'";
    let told: i64 = sqlx::query_scalar(query)
        .bind(&order_id)
        .bind(trace.trace_id())
        .fetch_one(&mut brokerage.databases.order().await)
        .await
        .unwrap();
    assert!(told >= 2, "{told}");
}
