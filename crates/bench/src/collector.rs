//! Where the services send their traces and metrics meanwhile: a collector that counts spans and forgets them.
//!
//! Tracing is on while the mesh is measured, sampled as production would sample it. What the collector costs is the load
//! generator's, as is everything of this process.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The part of all traces that is recorded.
pub const SAMPLED: f64 = 0.01;

/// One for the whole run.
static ENDPOINT: OnceCell<String> = OnceCell::const_new();
static SPANS: AtomicU64 = AtomicU64::new(0);

/// What the services need to be told, so that they trace.
///
/// # Errors
/// When no port can be had.
pub async fn settings() -> Result<Vec<(MeshService, &'static str, String)>> {
    let endpoint = ENDPOINT.get_or_try_init(start).await?;
    let of = |service: MeshService| {
        [
            (service, "TELEMETRY__OTLP_ENDPOINT", endpoint.clone()),
            (service, "TELEMETRY__SAMPLE_RATIO", SAMPLED.to_string()),
        ]
    };
    Ok(MeshService::ALL.iter().flat_map(|service| of(*service)).collect())
}

/// How many spans have come so far.
pub fn spans() -> u64 {
    SPANS.load(Ordering::Relaxed)
}

async fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen for traces")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let server = Server::builder()
        .add_service(TraceServiceServer::new(Counting))
        .add_service(MetricsServiceServer::new(Counting));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(endpoint)
}

struct Counting;

#[tonic::async_trait]
impl TraceService for Counting {
    async fn export(
        &self,
        request: Request<trace::ExportTraceServiceRequest>,
    ) -> Result<Response<trace::ExportTraceServiceResponse>, Status> {
        let scopes = request.get_ref().resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        SPANS.fetch_add(u64::try_from(spans).unwrap_or_default(), Ordering::Relaxed);
        Ok(Response::new(trace::ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Counting {
    async fn export(
        &self,
        _request: Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<metrics::ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(metrics::ExportMetricsServiceResponse::default()))
    }
}
