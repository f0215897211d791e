//! The mesh's one public address: every public service behind one port, as an ingress would do.
//!
//! It serves health and reflection itself, for the public services only, and forwards everything else. It checks
//! nothing: authentication and authorisation are the services' own.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use service_kit::{fault, reflection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use super::forward::Forward;
use super::service::MeshService;

/// Calls at the same time on one client's connection.
const STREAMS_MAX: u32 = 2_048;

/// The running edge.
#[derive(Debug)]
pub(super) struct Edge {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Edge {
    /// Serves on a bound listener; must be called inside a runtime.
    pub(super) async fn start(
        listener: std::net::TcpListener,
        forwards: Vec<(MeshService, Forward)>,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        let incoming = TcpIncoming::from(TcpListener::from_std(listener)?).with_nodelay(Some(true));
        let stop = CancellationToken::new();
        let router = Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .add_routes(routes(forwards).await.context("build the public edge")?);
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(router.serve_with_incoming_shutdown(incoming, stopped));
        Ok(Self { address, stop, server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more calls. What is under way is cut when the services end.
    pub(super) fn stop(self) {
        self.stop.cancel();
        self.server.abort();
    }
}

async fn routes(forwards: Vec<(MeshService, Forward)>) -> Result<Routes> {
    let public: Vec<&'static str> =
        MeshService::ALL.iter().flat_map(|service| service.public_services().iter().copied()).collect();
    let reporter = HealthReporter::new();
    for name in public.iter().chain(&["", "readiness", "liveness"]) {
        reporter.set_service_status(*name, ServingStatus::Serving).await;
    }
    let health = HealthService::from_health_reporter(reporter);
    let own = Routes::new(tonic_health::pb::health_server::HealthServer::new(health));
    let mut router: Router = reflection::add(own, &public)?.into_axum_router();
    for (service, forward) in forwards {
        for name in service.public_services() {
            router = router.route_service(&format!("/{name}/{{method}}"), forward.clone());
        }
    }
    Ok(Routes::from(router.fallback(async || fault::unknown_method().into_http::<axum::body::Body>())))
}
