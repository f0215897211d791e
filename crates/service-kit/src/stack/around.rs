//! Layers as plain async functions around the rest of the stack.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tower::{Layer, Service};

/// A call as it comes in.
pub type Request = http::Request<Body>;
/// Its answer.
pub type Response = http::Response<Body>;

/// The rest of the stack, for one call.
pub trait Next: Send {
    /// Goes on.
    fn run(self, request: Request) -> impl Future<Output = Response> + Send;
}

/// Something that happens around each call.
pub trait Around: Clone + Send + Sync + 'static {
    /// Handles one call, by `next` or without.
    fn around<N: Next + 'static>(self, request: Request, next: N) -> impl Future<Output = Response> + Send;
}

/// Makes a tower layer of an [`Around`].
#[derive(Debug, Clone)]
pub struct AroundLayer<A>(pub A);

impl<A: Around, S> Layer<S> for AroundLayer<A> {
    type Service = AroundService<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AroundService { around: self.0.clone(), inner }
    }
}

/// The service that [`AroundLayer`] makes.
#[derive(Debug, Clone)]
pub struct AroundService<A, S> {
    around: A,
    inner: S,
}

/// A service that is ready for one call.
struct Ready<S>(S);

impl<S> Next for Ready<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send,
    S::Future: Send,
{
    async fn run(mut self, request: Request) -> Response {
        match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl<A, S> Service<Request> for AroundService<A, S>
where
    A: Around,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that was polled ready takes the call; its clone waits for the next one.
        let clone = self.inner.clone();
        let ready = Ready(std::mem::replace(&mut self.inner, clone));
        let around = self.around.clone();
        Box::pin(async move { Ok(around.around(request, ready).await) })
    }
}
