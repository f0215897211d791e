//! Logs and traces.
//!
//! The W3C `traceparent` of a call is known even when no traces are exported, so that logs, outbox rows and peers
//! can be joined by it. Traces leave by OTLP only if an endpoint is set; a collector that is away slows nobody.

use std::fmt;
use std::sync::OnceLock;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::{LogFormat, TelemetrySettings};

/// The metadata key of the trace context.
pub const TRACEPARENT: &str = "traceparent";

static PROVIDER: OnceLock<Option<SdkTracerProvider>> = OnceLock::new();

tokio::task_local! {
    static CURRENT: Option<String>;
}

/// Starts logging, once per process: later calls change nothing, so tests and meshes in one process may all call it.
pub fn init(settings: &TelemetrySettings, service: &str) {
    PROVIDER.get_or_init(|| {
        let filter = EnvFilter::try_new(&settings.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let format = match settings.format {
            LogFormat::Json => tracing_subscriber::fmt::layer().json().flatten_event(true).boxed(),
            LogFormat::Pretty => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).boxed(),
        };
        let provider = settings.otlp_endpoint.as_deref().and_then(|endpoint| provider(endpoint, service));
        let traces = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(provider.tracer("brokerage")).with_filter(
                tracing_subscriber::filter::filter_fn(|event| {
                    // What carries the traces must not be traced.
                    !["h2", "hyper", "tonic", "tower", "opentelemetry"]
                        .iter()
                        .any(|crate_name| event.target().starts_with(crate_name))
                }),
            )
        });
        // Somebody else's subscriber stays: it was here first.
        let _ = tracing_subscriber::registry().with(traces).with(format.with_filter(filter)).try_init();
        provider
    });
}

/// Sends what is left to the collector. Call before the process ends, inside the runtime.
pub async fn flush() {
    let Some(provider) = PROVIDER.get().cloned().flatten() else { return };
    // Blocks until the exporter is done, which needs this runtime to go on.
    let flushed = tokio::task::spawn_blocking(move || provider.shutdown()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        tracing::warn!("some traces did not reach the collector");
    }
}

fn provider(endpoint: &str, service: &str) -> Option<SdkTracerProvider> {
    let exporter =
        match opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build() {
            Ok(exporter) => exporter,
            Err(error) => {
                eprintln!("traces are off: {error}");
                return None;
            }
        };
    let resource = Resource::builder().with_service_name(service.to_owned()).build();
    Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The trace context of what is being done now, to be sent along or stored.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let exported = context.span().span_context().clone();
    if exported.is_valid() {
        return Some(TraceParent::from_context(&exported).to_string());
    }
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Whether what is being done now belongs to a trace that is exported.
#[must_use]
pub fn is_exported() -> bool {
    Span::current().context().span().span_context().is_valid()
}

/// Does something in this trace context. For tasks: a spawned task begins without one.
pub async fn with_traceparent<F: Future>(traceparent: Option<String>, doing: F) -> F::Output {
    CURRENT.scope(traceparent, doing).await
}

/// Makes `span` a child of `trace`, if traces are exported.
pub fn set_parent(span: &Span, trace: &TraceParent) {
    let parent = SpanContext::new(
        TraceId::from_bytes(trace.trace.to_be_bytes()),
        SpanId::from_bytes(trace.span.to_be_bytes()),
        TraceFlags::new(trace.flags),
        true,
        TraceState::default(),
    );
    // Fails only when nothing is exported.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
}

/// A W3C trace context, version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceParent {
    /// Reads `00-{trace}-{span}-{flags}`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version.len(), trace.len(), span.len(), flags.len()];
        let digits = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if version != "00" || parts.next().is_some() || lengths != [2, 32, 16, 2] || !text.bytes().all(digits)
        {
            return None;
        }
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }

    /// The beginning of a new trace.
    #[must_use]
    pub fn random() -> Self {
        Self { trace: fastrand::u128(1..), span: fastrand::u64(1..), flags: 1 }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: fastrand::u64(1..), ..self }
    }

    /// The trace's id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    fn from_context(context: &SpanContext) -> Self {
        Self {
            trace: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_and_nonsense_does_not() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = TraceParent::parse(good).unwrap();
        assert_eq!(parent.to_string(), good);
        assert_eq!(parent.child().trace_id(), "0af7651916cd43dd8448eb211c80319c");
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_collector_that_is_away_harms_nobody() {
        let settings = TelemetrySettings {
            log: "off".to_owned(),
            format: LogFormat::Json,
            otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        };
        init(&settings, "test-svc");
        init(&settings, "test-svc");
        let parent = TraceParent::random();
        let span = tracing::info_span!("rpc");
        set_parent(&span, &parent);
        let seen = span.in_scope(current_traceparent).expect("a trace");
        assert_eq!(TraceParent::parse(&seen).expect("valid").trace_id(), parent.trace_id());
        drop(span);
        flush().await;
    }

    #[tokio::test]
    async fn what_is_done_in_a_trace_knows_it() {
        assert_eq!(current_traceparent(), None);
        let seen = with_traceparent(Some("here".to_owned()), async { current_traceparent() }).await;
        assert_eq!(seen.as_deref(), Some("here"));
    }
}
