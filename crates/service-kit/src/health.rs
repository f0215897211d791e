//! Health, in gRPC's protocol and for probes.
//!
//! *Liveness* never looks at dependencies: restarting does not mend a database. *Readiness*, the empty name and each
//! service's name say whether calls should come here: only while the database answers, its schema is current and the
//! service is not draining.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use crate::database;
use crate::settings::DatabaseSettings;

/// How often the database is asked while all is well.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is asked while it is not.
const CHECK_INTERVAL_UNREADY: Duration = Duration::from_millis(100);

/// How long the database may take to say that it is there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

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

    /// Ends every watching stream; nothing can be asked any more.
    pub(crate) async fn end(mut self) {
        for name in ["", "readiness", "liveness"].iter().chain(self.services.iter()) {
            self.reporter.clear_service_status(name).await;
        }
    }

    /// Follows the database until `stop`, and is not ready from then on.
    pub(crate) async fn follow(
        self,
        database: DatabaseSettings,
        migrator: Migrator,
        stop: CancellationToken,
    ) {
        let mut probe = Probe { database, migrator, connection: None };
        while !stop.is_cancelled() {
            let ready = probe.is_usable().await;
            if stop.is_cancelled() {
                return;
            }
            self.set_ready(ready).await;
            let pause = if ready { CHECK_INTERVAL } else { CHECK_INTERVAL_UNREADY };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
    }
}

/// Looks at the database over a connection of its own.
struct Probe {
    database: DatabaseSettings,
    migrator: Migrator,
    connection: Option<PgConnection>,
}

impl Probe {
    /// Each new connection sees the whole schema first: it may lead to another database. Later a bare question is
    /// enough, because migrations only go forward.
    async fn is_usable(&mut self) -> bool {
        let was_there = self.connection.is_some();
        let looked = match self.connection.take() {
            Some(connection) => Self::ask(connection).await,
            None => self.connect().await,
        };
        match looked {
            Ok(connection) => self.connection = connection,
            Err(error) if was_there => tracing::warn!(%error, "the database does not answer any more"),
            Err(error) => tracing::debug!(%error, "the database does not answer"),
        }
        self.connection.is_some()
    }

    async fn ask(mut connection: PgConnection) -> Result<Option<PgConnection>, sqlx::Error> {
        let answer =
            tokio::time::timeout(ANSWER_TIMEOUT, sqlx::query("SELECT 1").execute(&mut connection)).await;
        match answer {
            Ok(answer) => answer.map(|_| Some(connection)),
            Err(_) => Err(database::timed_out()),
        }
    }

    async fn connect(&self) -> Result<Option<PgConnection>, sqlx::Error> {
        let mut connection = database::connect_probe(&self.database).await?;
        let current = database::schema_is_current(&mut connection, &self.migrator).await?;
        Ok(current.then_some(connection))
    }
}
