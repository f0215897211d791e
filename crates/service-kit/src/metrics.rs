//! Numbers, for Prometheus and for OTLP. Each service has its own registry, so that several can live in one process.
//!
//! A metric is one of the catalogue ([`crate::names::metric`]) or cannot be registered. Labels are bounded: methods come
//! from the rules table, statuses from gRPC's list. No ids, ever.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::names::metric::{self, Kind, Metric};

/// What opens a metrics endpoint's content.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The method label of a call that no rule knows.
pub const OTHER_METHOD: &str = "_OTHER";

/// A service's registry and the metrics that every service has. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    pub(crate) kit: Arc<KitMetrics>,
}

/// What every service counts.
pub(crate) struct KitMetrics {
    begun: SystemTime,
    looks: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    calls: HistogramVec,
    active: IntGaugeVec,
    client_calls: HistogramVec,
    pub spans: IntCounterVec,
    pub database: HistogramVec,
    pub pool: PoolMetrics,
    pub lane: LaneMetrics,
    pub verdicts: IntCounterVec,
    pub replays: IntCounterVec,
    pub events: IntCounterVec,
    pub outbox_lag_seconds: IntGaugeVec,
    pub outbox_lag_bytes: IntGaugeVec,
    pub build_info: IntGaugeVec,
    pub ready: IntGaugeVec,
}

/// Of the pool of reads.
pub(crate) struct PoolMetrics {
    pub connections: IntGaugeVec,
    pub max: IntGaugeVec,
    pub pending: IntGaugeVec,
    pub waits: IntCounterVec,
    pub timeouts: IntCounterVec,
}

/// Of lanes, by name.
pub(crate) struct LaneMetrics {
    pub batch: HistogramVec,
    pub wait: HistogramVec,
    pub backlog: IntGaugeVec,
    pub retries: IntCounterVec,
}

impl fmt::Debug for KitMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KitMetrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A registry with what every service counts.
    ///
    /// # Errors
    /// Only if a name is not one that Prometheus accepts.
    pub fn new() -> Result<Self, prometheus::Error> {
        let new = Registrar(Registry::new());
        let kit = KitMetrics {
            begun: SystemTime::now(),
            looks: Mutex::default(),
            calls: new.histogram(&metric::RPC_SERVER_DURATION)?,
            active: new.gauge(&metric::RPC_SERVER_ACTIVE)?,
            client_calls: new.histogram(&metric::RPC_CLIENT_DURATION)?,
            spans: new.counter(&metric::TELEMETRY_SPANS)?,
            database: new.histogram(&metric::DB_DURATION)?,
            pool: PoolMetrics {
                connections: new.gauge(&metric::DB_CONNECTIONS)?,
                max: new.gauge(&metric::DB_CONNECTIONS_MAX)?,
                pending: new.gauge(&metric::DB_PENDING)?,
                waits: new.counter(&metric::DB_WAITS)?,
                timeouts: new.counter(&metric::DB_TIMEOUTS)?,
            },
            lane: LaneMetrics {
                batch: new.histogram(&metric::LANE_BATCH)?,
                wait: new.histogram(&metric::LANE_WAIT)?,
                backlog: new.gauge(&metric::LANE_BACKLOG)?,
                retries: new.counter(&metric::LANE_RETRIES)?,
            },
            verdicts: new.counter(&metric::INBOX_VERDICTS)?,
            replays: new.counter(&metric::INBOX_REPLAYS)?,
            events: new.counter(&metric::OUTBOX_EVENTS)?,
            outbox_lag_seconds: new.gauge(&metric::OUTBOX_LAG_SECONDS)?,
            outbox_lag_bytes: new.gauge(&metric::OUTBOX_LAG_BYTES)?,
            build_info: new.gauge(&metric::BUILD_INFO)?,
            ready: new.gauge(&metric::SERVICE_READY)?,
        };
        Ok(Self { registry: new.0, kit: Arc::new(kit) })
    }

    /// A counter of the catalogue.
    ///
    /// # Errors
    /// It is none, or is registered already.
    pub fn counter(&self, metric: &Metric) -> Result<IntCounterVec, prometheus::Error> {
        Registrar(self.registry.clone()).counter(metric)
    }

    /// A gauge of the catalogue.
    ///
    /// # Errors
    /// It is none, or is registered already.
    pub fn gauge(&self, metric: &Metric) -> Result<IntGaugeVec, prometheus::Error> {
        Registrar(self.registry.clone()).gauge(metric)
    }

    /// A histogram of the catalogue.
    ///
    /// # Errors
    /// It is none, or is registered already.
    pub fn histogram(&self, metric: &Metric) -> Result<HistogramVec, prometheus::Error> {
        Registrar(self.registry.clone()).histogram(metric)
    }

    /// How far behind the newest event a consumer of the outbox is. Consumers' names must be few.
    pub fn outbox_lag(&self, consumer: &str, seconds: i64) {
        self.kit.outbox_lag_seconds.with_label_values(&[consumer]).set(seconds);
    }

    /// A consumer of the outbox is gone, and not behind any more.
    pub fn no_outbox_lag(&self, consumer: &str) {
        // Never shown is as good as removed.
        let _ = self.kit.outbox_lag_seconds.remove_label_values(&[consumer]);
    }

    /// Looks at something each time the numbers are read. It must not wait.
    pub(crate) fn looks_at(&self, look: impl Fn() + Send + Sync + 'static) {
        self.kit.looks.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(look));
    }

    /// Since when is counted.
    pub(crate) fn begun(&self) -> SystemTime {
        self.kit.begun
    }

    /// Everything.
    pub(crate) fn gather(&self) -> Vec<MetricFamily> {
        for look in self.kit.looks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            look();
        }
        self.registry.gather()
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.gather(), &mut text) {
            tracing::error!(%error, "cannot write the metrics");
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Notes that a call began. Dropping the guard without an answer counts as CANCELLED.
    pub(crate) fn begin(&self, method: &'static str) -> CallGuard {
        self.kit.active.with_label_values(&[method]).inc();
        CallGuard { kit: Arc::clone(&self.kit), method, status: "CANCELLED", begun: Instant::now() }
    }

    /// Notes how a call to another service ended.
    pub(crate) fn called(&self, method: &'static str, status: &'static str, begun: Instant) {
        let seconds = begun.elapsed().as_secs_f64();
        self.kit.client_calls.with_label_values(&[method, status]).observe(seconds);
    }
}

/// Makes metrics of the catalogue.
struct Registrar(Registry);

impl Registrar {
    fn counter(&self, metric: &Metric) -> Result<IntCounterVec, prometheus::Error> {
        match metric.kind {
            Kind::Counter => self.add(IntCounterVec::new(options(metric), metric.labels)?),
            Kind::Gauge(_) | Kind::Histogram(..) => Err(no(metric, "counter")),
        }
    }

    fn gauge(&self, metric: &Metric) -> Result<IntGaugeVec, prometheus::Error> {
        match metric.kind {
            Kind::Gauge(_) => self.add(IntGaugeVec::new(options(metric), metric.labels)?),
            Kind::Counter | Kind::Histogram(..) => Err(no(metric, "gauge")),
        }
    }

    fn histogram(&self, metric: &Metric) -> Result<HistogramVec, prometheus::Error> {
        match metric.kind {
            Kind::Histogram(_, buckets) => {
                let options = HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec());
                self.add(HistogramVec::new(options, metric.labels)?)
            }
            Kind::Counter | Kind::Gauge(_) => Err(no(metric, "histogram")),
        }
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

fn options(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn no(metric: &Metric, kind: &str) -> prometheus::Error {
    prometheus::Error::Msg(format!("{} is no {kind}", metric.name))
}

/// One call in progress.
pub(crate) struct CallGuard {
    kit: Arc<KitMetrics>,
    method: &'static str,
    status: &'static str,
    begun: Instant,
}

impl CallGuard {
    /// Notes the answer.
    pub fn end(mut self, status: &'static str) {
        self.status = status;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.kit.active.with_label_values(&[self.method]).dec();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.kit.calls.with_label_values(&[self.method, self.status]).observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_call_counts_as_cancelled() {
        let metrics = Metrics::new().unwrap();
        drop(metrics.begin("a/B"));
        metrics.begin("a/B").end("OK");
        let text = metrics.render();
        for status in ["CANCELLED", "OK"] {
            let line = format!(
                "rpc_server_call_duration_seconds_count{{rpc_method=\"a/B\",rpc_response_status_code=\"{status}\"}} 1"
            );
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.contains("rpc_server_active_calls{rpc_method=\"a/B\"} 0"), "{text}");
    }

    #[test]
    fn a_metric_is_registered_as_what_it_is_and_once() {
        let metrics = Metrics::new().unwrap();
        assert!(metrics.gauge(&metric::SAGA_ENDED).is_err());
        assert!(metrics.counter(&metric::SAGA_ENDED).is_ok());
        assert!(metrics.counter(&metric::SAGA_ENDED).is_err());
    }
}
