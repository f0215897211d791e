//! Numbers for Prometheus. Each service has its own registry, so that several can live in one process.
//!
//! Labels are bounded: methods come from the rules table, statuses from gRPC's list. No ids, ever.

use prometheus::core::Collector;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// What opens a metrics endpoint's content.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Boundaries of durations in seconds, as the RPC conventions have them.
pub const SECONDS_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The method label of a call that no rule knows.
pub const OTHER_METHOD: &str = "_OTHER";

/// A service's registry and the metrics that every service has. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// `rpc_server_call_duration_seconds{rpc_method, rpc_response_status_code}`.
    calls: HistogramVec,
    active: IntGaugeVec,
}

impl Metrics {
    /// An empty registry with the RPC metrics.
    ///
    /// # Errors
    /// Only if a name is not one that Prometheus accepts.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let calls = HistogramVec::new(
            HistogramOpts::new(
                "rpc_server_call_duration_seconds",
                "Duration of calls until their answer's head.",
            )
            .buckets(SECONDS_BUCKETS.to_vec()),
            &["rpc_method", "rpc_response_status_code"],
        )?;
        let active = IntGaugeVec::new(
            Opts::new("rpc_server_active_calls", "Calls whose answer's head is not out yet."),
            &["rpc_method"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(active.clone()))?;
        Ok(Self { registry, calls, active })
    }

    /// A counter by these labels.
    ///
    /// # Errors
    /// A name that is taken or not acceptable.
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A gauge by these labels.
    ///
    /// # Errors
    /// A name that is taken or not acceptable.
    pub fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A histogram of seconds by these labels.
    ///
    /// # Errors
    /// A name that is taken or not acceptable.
    pub fn seconds(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS_BUCKETS.to_vec());
        self.add(HistogramVec::new(options, labels)?)
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot write the metrics");
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Notes that a call began. Dropping the guard without an answer counts as CANCELLED.
    pub(crate) fn begin(&self, method: &'static str) -> CallGuard {
        self.active.with_label_values(&[method]).inc();
        CallGuard { metrics: self.clone(), method, status: "CANCELLED", begun: std::time::Instant::now() }
    }
}

/// One call in progress.
pub(crate) struct CallGuard {
    metrics: Metrics,
    method: &'static str,
    status: &'static str,
    begun: std::time::Instant,
}

impl CallGuard {
    /// Notes the answer.
    pub fn end(mut self, status: &'static str) {
        self.status = status;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.metrics.active.with_label_values(&[self.method]).dec();
        self.metrics
            .calls
            .with_label_values(&[self.method, self.status])
            .observe(self.begun.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_call_counts_as_cancelled() {
        let metrics = Metrics::new().unwrap();
        drop(metrics.begin("/a/B"));
        metrics.begin("/a/B").end("OK");
        let text = metrics.render();
        for status in ["CANCELLED", "OK"] {
            let line = format!(
                "rpc_server_call_duration_seconds_count{{rpc_method=\"/a/B\",rpc_response_status_code=\"{status}\"}} 1"
            );
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.contains("rpc_server_active_calls{rpc_method=\"/a/B\"} 0"), "{text}");
    }
}
