//! Connections to Postgres: a read-only pool behind detached tasks, lane connections, and migrations.
//!
//! No handler ever holds a connection. tonic drops a handler when its client's deadline passes, and a pooled
//! connection that is dropped in the middle of something may be handed out inside an open transaction. So reads run
//! in tracked tasks that nobody can cancel, and are bounded by the server's own timeouts. Writes are not here: they
//! go through a [lane](crate::lane).

mod confirm;
mod watch;

pub use confirm::confirm;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::fault::{Fault, FaultContext};
use crate::metrics::Metrics;
use crate::settings::DatabaseSettings;
use crate::telemetry;
use watch::Watched;

/// How long a read waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many reads may wait or run. Abandoned ones count too, so short deadlines cannot pile up work.
const READS_MAX: usize = 1024;
/// A transaction that sits idle holds locks for nobody.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "5s";

/// A server process gives its memory back to the system after each statement, and takes it again page by page for the
/// next: 37 page faults a batch of holds, 5 % of what it costs the server. Once it has freed a block of some megabytes,
/// glibc's `malloc` keeps that much.
const KEEP_MEMORY: &str = "SELECT length(repeat('x', 4000000))";

/// The kit's own migrations, versions 1 to 999.
static KIT_MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Read-only access to the service's database. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Reads {
    pool: PgPool,
    tasks: TaskTracker,
    room: Arc<Semaphore>,
    limit: Duration,
    metrics: Metrics,
}

/// A pool of read-only connections, to the replica if there is one. Connects when first used.
///
/// # Errors
/// A URL that cannot be read.
pub fn pool(settings: &DatabaseSettings, tasks: TaskTracker, metrics: Metrics) -> Result<Reads, sqlx::Error> {
    let url = settings.read_url.as_deref().unwrap_or(&settings.url);
    let options = options(url, settings, "reads")?.options([("default_transaction_read_only", "on")]);
    let pool = PgPoolOptions::new()
        .max_connections(settings.read_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    let room = Arc::new(Semaphore::new(READS_MAX));
    watch::show(&pool, &room, &metrics);
    Ok(Reads { pool, tasks, room, limit: unanswered_max(settings), metrics })
}

/// A pool of read-only connections to the primary, whatever replica there is, for background tasks. Connects when
/// first used.
///
/// # Errors
/// A URL that cannot be read.
pub fn primary_pool(
    settings: &DatabaseSettings,
    name: &str,
    connections: u32,
) -> Result<PgPool, sqlx::Error> {
    let options = options(&settings.url, settings, name)?
        // A plan that was made while a table was empty must not scan it when it is full.
        .options([("default_transaction_read_only", "on"), ("enable_seqscan", "off")]);
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}

impl Reads {
    /// Runs a read to its end in a task of its own, even if the caller stops waiting.
    ///
    /// # Errors
    /// What `f` returns, as a fault of "`what`"; a full queue; a database that stopped answering; a panic inside.
    pub async fn run<T, F, Fut>(&self, what: &'static str, f: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(PgPool) -> Fut,
        Fut: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return Err(Fault::unavailable("too many reads wait")).context(what);
        };
        let watched = Watched::begin(&self.metrics, &self.pool, what);
        let read = f(self.pool.clone());
        let limit = self.limit;
        let task = telemetry::within(watched.scope(), async move {
            let read = tokio::time::timeout(limit, read).await;
            drop(room);
            let read = read.unwrap_or_else(|_| Err(Fault::unavailable("the database does not answer")));
            watched.end(&read);
            read
        });
        match self.tasks.spawn(task.in_current_span()).await {
            Ok(read) => read.context(what),
            Err(ended) => Err(Fault::internal(what, ended)),
        }
    }

    /// The pool itself, for code that no caller can cancel: background tasks and start-up. Handlers use [`Self::run`].
    #[must_use]
    pub fn uncancellable(&self) -> &PgPool {
        &self.pool
    }

    /// Closes every connection; later reads fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Opens a connection for a lane: writable, bounded by timeouts, with plans pinned.
///
/// Lanes run few statements very often on keyed rows. Generic plans save planning, and without the alternatives a
/// plan made while a table was empty cannot turn into a scan of the whole table later.
///
/// # Errors
/// The database cannot be reached or refuses.
pub async fn connect_lane(settings: &DatabaseSettings, name: &str) -> Result<PgConnection, sqlx::Error> {
    let options = options(&settings.url, settings, name)?.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_bitmapscan", "off"),
        // A scan of a table that is still tiny looks cheaper than a few lookups, until the table has grown.
        ("cpu_tuple_cost", "10"),
        ("cpu_index_tuple_cost", "10"),
    ]);
    let mut connection = options.connect().await?;
    sqlx::raw_sql(KEEP_MEMORY).execute(&mut connection).await?;
    Ok(connection)
}

/// Opens a connection that only looks: whether the database answers, whether its schema is current. Its own, so that
/// readiness does not depend on how busy the others are.
///
/// # Errors
/// The database cannot be reached in time, or refuses.
pub async fn connect_probe(settings: &DatabaseSettings) -> Result<PgConnection, sqlx::Error> {
    let options = options(&settings.url, settings, "probe")?;
    match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(connected) => connected,
        Err(_) => Err(timed_out()),
    }
}

/// How long a transaction or a read of a few statements may stay without an answer. The server ends each statement
/// much earlier; who waits longer talks to nobody, because the connection is half open.
pub(crate) fn unanswered_max(settings: &DatabaseSettings) -> Duration {
    Duration::from_millis(settings.statement_timeout_ms) * 4
}

/// Nobody answered.
pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

fn options(url: &str, settings: &DatabaseSettings, name: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.application_name(name).options([
        ("lock_timeout", format!("{}ms", settings.lock_timeout_ms).as_str()),
        ("statement_timeout", format!("{}ms", settings.statement_timeout_ms).as_str()),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
    ]))
}

/// The kit's migrations alone: inbox and outbox.
#[must_use]
pub fn kit_migrations() -> Migrator {
    migrator(&Migrator::DEFAULT)
}

/// The kit's migrations followed by the service's own.
#[must_use]
pub fn migrator(service: &Migrator) -> Migrator {
    let mut all = Migrator::with_migrations(KIT_MIGRATIONS.iter().chain(service.iter()).cloned().collect());
    // The schema may be one release ahead of this program while a rollout is under way.
    all.set_ignore_missing(true);
    all
}

/// Brings the schema up to date. Harmless when it is; replicas that start together wait for each other.
///
/// # Errors
/// The database cannot be reached, or a migration fails; then that migration has changed nothing.
pub async fn migrate(url: &str, migrator: &Migrator) -> Result<(), MigrateError> {
    let mut connection = url.parse::<PgConnectOptions>()?.application_name("migrate").connect().await?;
    // Not `run`: its future cannot be shown to be Send, so nothing that migrates could be spawned.
    migrator.run_direct(None, &mut connection, false).await
}

/// Whether every migration of `migrator` has been applied as it is written here.
///
/// # Errors
/// The database cannot be reached.
pub async fn schema_is_current(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<bool, sqlx::Error> {
    let query = "SELECT version, checksum FROM _sqlx_migrations WHERE success";
    let rows: Vec<(i64, Vec<u8>)> = match sqlx::query_as(query).fetch_all(connection).await {
        Ok(rows) => rows,
        Err(error) if is_undefined_table(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let applied: HashMap<i64, Vec<u8>> = rows.into_iter().collect();
    Ok(migrator.iter().all(|wanted| {
        applied.get(&wanted.version).is_some_and(|checksum| checksum.as_slice() == wanted.checksum.as_ref())
    }))
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("42P01")
}
