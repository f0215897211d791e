//! Spans and metrics leave by OTLP, from a thread of their own.
//!
//! A send that fails or hangs is given up after a while and its spans are counted as failed; meanwhile the queue fills,
//! and nobody waits. The log says once that the collector is away, and once that it is back. Why not the exporter of the
//! SDK: it drops without a number, logs each failure, and shares the runtime that the calls run on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as wire, ResourceSpans, ScopeSpans, span, status};
use prometheus::IntCounter;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use super::push;
use super::span::{Happened, Kind, Record, Value};
use super::traceparent::TraceParent;
use crate::metrics::Metrics;
use crate::names::attribute;

/// How many spans one request takes at most.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for company, at most.
const LINGER: Duration = Duration::from_millis(500);
/// How long one request may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const SCOPE: &str = "brokerage";

/// What is handed over.
pub(super) enum Parcel {
    Span(Box<Record>),
    /// Tells when everything before it has been sent, or given up.
    Flush(oneshot::Sender<()>),
}

/// What the thread works with.
pub(super) struct Exporter {
    pub endpoint: String,
    pub resource: Resource,
    pub metrics: Metrics,
    /// Between two pushes of the metrics.
    pub interval: Duration,
    pub sent: IntCounter,
    pub failed: IntCounter,
}

/// Starts the thread. It ends with the last tracer.
pub(super) fn start(exporter: Exporter, waiting: mpsc::Receiver<Parcel>) -> Result<(), StartError> {
    let endpoint = Endpoint::from_shared(exporter.endpoint.clone())?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(SEND_TIMEOUT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
        runtime.block_on(async {
            let channel = endpoint.connect_lazy();
            Sender { exporter, channel, is_away: false }.run(waiting).await;
        });
    })?;
    Ok(())
}

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("the collector's address is none: {0}")]
    Endpoint(#[from] tonic::transport::Error),
    #[error("no thread for it: {0}")]
    Thread(#[from] std::io::Error),
}

struct Sender {
    exporter: Exporter,
    channel: Channel,
    is_away: bool,
}

impl Sender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Parcel>) {
        let mut spans: Vec<Record> = Vec::with_capacity(BATCH_SPANS_MAX);
        let mut push =
            tokio::time::interval_at(Instant::now() + self.exporter.interval, self.exporter.interval);
        push.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flush = tokio::time::interval(LINGER);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                parcel = waiting.recv() => match parcel {
                    Some(Parcel::Span(record)) => {
                        spans.push(*record);
                        if spans.len() >= BATCH_SPANS_MAX {
                            self.send_spans(&mut spans).await;
                        }
                    }
                    Some(Parcel::Flush(tell)) => {
                        self.send_spans(&mut spans).await;
                        self.send_metrics().await;
                        // Whoever asked may have stopped waiting.
                        let _ = tell.send(());
                    }
                    None => return self.send_spans(&mut spans).await,
                },
                _ = flush.tick() => self.send_spans(&mut spans).await,
                _ = push.tick() => self.send_metrics().await,
            }
        }
    }

    async fn send_spans(&mut self, spans: &mut Vec<Record>) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len() as u64;
        let scope_spans = ScopeSpans {
            scope: Some(scope()),
            spans: spans.drain(..).map(encode).collect(),
            schema_url: String::new(),
        };
        let resource_spans = ResourceSpans {
            resource: Some(self.exporter.resource.clone()),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
        let mut client = TraceServiceClient::new(self.channel.clone());
        let sent = tokio::time::timeout(SEND_TIMEOUT, client.export(request)).await;
        let is_sent = matches!(sent, Ok(Ok(_)));
        let counter = if is_sent { &self.exporter.sent } else { &self.exporter.failed };
        counter.inc_by(count);
        self.tell(is_sent);
    }

    async fn send_metrics(&mut self) {
        let resource_metrics = push::encode(&self.exporter.metrics, &self.exporter.resource, scope());
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        let mut client = MetricsServiceClient::new(self.channel.clone());
        let sent = tokio::time::timeout(SEND_TIMEOUT, client.export(request)).await;
        self.tell(matches!(sent, Ok(Ok(_))));
    }

    /// Says when it changes whether the collector answers.
    fn tell(&mut self, is_there: bool) {
        if std::mem::replace(&mut self.is_away, !is_there) == is_there {
            let endpoint = &self.exporter.endpoint;
            if is_there {
                tracing::info!("the collector at {endpoint} takes telemetry again");
            } else {
                tracing::warn!(
                    "the collector at {endpoint} does not take telemetry; it is lost until it does"
                );
            }
        }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Which process it is. `OTEL_RESOURCE_ATTRIBUTES` (`key=value,…`) adds what only the platform knows, such as the pod.
pub(super) fn resource(service: &str) -> Resource {
    let instance = Uuid::new_v4().to_string();
    let mut attributes = vec![
        text("service.name", service),
        text("service.namespace", SCOPE),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", &instance),
    ];
    let given = std::env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    for (key, value) in given.split(',').filter_map(|pair| pair.split_once('=')) {
        let (key, value) = (key.trim(), value.trim());
        attributes.retain(|known| known.key != key || key == "service.name");
        if key != "service.name" {
            attributes.push(text(key, value));
        }
    }
    Resource { attributes, ..Resource::default() }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    key_value(key, any_value::Value::StringValue(value.to_owned()))
}

fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn encode(record: Record) -> wire::Span {
    let kind = match record.kind {
        Kind::Internal => span::SpanKind::Internal,
        Kind::Server => span::SpanKind::Server,
        Kind::Client => span::SpanKind::Client,
    };
    let code = if record.is_error { status::StatusCode::Error } else { status::StatusCode::Unset };
    wire::Span {
        trace_id: record.at.trace.to_be_bytes().to_vec(),
        span_id: record.at.span.to_be_bytes().to_vec(),
        parent_span_id: if record.parent == 0 { Vec::new() } else { record.parent.to_be_bytes().to_vec() },
        flags: record.at.flags.into(),
        name: record.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanos(record.started),
        end_time_unix_nano: nanos(record.ended),
        attributes: record.attributes.into_iter().map(attribute).collect(),
        events: record.events.into_iter().map(event).collect(),
        links: record.links.into_iter().map(link).collect(),
        status: Some(wire::Status { code: code.into(), message: String::new() }),
        ..wire::Span::default()
    }
}

fn attribute((key, value): (&'static str, Value)) -> KeyValue {
    key_value(
        key,
        match value {
            Value::Text(text) => any_value::Value::StringValue(text.into_owned()),
            Value::Number(number) => any_value::Value::IntValue(number),
            Value::Flag(flag) => any_value::Value::BoolValue(flag),
        },
    )
}

fn event((name, at, attribute_of): Happened) -> span::Event {
    span::Event {
        time_unix_nano: nanos(at),
        name: name.to_owned(),
        attributes: attribute_of.into_iter().map(attribute).collect(),
        ..span::Event::default()
    }
}

fn link((to, why): (TraceParent, &'static str)) -> span::Link {
    span::Link {
        trace_id: to.trace.to_be_bytes().to_vec(),
        span_id: to.span.to_be_bytes().to_vec(),
        flags: to.flags.into(),
        attributes: vec![text(attribute::LINK, why)],
        ..span::Link::default()
    }
}

pub(super) fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
