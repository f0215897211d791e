//! What an operator sees of sagas: one trace each, numbers that are listed, no secrets; and what seeing costs.

mod adoption;
mod numbers;
mod process;
mod secrets;
mod silence;
mod trees;

use service_kit::telemetry::TraceParent;
use test_mesh::{ALICE, BOB, Brokerage, Collector, Options};
use tonic::{IntoRequest, Request};

/// A brokerage that tells a collector everything, with money and shares for Alice and Bob.
async fn watched() -> (Brokerage, Collector) {
    watched_with(Options::default()).await
}

/// The same, otherwise.
async fn watched_with(options: Options) -> (Brokerage, Collector) {
    let collector = Collector::start().await;
    let otlp_endpoint = Some(collector.endpoint.clone());
    let brokerage = Brokerage::start_with(Options { otlp_endpoint, ..options }).await;
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    brokerage.admin().deposits(BOB, "THYAO", "100").await;
    (brokerage, collector)
}

/// A call in a trace that its caller records.
fn traced<M>(message: M) -> (TraceParent, Request<M>) {
    let trace = TraceParent::random().sampled(true);
    let mut request = message.into_request();
    request.metadata_mut().insert("traceparent", trace.to_string().parse().unwrap());
    (trace, request)
}
