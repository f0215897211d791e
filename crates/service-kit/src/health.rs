//! Health, in gRPC's protocol and for probes.
//!
//! *Liveness* never looks at dependencies: restarting does not mend a database. *Readiness*, the empty name and each
//! service's name say whether calls should come here: only while the database answers, its schema is current and the
//! service is not draining.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use crate::database::{self, Reads};

/// How often the database is asked while all is well.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is asked while it is not.
const CHECK_INTERVAL_UNREADY: Duration = Duration::from_millis(100);

/// Whether a service should be called. Clones share the answer.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    services: Arc<[&'static str]>,
    ready: Arc<AtomicBool>,
}

impl Health {
    /// Alive and not ready, for these services.
    pub async fn new(services: &[&'static str]) -> Self {
        let reporter = HealthReporter::new();
        reporter.set_service_status("liveness", ServingStatus::Serving).await;
        let health = Self { reporter, services: services.into(), ready: Arc::new(AtomicBool::new(false)) };
        health.report(ServingStatus::NotServing).await;
        health
    }

    /// The gRPC service of one listener.
    #[must_use]
    pub fn server(&self) -> HealthServer<impl HealthApi + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Whether calls should come here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Says whether calls should come here.
    pub async fn set_ready(&self, ready: bool) {
        if self.ready.swap(ready, Ordering::Relaxed) != ready {
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.report(status).await;
            tracing::info!(ready, "readiness is now {ready}");
        }
    }

    async fn report(&self, status: ServingStatus) {
        for name in ["", "readiness"].iter().chain(self.services.iter()) {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Follows the database until `stop`, and is not ready from then on.
    pub(crate) async fn follow(self, reads: Reads, migrator: Migrator, stop: CancellationToken) {
        let mut schema_seen = false;
        while !stop.is_cancelled() {
            let ready = is_usable(&reads, &migrator, &mut schema_seen).await;
            if stop.is_cancelled() {
                break;
            }
            self.set_ready(ready).await;
            let pause = if ready { CHECK_INTERVAL } else { CHECK_INTERVAL_UNREADY };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
        self.set_ready(false).await;
    }
}

/// Once current, a schema stays so: migrations only go forward. Then a bare question is enough.
async fn is_usable(reads: &Reads, migrator: &Migrator, schema_seen: &mut bool) -> bool {
    let pool = reads.uncancellable();
    if *schema_seen {
        return sqlx::query("SELECT 1").execute(pool).await.is_ok();
    }
    *schema_seen = matches!(database::schema_is_current(pool, migrator).await, Ok(true));
    *schema_seen
}
