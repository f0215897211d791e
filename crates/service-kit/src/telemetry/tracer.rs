//! Who decides which traces are recorded, and hands their spans over.
//!
//! Handing over never waits: what the queue has no room for is dropped, and counted.

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::{mpsc, oneshot};

use super::export::{self, Parcel};
use super::span::{Record, Scope};
use super::traceparent::TraceParent;
use crate::metrics::Metrics;
use crate::settings::TelemetrySettings;

/// How many spans may wait for the collector.
const QUEUE_SPANS_MAX: usize = 8_192;
/// How long the end of a service waits for the collector.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// A service's tracer. Clones share its queue; off unless there is a collector.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    on: Option<Arc<On>>,
}

#[derive(Debug)]
struct On {
    queue: mpsc::Sender<Parcel>,
    /// Traces whose number is below it are recorded.
    below: u64,
    trusts_callers: bool,
    dropped: IntCounter,
}

impl Tracer {
    /// Records nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { on: None }
    }

    /// Off if the settings name no collector; otherwise with a thread of its own that talks to it, so that a collector
    /// that is away, or mute, costs the service nothing.
    #[must_use]
    pub fn start(settings: &TelemetrySettings, service: &str, metrics: &Metrics) -> Self {
        let Some(endpoint) = settings.otlp_endpoint.clone() else { return Self::off() };
        let (queue, waiting) = mpsc::channel(QUEUE_SPANS_MAX);
        let [sent, dropped, failed] =
            ["sent", "dropped", "failed"].map(|fate| metrics.kit.spans.with_label_values(&[fate]));
        let interval = Duration::from_millis(settings.push_interval_ms);
        let exporter = export::Exporter {
            endpoint,
            resource: export::resource(service),
            metrics: metrics.clone(),
            interval,
            sent,
            failed,
        };
        if let Err(error) = export::start(exporter, waiting) {
            tracing::error!(%error, "traces and metrics are not exported: {error}");
            return Self::off();
        }
        let below = threshold(settings.sample_ratio);
        Self { on: Some(Arc::new(On { queue, below, trusts_callers: settings.trust_callers, dropped })) }
    }

    /// Whether there is a collector.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// Where the work for a caller begins: in his trace if he has one, else in a new one.
    #[must_use]
    pub fn enter(&self, caller: Option<TraceParent>) -> Scope {
        let at = match (caller, &self.on) {
            // Somebody else may record it.
            (Some(caller), None) => caller,
            (None, None) => TraceParent::random(),
            (Some(caller), Some(on)) if on.trusts_callers => caller,
            (Some(caller), Some(on)) => caller.sampled(on.chooses(caller)),
            (None, Some(on)) => {
                let new = TraceParent::random();
                let is_sampled = on.chooses(new);
                // The first span of a trace has no parent.
                TraceParent { span: if is_sampled { 0 } else { new.span }, ..new.sampled(is_sampled) }
            }
        };
        Scope::new(at, self.clone())
    }

    /// Where the work of an earlier trace goes on: recorded if that was.
    #[must_use]
    pub fn resume(&self, trace: TraceParent) -> Scope {
        Scope::new(trace, self.clone())
    }

    /// Where a new trace begins that is recorded, or not, because of others.
    #[must_use]
    pub fn begin(&self, is_recorded: bool) -> Scope {
        let new = TraceParent::random().sampled(is_recorded);
        Scope::new(
            TraceParent { span: if is_recorded && self.is_on() { 0 } else { new.span }, ..new },
            self.clone(),
        )
    }

    pub(super) fn take(&self, record: Record) {
        let Some(on) = &self.on else { return };
        if on.queue.try_send(Parcel::Span(Box::new(record))).is_err() {
            on.dropped.inc();
        }
    }

    /// Sends what is left, if the collector takes it in time. Call before the process ends.
    pub async fn finish(&self) {
        let Some(on) = &self.on else { return };
        let (tell, told) = oneshot::channel();
        let flushed = async {
            on.queue.send(Parcel::Flush(tell)).await.ok()?;
            told.await.ok()
        };
        if tokio::time::timeout(FINISH_TIMEOUT, flushed).await.is_err() {
            tracing::warn!("some spans did not reach the collector");
        }
    }
}

impl On {
    /// The same for every service that sees the trace.
    fn chooses(&self, trace: TraceParent) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the low half of a random number is one too")]
        let number = trace.trace as u64;
        number < self.below || self.below == u64::MAX
    }
}

fn threshold(ratio: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as it should")]
    #[expect(clippy::cast_precision_loss, reason = "nobody needs a ratio that exact")]
    let below = (ratio * u64::MAX as f64) as u64;
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(ratio: f64, trust_callers: bool) -> Tracer {
        let (queue, waiting) = mpsc::channel(1);
        drop(waiting);
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        Tracer {
            on: Some(Arc::new(On { queue, below: threshold(ratio), trusts_callers: trust_callers, dropped })),
        }
    }

    #[test]
    fn callers_decide_if_they_are_trusted_and_the_ratio_decides_otherwise() {
        let caller = TraceParent::random();
        for (ratio, trust, sampled, recorded) in [
            (1.0, true, false, false),
            (0.0, true, true, true),
            (1.0, false, false, true),
            (0.0, false, true, false),
        ] {
            let scope = tracer(ratio, trust).enter(Some(caller.sampled(sampled)));
            assert_eq!(scope.is_recorded(), recorded, "{ratio} {trust} {sampled}");
            assert_eq!(scope.traceparent().trace_id(), caller.trace_id());
        }
        assert!(tracer(1.0, true).enter(None).is_recorded());
        assert!(!tracer(0.0, true).enter(None).is_recorded());
        assert!(!Tracer::off().enter(None).is_recorded());
    }

    #[test]
    fn a_hundredth_of_the_traces_is_a_hundredth() {
        let tracer = tracer(0.01, true);
        let count = (0..100_000).filter(|_| tracer.enter(None).is_recorded()).count();
        assert!((700..1_300).contains(&count), "{count}");
    }

    #[test]
    fn what_is_not_recorded_has_no_span_and_computes_no_name() {
        let scope = tracer(0.0, true).enter(None);
        let span = scope.span(crate::telemetry::Kind::Internal, || panic!("computed"));
        assert!(!span.is_recorded());
        assert_eq!(span.scope(&scope).traceparent(), scope.traceparent());
        assert!(TraceParent::parse(&scope.traceparent().to_string()).is_some());
    }
}
