//! Calls between two processes, one of which is played a trick on.
//!
//! It knows no message but by descriptor: headers, bodies and trailers pass unchanged.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tower::{Service, ServiceExt};

use super::carried::Carried;
use super::wire::Wire;

/// No message of the mesh is larger.
const BODY_MAX: usize = 4 * 1024 * 1024;

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// What can be done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// It never arrives, and is never answered.
    DropRequest,
    /// It is done, and the answer never arrives.
    DropReply,
    /// The answer arrives so late.
    Delay(Duration),
    /// It arrives twice at the same time, on two connections.
    Twice,
    /// It arrives once more, so long after it was answered.
    Again(Duration),
    /// It is done, and the connection is cut instead of the answer.
    Reset,
}

/// A trick for the next call that carries something. Shared by all gates of a link.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    next: Arc<Mutex<Option<(String, Trick)>>>,
    played: Arc<AtomicU64>,
}

impl Plot {
    /// The next call that carries `name` is played `trick` on. Once.
    pub fn arm(&self, name: &str, trick: Trick) {
        *self.next() = Some((name.to_owned(), trick));
    }

    /// Whether the trick has not been played yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.next().is_some()
    }

    /// Gives up waiting. True if the trick had not been played.
    pub fn disarm(&self) -> bool {
        self.next().take().is_some()
    }

    /// How many tricks were played.
    #[must_use]
    pub fn played(&self) -> u64 {
        self.played.load(Ordering::Relaxed)
    }

    fn next(&self) -> std::sync::MutexGuard<'_, Option<(String, Trick)>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, names: &[String]) -> Option<Trick> {
        let mut next = self.next();
        let (_, trick) = next.take_if(|(wanted, _)| names.iter().any(|name| name == wanted))?;
        self.played.fetch_add(1, Ordering::Relaxed);
        Some(trick)
    }
}

/// A gate in front of one process. It ends with this value. Must be made inside a runtime.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Gate {
    /// A gate to `target`. `wires` is cut by [`Trick::Reset`]: what callers come through.
    ///
    /// # Errors
    /// No port can be had.
    pub fn to(
        target: SocketAddr,
        plot: Plot,
        carried: Carried,
        front: Arc<Mutex<Option<Wire>>>,
    ) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a gate")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let incoming = TcpIncoming::from(TcpListener::from_std(listener)?).with_nodelay(Some(true));
        let endpoint = Endpoint::from_shared(format!("http://{target}"))?.tcp_nodelay(true);
        let far = [endpoint.connect_lazy(), endpoint.connect_lazy()];
        let keeper = Keeper { far, plot, carried, front };
        let router = Server::builder().add_routes(Routes::from(Router::new().fallback_service(keeper)));
        let serving = tokio::spawn(async move {
            // A gate that cannot serve shows as a mesh that cannot be reached.
            let _ = router.serve_with_incoming(incoming).await;
        });
        Ok(Self { address, serving })
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[derive(Clone)]
struct Keeper {
    far: [Channel; 2],
    plot: Plot,
    carried: Carried,
    front: Arc<Mutex<Option<Wire>>>,
}

/// A call that can be made more than once.
#[derive(Clone)]
struct Call {
    parts: http::request::Parts,
    body: bytes::Bytes,
}

impl Call {
    async fn through(self, channel: Channel) -> Response {
        let request = http::Request::from_parts(self.parts, tonic::body::Body::new(Body::from(self.body)));
        match channel.oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(_) => Status::unavailable("the far side went away").into_http(),
        }
    }

    /// In a task of its own: a caller that gives up does not take it back.
    fn for_sure(self, channel: Channel) -> JoinHandle<Response> {
        tokio::spawn(self.through(channel))
    }
}

impl Keeper {
    async fn pass(self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, BODY_MAX).await else {
            return Status::cancelled("the caller went away").into_http();
        };
        let trick = self.plot.take(&self.carried.names(parts.uri.path(), &body));
        let call = Call { parts, body };
        let [first, second] = self.far.clone();
        match trick {
            None => call.through(first).await,
            Some(Trick::DropRequest) => std::future::pending().await,
            Some(Trick::DropReply) => {
                drop(call.for_sure(first));
                std::future::pending().await
            }
            Some(Trick::Delay(late)) => {
                let answer = call.for_sure(first).await;
                // The fault itself, not a way to synchronise.
                tokio::time::sleep(late).await;
                lost(answer)
            }
            Some(Trick::Twice) => {
                drop(call.clone().for_sure(second));
                call.through(first).await
            }
            Some(Trick::Again(later)) => {
                let again = call.clone();
                let answer = call.through(first).await;
                tokio::spawn(async move {
                    tokio::time::sleep(later).await;
                    again.through(second).await
                });
                answer
            }
            Some(Trick::Reset) => {
                drop(call.for_sure(first).await);
                if let Some(wire) = self.front.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                    wire.cut();
                }
                std::future::pending().await
            }
        }
    }
}

fn lost(answer: Result<Response, tokio::task::JoinError>) -> Response {
    answer.unwrap_or_else(|_| Status::unknown("a call was lost in the gate").into_http())
}

impl Service<Request> for Keeper {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let keeper = self.clone();
        Box::pin(async move { Ok(keeper.pass(request).await) })
    }
}
