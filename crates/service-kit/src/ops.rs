//! The ops listener: metrics and probes over plain HTTP, for machines inside the cluster.
//!
//! The gRPC health service is here too. Here probes need no TLS, and no call is shed: an overloaded process must not look
//! dead.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::health::Health;
use crate::metrics::{self, Metrics};

/// `/metrics`, `/livez`, `/readyz`, and `grpc.health.v1.Health`.
pub(crate) fn routes(metrics: Metrics, health: Health) -> Router {
    Router::new()
        .route("/metrics", get(render).with_state(metrics))
        .route("/livez", get(|| async { "alive\n" }))
        .route_service("/grpc.health.v1.Health/{method}", health.server())
        .route("/readyz", get(ready).with_state(health))
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.render())
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
