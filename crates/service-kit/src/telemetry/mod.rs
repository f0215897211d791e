//! Logs and traces.
//!
//! The W3C `traceparent` of a call is known even when no traces are exported, so that logs, outbox rows and peers
//! can be joined by it. Spans leave by OTLP only if an endpoint is set; a collector that is away slows nobody. Names are
//! in [`crate::names`]. `tracing` carries log lines only: spans are made by a [`Scope`], because most are not recorded
//! and must cost nothing, and because several services may live in one process.

mod export;
mod logs;
mod push;
mod span;
mod traceparent;
mod tracer;

pub use logs::init;
pub use span::{Kind, Scope, Span, Value, span, within};
pub use traceparent::TraceParent;
pub use tracer::Tracer;

/// The metadata key of the trace context.
pub const TRACEPARENT: &str = "traceparent";

/// A trace context as it is sent along.
#[must_use]
pub(crate) fn header_of(at: TraceParent) -> Option<http::HeaderValue> {
    http::HeaderValue::from_bytes(&at.bytes()).ok()
}

/// The trace context of what is being done now, to be stored.
#[must_use]
pub fn current_traceparent() -> Option<TraceParent> {
    Scope::peek(Scope::traceparent)
}
