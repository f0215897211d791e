//! The small layers: request id, trace, metrics, panics, shedding, explanations.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use brokerage_types::Reason;
use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use super::{Around, Next, Request, Response};
use crate::auth::rules::{self, Access};
use crate::fault::{self, Refusal};
use crate::metrics::{Metrics, OTHER_METHOD};
use crate::names::attribute;
use crate::telemetry::{self, Kind, Span, TraceParent, Tracer};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_LENGTH_MAX: usize = 64;

/// The method as a label: a constant, so that strangers cannot invent labels.
fn method(request: &Request) -> &'static str {
    rules::method(request.uri().path()).unwrap_or(OTHER_METHOD)
}

/// Health and reflection: they must answer under overload too, and are not worth a span.
fn is_open(request: &Request) -> bool {
    matches!(rules::rule(request.uri().path()), Some((_, Access::Open)))
}

/// The id of this call in logs and in the answer's `x-request-id`; in the extensions of every request. Not an
/// idempotency key: that is the `request_id` of a message.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// Keeps the caller's `x-request-id`, or makes one.
#[derive(Debug, Clone, Copy)]
pub struct Identify;

impl Around for Identify {
    async fn around<N: Next>(self, mut request: Request, next: N) -> Response {
        let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
        let id: Arc<str> = match given.filter(|id| is_request_id(id)) {
            Some(id) => id.into(),
            None => Uuid::now_v7().to_string().into(),
        };
        let value = HeaderValue::from_str(&id);
        request.extensions_mut().insert(RequestId(id));
        let mut response = next.run(request).await;
        if let Ok(value) = value {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

fn is_request_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(allowed)
}

/// Continues the caller's trace, or begins one. Health and reflection are asked all the time and are in no trace.
#[derive(Debug, Clone)]
pub struct Trace(pub Tracer);

impl Around for Trace {
    async fn around<N: Next>(self, request: Request, next: N) -> Response {
        if is_open(&request) {
            return next.run(request).await;
        }
        let given = request.headers().get(telemetry::TRACEPARENT).and_then(|value| value.to_str().ok());
        let root = self.0.enter(given.and_then(TraceParent::parse));
        let method = method(&request);
        let request_id = request.extensions().get::<RequestId>().map_or("", |id| id.0.as_ref());
        let fields = tracing::info_span!("rpc", rpc.method = method, request_id);
        let mut span = root.span(Kind::Server, || method.into());
        if span.is_recorded() {
            span.set(attribute::RPC_SYSTEM, "grpc");
            span.set(attribute::RPC_METHOD, method);
            span.set(attribute::REQUEST_ID, request_id.to_owned());
            // Until there is an answer; a caller that hangs up ends the span here.
            span.set(attribute::RPC_STATUS, "CANCELLED");
        }
        let response = span.scope(&root).within(next.run(request)).instrument(fields).await;
        if span.is_recorded() {
            answered(&mut span, &response);
        }
        response
    }
}

/// Of a server's answers only those are errors that are its own fault.
fn answered(span: &mut Span, response: &Response) {
    let (status, is_ours) = fault::in_head(response.headers());
    span.set(attribute::RPC_STATUS, status);
    if is_ours {
        span.fail(status);
    }
}

/// Counts and times each call.
#[derive(Debug, Clone)]
pub struct Measure(pub Metrics);

impl Around for Measure {
    async fn around<N: Next>(self, request: Request, next: N) -> Response {
        let method = method(&request);
        let call = self.0.begin(method);
        let response = next.run(request).await;
        // A good answer's status comes behind its body; there is none in the head.
        let status = Status::from_header_map(response.headers());
        let name = status.as_ref().map_or("OK", |status| fault::code_name(status.code()));
        if let Some(status) = status {
            tracing::debug!(method, status = name, "{method} answered {name}: {}", status.message());
        }
        call.end(name);
        response
    }
}

/// Answers INTERNAL when a handler panics.
#[derive(Debug, Clone, Copy)]
pub struct NoPanic;

impl Around for NoPanic {
    async fn around<N: Next>(self, request: Request, next: N) -> Response {
        let method = method(&request);
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?");
                tracing::error!(method, "{method} panicked: {text}");
                Status::from(Refusal::new(Reason::InternalFault, "internal error")).into_http()
            }
        }
    }
}

/// Refuses at once what is more than the listener can take.
#[derive(Debug, Clone)]
pub struct Shed(pub Arc<Semaphore>);

impl Around for Shed {
    async fn around<N: Next>(self, request: Request, next: N) -> Response {
        if is_open(&request) {
            return next.run(request).await;
        }
        let Ok(_room) = self.0.try_acquire_owned() else {
            return Status::from(Refusal::new(Reason::Overloaded, "too many calls at once, try later"))
                .into_http();
        };
        next.run(request).await
    }
}

/// Gives a reason to what tonic answers by itself: oversized and unreadable messages, unknown methods.
#[derive(Debug, Clone, Copy)]
pub struct Explain;

impl Around for Explain {
    async fn around<N: Next>(self, request: Request, next: N) -> Response {
        let response = next.run(request).await;
        let explained = Status::from_header_map(response.headers()).as_ref().and_then(fault::explained);
        explained.map_or(response, |status| status.into_http())
    }
}
