//! Calls to other services of the mesh.
//!
//! A [`PeerChannel`] connects when first used and again whenever needed, to those processes of the other service that
//! there are, proves who calls, and passes the trace on.
//! It never retries: retries belong to the orchestrator. Deadlines are the caller's: set `grpc-timeout` on the
//! request and wrap the call in [`with_deadline`].

mod peers;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use brokerage_types::Reason;
use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::Service;

use crate::auth::rules;
use crate::auth::{SERVICE_NAME_HEADER, SERVICE_SECRET_HEADER};
use crate::fault::{self, Refusal};
use crate::metrics::{Metrics, OTHER_METHOD};
use crate::names::attribute;
use crate::settings::AuthSettings;
use crate::stack::Deadline;
use crate::telemetry::{self, Kind, Span};
use peers::{Answer, Dns, Peers, Rhythm};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How a call ended, to telemetry; other words come from the answer.
const GOOD: &str = "OK";
const OVER: &str = "DEADLINE_EXCEEDED";
const AWAY: &str = "UNAVAILABLE";
const GONE: &str = "CANCELLED";

/// Why a channel cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// No address.
    #[error("no URI in `{0}`")]
    Empty(String),
    /// An address that is none.
    #[error("`{0}` is not a URI such as http://host:50052")]
    Uri(String, #[source] tonic::transport::Error),
    /// A name or secret that cannot be sent.
    #[error("the service's name or secret cannot be sent as metadata")]
    Identity(#[from] http::header::InvalidHeaderValue),
}

/// A channel that says who calls; clones share its connections. Use it as `OrderParticipantClient<PeerChannel>`.
#[derive(Clone)]
pub struct PeerChannel {
    peers: Peers,
    /// What was configured: a name, not an address.
    target: Arc<str>,
    metrics: Metrics,
    identity: Arc<[(HeaderName, HeaderValue)]>,
}

impl fmt::Debug for PeerChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerChannel").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Prepares a channel to these URIs, separated by commas. Several share the load, and so do the addresses of a name,
/// which is looked up again and again; what cannot be reached is left out. Must be called inside a runtime.
///
/// # Errors
/// A list without a URI, or with something that is none.
pub fn connect(uris: &str, identity: &AuthSettings, metrics: &Metrics) -> Result<PeerChannel, ChannelError> {
    let peers = Peers::new(uris, Dns, Rhythm::USUAL)?;
    let name = HeaderValue::from_str(&identity.service_name)?;
    let mut secret = HeaderValue::from_str(&identity.service_secret)?;
    // Keeps it out of debug output and out of header compression tables.
    secret.set_sensitive(true);
    let identity = [
        (HeaderName::from_static(SERVICE_NAME_HEADER), name),
        (HeaderName::from_static(SERVICE_SECRET_HEADER), secret),
    ];
    let (target, metrics) = (uris.into(), metrics.clone());
    Ok(PeerChannel { peers, target, metrics, identity: identity.into() })
}

fn endpoint(uri: &str) -> Result<Endpoint, ChannelError> {
    let endpoint =
        Endpoint::from_shared(uri.to_owned()).map_err(|error| ChannelError::Uri(uri.to_owned(), error))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

impl Service<http::Request<Body>> for PeerChannel {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        for (name, value) in self.identity.iter() {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let mut watched = Watched::begin(self.metrics.clone(), request.uri().path(), request.headers());
        if watched.span.is_recorded() {
            let (host, port) = endpoint_of(&self.target);
            watched.span.set(attribute::SERVER_ADDRESS, host.to_owned());
            port.inspect(|port| watched.span.set(attribute::SERVER_PORT, *port));
        }
        let traceparent = match watched.span.scope_or_current() {
            Some(scope) => telemetry::header_of(scope.traceparent()),
            None => None,
        };
        if let Some(traceparent) = traceparent {
            request.headers_mut().entry(telemetry::TRACEPARENT).or_insert(traceparent);
        }
        let calling = self.peers.call(request);
        Box::pin(async move {
            let answered = calling.await;
            let status = match &answered {
                Ok(response) => fault::in_head(response.headers()).0,
                Err(_) if watched.is_over() => OVER,
                Err(_) => AWAY,
            };
            watched.end(status);
            answered
        })
    }
}

/// Host and port of the first of the URIs.
fn endpoint_of(uris: &str) -> (&str, Option<i64>) {
    let first = uris.split(',').next().unwrap_or_default().trim();
    let authority = first.split_once("://").map_or(first, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, None),
    }
}

/// One call to another service. If it is dropped, whoever called has stopped waiting.
struct Watched {
    metrics: Metrics,
    method: &'static str,
    begun: Instant,
    /// What the caller gave it.
    patience: Option<Duration>,
    span: Span,
    status: Option<&'static str>,
}

impl Watched {
    fn begin(metrics: Metrics, path: &str, headers: &http::HeaderMap) -> Self {
        let method = rules::method(path).unwrap_or(OTHER_METHOD);
        let mut span = telemetry::span(Kind::Client, || method.into());
        span.set(attribute::RPC_SYSTEM, "grpc");
        span.set(attribute::RPC_METHOD, method);
        let patience = Deadline::given(headers);
        Self { metrics, method, begun: Instant::now(), patience, span, status: None }
    }

    fn is_over(&self) -> bool {
        self.patience.is_some_and(|patience| self.begun.elapsed() >= patience)
    }

    fn end(mut self, status: &'static str) {
        self.status = Some(status);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let given_up = if self.is_over() { OVER } else { GONE };
        let status = self.status.unwrap_or(given_up);
        self.metrics.called(self.method, status, self.begun);
        self.span.set(attribute::RPC_STATUS, status);
        // To a caller every answer but a good one is an error.
        if status != GOOD {
            self.span.fail(status);
        }
    }
}

/// Waits for a call, no longer than `deadline`; then its outcome is unknown.
///
/// tonic reports its own timeouts as CANCELLED; this one is DEADLINE_EXCEEDED.
///
/// # Errors
/// The call's own status, or DEADLINE_EXCEEDED.
pub fn with_deadline<T>(
    call: impl Future<Output = Result<T, Status>>,
    deadline: Duration,
) -> impl Future<Output = Result<T, Status>> {
    // No `async fn`: that would keep the call, which may be large, twice.
    tokio::time::timeout(deadline, call).map(|answered| match answered {
        Ok(answer) => answer,
        Err(_) => {
            Err(Refusal::new(Reason::DeadlineExceeded, "no answer in time; the outcome is not known").into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[tokio::test]
    async fn a_channel_needs_addresses_and_no_peer() {
        let identity = Settings::dev().auth;
        let connect = |uris: &str, identity: &AuthSettings| connect(uris, identity, &Metrics::new().unwrap());
        assert!(connect("http://127.0.0.1:1", &identity).is_ok());
        assert!(connect("http://a:1, http://b:2", &identity).is_ok());
        assert!(matches!(connect(" , ", &identity), Err(ChannelError::Empty(_))));
        assert!(matches!(connect("http://a b", &identity), Err(ChannelError::Uri(..))));
        let channel = connect("http://127.0.0.1:1", &identity).unwrap();
        assert!(!format!("{channel:?}").contains("dev-service-secret"));
    }

    #[tokio::test]
    async fn a_silent_peer_is_deadline_exceeded() {
        let silent = std::future::pending::<Result<(), Status>>();
        let status = with_deadline(silent, Duration::ZERO).await.unwrap_err();
        assert_eq!(crate::fault::reason_of(&status), Some(Reason::DeadlineExceeded));
    }
}
