//! A collector for tests: takes spans and metrics by OTLP, and shows a trace as a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use service_kit::names::{attribute, link};
use service_kit::telemetry::TraceParent;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::wait::until;

/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(25);

/// A running collector. It ends with this value.
pub struct Collector {
    /// Where it listens, as services are told.
    pub endpoint: String,
    taken: Taken,
    _stop: DropGuard,
}

#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Everything>>);

#[derive(Default)]
struct Everything {
    spans: Vec<Seen>,
    metrics: BTreeSet<(String, String)>,
    words: String,
}

/// A span, and who sent it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who sent it.
    pub service: String,
    /// The span.
    pub span: Span,
}

impl Collector {
    /// On a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (taken, stop) = (Taken::default(), CancellationToken::new());
        let server = Server::builder()
            .add_service(TraceServiceServer::new(taken.clone()))
            .add_service(MetricsServiceServer::new(taken.clone()));
        let stopped = stop.clone();
        tokio::spawn(async move {
            server
                .serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped.cancelled())
                .await
                .unwrap();
        });
        Self { endpoint, taken, _stop: stop.drop_guard() }
    }

    /// The spans of one trace, in the order of their beginnings.
    #[must_use]
    pub fn spans(&self, trace: TraceParent) -> Vec<Seen> {
        let mut spans = self.everything(|all| all.spans.clone());
        spans.retain(|seen| hex(&seen.span.trace_id) == trace.trace_id());
        spans.sort_by_key(|seen| seen.span.start_time_unix_nano);
        spans
    }

    /// Every span of every trace.
    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        self.everything(|all| all.spans.clone())
    }

    /// Who has sent which metrics.
    #[must_use]
    pub fn metrics(&self) -> BTreeSet<(String, String)> {
        self.everything(|all| all.metrics.clone())
    }

    /// Everything that was ever sent, for looking for what must not be there.
    #[must_use]
    pub fn words(&self) -> String {
        self.everything(|all| all.words.clone())
    }

    /// Waits until a trace looks like this. A story is easier to read than forty assertions; see [`tree`].
    pub async fn shows(&self, trace: TraceParent, expected: &str) {
        let mut seen = String::new();
        let looking = until("the trace is whole", async || {
            seen = tree(&self.spans(trace));
            (seen == expected).then_some(())
        });
        // Gives up before `until` does: what was seen says more than that it was not enough.
        let _ = tokio::time::timeout(PATIENCE, looking).await;
        assert_eq!(seen, expected, "\n{seen}");
    }

    fn everything<T>(&self, look: impl FnOnce(&Everything) -> T) -> T {
        look(&self.taken.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A trace as text: a line for each span, below its parent, siblings by name. Left out are the writes of the saga's trail,
/// which come when they come, and reads of terms, which are kept for a while.
#[must_use]
pub fn tree(spans: &[Seen]) -> String {
    let ids: BTreeSet<&[u8]> = spans.iter().map(|seen| seen.span.span_id.as_slice()).collect();
    let mut below: BTreeMap<&[u8], Vec<&Seen>> = BTreeMap::new();
    let mut roots = Vec::new();
    for seen in spans {
        let parent = seen.span.parent_span_id.as_slice();
        if ids.contains(parent) { below.entry(parent).or_default().push(seen) } else { roots.push(seen) }
    }
    let mut text = String::new();
    draw(&roots, &below, 0, &mut text);
    text
}

fn draw<'a>(spans: &[&'a Seen], below: &BTreeMap<&[u8], Vec<&'a Seen>>, depth: usize, text: &mut String) {
    let mut lines: Vec<(String, &Seen)> = spans.iter().map(|seen| (line(seen), *seen)).collect();
    lines.retain(|(line, _)| !line.contains("transaction trail") && !line.contains("Terms"));
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    for (line, seen) in lines {
        writeln!(text, "{:width$}{line}", "", width = depth * 2).unwrap();
        if let Some(children) = below.get(seen.span.span_id.as_slice()) {
            draw(children, below, depth + 1, text);
        }
    }
}

fn line(seen: &Seen) -> String {
    let span = &seen.span;
    let name = span
        .name
        .strip_prefix("brokerage.")
        .map_or(span.name.as_str(), |name| name.split_once(".v1.").map_or(name, |(_, name)| name));
    let what = match (span.kind(), span.name.contains('/')) {
        (SpanKind::Client, true) => "call ",
        (SpanKind::Server, _) => "serve ",
        _ => "",
    };
    let mut line = format!("{}: {what}{name}", seen.service);
    for key in [attribute::RPC_STATUS, attribute::SAGA_OUTCOME, attribute::VERDICT, attribute::REASON] {
        if let Some(word) = text_of(&span.attributes, key) {
            write!(line, " {word}").unwrap();
        }
    }
    for event in &span.events {
        write!(line, " !{}", event.name).unwrap();
    }
    if links(span, link::ADOPTED).next().is_some() {
        line.push_str(" adopted");
    }
    line
}

/// Where a span points to for this reason: trace and span, in hexadecimal digits.
pub fn links<'a>(span: &'a Span, why: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    span.links
        .iter()
        .filter(move |link| text_of(&link.attributes, attribute::LINK).as_deref() == Some(why))
        .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
}

/// An attribute as text.
#[must_use]
pub fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(flag) => Some(flag.to_string()),
        _other => None,
    }
}

/// As traces and spans are named elsewhere.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn service(attributes: &[KeyValue]) -> String {
    text_of(attributes, "service.name").unwrap_or_default()
}

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<trace::ExportTraceServiceRequest>,
    ) -> Result<Response<trace::ExportTraceServiceResponse>, Status> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource_spans in request.into_inner().resource_spans {
            write!(all.words, "{resource_spans:?}").unwrap();
            let service = service(&resource_spans.resource.unwrap_or_default().attributes);
            for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                all.spans.push(Seen { service: service.clone(), span });
            }
        }
        Ok(Response::new(trace::ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Taken {
    async fn export(
        &self,
        request: Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<metrics::ExportMetricsServiceResponse>, Status> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource_metrics in request.into_inner().resource_metrics {
            write!(all.words, "{resource_metrics:?}").unwrap();
            let service = service(&resource_metrics.resource.unwrap_or_default().attributes);
            for metric in resource_metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                all.metrics.insert((service.clone(), metric.name));
            }
        }
        Ok(Response::new(metrics::ExportMetricsServiceResponse::default()))
    }
}
