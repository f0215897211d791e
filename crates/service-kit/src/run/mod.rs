//! How a service starts, serves and ends. Tests take the same path as processes, on port 0.
//!
//! ```no_run
//! # struct OrderService;
//! # impl service_kit::run::Service for OrderService {
//! #     const NAME: &'static str = "order-svc";
//! #     fn migrations() -> sqlx::migrate::Migrator { sqlx::migrate::Migrator::DEFAULT }
//! #     async fn build(_: service_kit::run::Kit) -> Result<service_kit::run::Routes, service_kit::run::BootError> {
//! #         Ok(service_kit::run::Routes::default())
//! #     }
//! # }
//! fn main() -> std::process::ExitCode {
//!     service_kit::run::run::<OrderService>()
//! }
//! ```

mod command_line;
mod listeners;
mod looks;
mod serve;

use std::error::Error;
use std::sync::Arc;

use sqlx::migrate::{MigrateError, Migrator};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use command_line::{run, runtime};
pub use listeners::{Addresses, Listeners};
pub use looks::Look;
pub use serve::run_until;

use crate::channel::ChannelError;
use crate::clock::{SharedClock, SystemClock};
use crate::database::{self, Reads};
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::settings::{Settings, SettingsError};
use crate::telemetry::Tracer;

/// What one service adds to the kit.
pub trait Service: Send + 'static {
    /// Its name, such as `order-svc`; also the prefix of its environment variables.
    const NAME: &'static str;

    /// Its own migrations, versions from 1000.
    fn migrations() -> Migrator;

    /// Builds what it serves. Called once, when the schema is current.
    fn build(kit: Kit) -> impl Future<Output = Result<Routes, BootError>> + Send;
}

/// What a service is built from. Clones share everything.
#[derive(Clone)]
pub struct Kit {
    /// The settings.
    pub settings: Arc<Settings>,
    /// Read access to the database.
    pub reads: Reads,
    /// The application clock.
    pub clock: SharedClock,
    /// Tasks that must finish before the process ends: lanes and loops.
    pub tasks: TaskTracker,
    /// Cancelled when the service stops taking calls: loops and streams end then. Calls in progress still finish.
    pub shutdown: CancellationToken,
    /// The service's metrics.
    pub metrics: Metrics,
    /// The service's traces.
    pub tracer: Tracer,
}

impl Kit {
    /// A kit with the machine's clock. Connects to nothing yet; must be called inside a runtime.
    ///
    /// # Errors
    /// A database URL that cannot be read.
    pub fn new(settings: Settings) -> Result<Self, BootError> {
        let (tasks, metrics) = (TaskTracker::new(), Metrics::new()?);
        let tracer = Tracer::start(&settings.telemetry, &settings.auth.service_name, &metrics);
        Ok(Self {
            reads: database::pool(&settings.database, tasks.clone(), metrics.clone())?,
            settings: Arc::new(settings),
            clock: SystemClock::shared(),
            tasks,
            shutdown: CancellationToken::new(),
            metrics,
            tracer,
        })
    }

    /// A kit with the dev profile's settings on this database, for tests of a service's parts.
    ///
    /// # Errors
    /// A database URL that cannot be read.
    pub fn for_tests(database_url: &str) -> Result<Self, BootError> {
        let mut settings = Settings::dev();
        database_url.clone_into(&mut settings.database.url);
        Self::new(settings)
    }
}

/// What a service serves on its two gRPC listeners.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// For users.
    pub public: tonic::service::Routes,
    /// For services.
    pub internal: tonic::service::Routes,
    /// Full names of the public services. What is not named here cannot be called.
    pub public_descriptors: Vec<&'static str>,
    /// Full names of the internal services. What is not named here cannot be called.
    pub internal_descriptors: Vec<&'static str>,
}

/// Why a service did not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A port cannot be had.
    #[error("listen on {address}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error("use the database")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migrate the database")]
    Migrate(#[from] MigrateError),
    /// The schema is older than this program.
    #[error("the schema is behind: run `{0} migrate` first, or start with --migrate")]
    SchemaBehind(&'static str),
    /// A peer's address is wrong.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Descriptors cannot be read.
    #[error("describe the services")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A metric cannot be registered.
    #[error("register a metric")]
    Metrics(#[from] prometheus::Error),
    /// A gRPC server ended badly.
    #[error("serve gRPC")]
    Serve(#[from] tonic::transport::Error),
    /// The ops server, the runtime or a probe failed.
    #[error("input or output")]
    Io(#[from] std::io::Error),
    /// A fault while building the service.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Something else that the service met.
    #[error("build the service")]
    Service(#[source] Box<dyn Error + Send + Sync>),
}

impl BootError {
    /// Something that the service met while it was built.
    pub fn service(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Service(error.into())
    }
}
