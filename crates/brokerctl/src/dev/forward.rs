//! Passes a call on to one of the processes that own its service. Streams pass as they come.
//!
//! It knows no message: headers, body and trailers pass unchanged, so refusals arrive as the service wrote them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use brokerage_types::Reason;
use service_kit::fault::Refusal;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt};

/// How much earlier than the caller's deadline we answer, so that our answer wins over tonic's CANCELLED.
const SLACK: Duration = Duration::from_millis(2);

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// A service accepts a bounded number of calls on one connection, so each process gets several.
const CONNECTIONS: usize = 4;

/// One process of a service.
#[derive(Clone)]
pub struct Member {
    channels: Vec<Channel>,
    up: Arc<AtomicBool>,
}

impl Member {
    /// A process that listens at `address`; `up` says whether it may be sent calls, and may change at any time.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(address: &str, up: Arc<AtomicBool>) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(address.to_owned())?.tcp_nodelay(true);
        Ok(Self { channels: (0..CONNECTIONS).map(|_| endpoint.connect_lazy()).collect(), up })
    }
}

/// All processes of a service. Cheap to clone.
#[derive(Clone)]
pub struct Forward {
    members: Arc<[Member]>,
    next: Arc<AtomicUsize>,
}

impl Forward {
    /// Calls go to the members in turn, to those that are up.
    #[must_use]
    pub fn new(members: Vec<Member>) -> Self {
        Self { members: members.into(), next: Arc::new(AtomicUsize::new(0)) }
    }

    fn pick(&self) -> Option<Channel> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.members.len();
        let mut in_turn = (0..count).map(|step| &self.members[(turn + step) % count]);
        let member = in_turn.find(|member| member.up.load(Ordering::Relaxed))?;
        member.channels.get(turn / count % CONNECTIONS).cloned()
    }

    async fn pass_on(self, request: Request) -> Result<Response, Refusal> {
        let path = request.uri().path().to_owned();
        let Some(channel) = self.pick() else {
            let message = "no process of this service is up; try again";
            return Err(Refusal::new(Reason::ParticipantUnavailable, message).with("method", path));
        };
        match channel.oneshot(request.map(tonic::body::Body::new)).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(error) => {
                tracing::debug!(%error, path, "a call could not be passed on: {path}");
                let message =
                    "the service went away; the outcome is not known, try again with the same request id";
                Err(Refusal::new(Reason::ParticipantUnavailable, message).with("method", path))
            }
        }
    }
}

impl Service<Request> for Forward {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let forward = self.clone();
        let deadline = deadline_of(&request);
        // Ours bounds the call: the channel would read the header too, and answer with an error of its own.
        if let Some(deadline) = deadline {
            request.headers_mut().remove(GRPC_TIMEOUT);
            if let Ok(value) = format!("{}u", deadline.as_micros().min(99_999_999)).parse() {
                request.headers_mut().insert(GRPC_TIMEOUT, value);
            }
        }
        Box::pin(async move {
            let passed = forward.pass_on(request);
            let outcome = match deadline {
                Some(deadline) => {
                    tokio::time::timeout(deadline, passed).await.unwrap_or_else(|_| Err(too_late()))
                }
                None => passed.await,
            };
            Ok(outcome.unwrap_or_else(|refusal| Status::from(refusal).into_http()))
        })
    }
}

const GRPC_TIMEOUT: &str = "grpc-timeout";

fn too_late() -> Refusal {
    Refusal::new(Reason::DeadlineExceeded, "the deadline has passed; the outcome is not known")
}

/// What is left of the caller's deadline, less the slack. `None`: it brought none that can be read.
fn deadline_of(request: &Request) -> Option<Duration> {
    let text = request.headers().get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    let asked = match unit {
        "H" => Duration::from_secs(count.saturating_mul(3600)),
        "M" => Duration::from_secs(count.saturating_mul(60)),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    };
    Some(asked - SLACK.min(asked / 2))
}
