//! Serving, from a current schema to the last answer.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::{BootError, Kit, Listeners, Routes, Service};
use crate::auth::Authenticator;
use crate::health::Health;
use crate::settings::Settings;
use crate::{database, fault, months, ops, reflection, shutdown, stack};

/// Streams at the same time on one connection.
const STREAMS_MAX: u32 = 256;
/// Streams that a client may reset before they were accepted. More are an attack.
const PENDING_RESETS_MAX: usize = 32;
/// Resets that a client may provoke by broken frames. More are an attack.
const ERROR_RESETS_MAX: usize = 128;
/// All headers of one call.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections end between these ages, so that load spreads again after a rollout, and not all at once.
const CONNECTION_AGE_SECONDS: std::ops::Range<u64> = 300..600;

/// Serves until `shutdown`, then drains and returns.
///
/// Brings the schema up to date first if the settings say so; otherwise refuses one that is behind. A database that
/// cannot be reached at all is waited for: the service lives, and is not ready.
///
/// # Errors
/// Why the service could not start, or ended badly.
pub async fn run_until<S: Service>(
    settings: Settings,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), BootError> {
    let kit = Kit::new(with_name(settings, S::NAME))?;
    let ended = serve::<S>(&kit, listeners, shutdown).await;
    // Whatever happened: loops end, lanes empty their queues, and only then the pool closes.
    kit.shutdown.cancel();
    shutdown::finish_tasks(&kit.tasks).await;
    shutdown::finish_reads(&kit.reads).await;
    kit.tracer.finish().await;
    tracing::info!("{} has ended", S::NAME);
    ended
}

/// A service that has no other name calls itself by its own.
fn with_name(mut settings: Settings, name: &str) -> Settings {
    if settings.auth.service_name.is_empty() {
        name.clone_into(&mut settings.auth.service_name);
    }
    settings
}

async fn serve<S: Service>(
    kit: &Kit,
    listeners: Listeners,
    asked: CancellationToken,
) -> Result<(), BootError> {
    let addresses = listeners.addresses()?;
    // A database that is mute says neither yes nor no. What is cut here has a connection of its own, which ends with it.
    let routes = tokio::select! {
        () = asked.cancelled() => return Ok(()),
        routes = start::<S>(kit) => routes?,
    };
    let names = [routes.public_descriptors.as_slice(), &routes.internal_descriptors].concat();
    let health = Health::new(&names).await;
    show(kit, S::NAME, &health);
    let users = Authenticator::users(&kit.settings.auth, kit.clock.clone());
    let services = Authenticator::services(&kit.settings.auth, kit.clock.clone());
    let stop = kit.shutdown.clone();

    let public = grpc(kit, &health, users, (routes.public, &routes.public_descriptors))?;
    let internal = grpc(kit, &health, services, (routes.internal, &routes.internal_descriptors))?;
    let ops = axum::serve(listeners.ops, ops::routes(kit.metrics.clone(), health.clone()))
        .with_graceful_shutdown(stop.clone().cancelled_owned());

    let migrator = database::migrator(&S::migrations());
    let ending = either(&asked, &stop);
    kit.tasks.spawn(health.clone().follow(kit.settings.database.clone(), migrator, ending.clone()));
    kit.tasks.spawn(shutdown::announce(ending, kit.settings.drain.clone(), health, stop.clone()));
    tracing::info!(
        public = %addresses.public, internal = %addresses.internal, ops = %addresses.ops,
        "{} serves on {}", S::NAME, addresses.public
    );
    let servers = async {
        tokio::try_join!(
            async {
                let served =
                    public.serve_with_incoming_shutdown(incoming(listeners.public), stop.cancelled());
                served.await.map_err(BootError::from)
            },
            async {
                let served =
                    internal.serve_with_incoming_shutdown(incoming(listeners.internal), stop.cancelled());
                served.await.map_err(BootError::from)
            },
            async { ops.await.map_err(BootError::from) },
        )
        .map(|((), (), ())| ())
    };
    shutdown::finish(servers, &kit.settings.drain, &stop).await
}

/// A token that is cancelled when one of these is.
fn either(asked: &CancellationToken, stop: &CancellationToken) -> CancellationToken {
    let (token, asked, stop) = (CancellationToken::new(), asked.clone(), stop.clone());
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = asked.cancelled() => {}
            () = stop.cancelled() => {}
        }
        cancelled.cancel();
    });
    token
}

/// Shows who this is, and whether it is ready.
fn show(kit: &Kit, service: &str, health: &Health) {
    let metrics = &kit.metrics.kit;
    metrics.build_info.with_label_values(&[service, env!("CARGO_PKG_VERSION")]).set(1);
    let no_labels: &[&str] = &[];
    let (ready, health) = (metrics.ready.with_label_values(no_labels), health.clone());
    kit.metrics.looks_at(move || ready.set(health.is_ready().into()));
}

async fn start<S: Service>(kit: &Kit) -> Result<Routes, BootError> {
    prepare_schema::<S>(kit).await?;
    kit.tasks.spawn(months::keep(kit.clone(), "inbox", kit.settings.retention.inbox_days));
    S::build(kit.clone()).await
}

async fn prepare_schema<S: Service>(kit: &Kit) -> Result<(), BootError> {
    let migrator = database::migrator(&S::migrations());
    if kit.settings.database.migrate_on_start {
        return Ok(database::migrate(&kit.settings.database.url, &migrator).await?);
    }
    let seen = async {
        let mut connection = database::connect_probe(&kit.settings.database).await?;
        database::schema_is_current(&mut connection, &migrator).await
    };
    match seen.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(BootError::SchemaBehind(S::NAME)),
        Err(error) if fault::is_transient(&error) => {
            tracing::warn!(%error, "the database does not answer yet; starting without it, not ready");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

type Router = tonic::transport::server::Router<
    tower::layer::util::Stack<tower::ServiceBuilder<stack::Layers>, tower::layer::util::Identity>,
>;

/// One gRPC listener: the service's routes, health and reflection, behind the stack.
fn grpc(
    kit: &Kit,
    health: &Health,
    authenticator: Authenticator,
    (routes, served): (tonic::service::Routes, &[&'static str]),
) -> Result<Router, BootError> {
    let routes = reflection::add(routes.add_service(health.server()), served)?.prepare();
    let told = (kit.metrics.clone(), kit.tracer.clone());
    let stack = stack::stack(&kit.settings.limits, told, authenticator, served);
    Ok(Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(ERROR_RESETS_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        // Without a grace: tonic would then cut the connection instead of saying GOAWAY.
        .max_connection_age(Duration::from_secs(fastrand::u64(CONNECTION_AGE_SECONDS)))
        .layer(stack)
        .add_routes(routes))
}

fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}
