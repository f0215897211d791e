//! What is known of a chain from outside: how many rows wait, for how long, and where the head is.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::rows::{Head, Waiting};
use crate::metrics::Metrics;
use crate::names::metric;

#[derive(Clone, Debug)]
pub(super) struct Meters {
    waiting: IntGaugeVec,
    oldest: IntGaugeVec,
    head: IntGaugeVec,
    failures: IntCounterVec,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            waiting: metrics.gauge(&metric::SEAL_WAITING)?,
            oldest: metrics.gauge(&metric::SEAL_OLDEST)?,
            head: metrics.gauge(&metric::SEAL_HEAD)?,
            failures: metrics.counter(&metric::SEAL_FAILED)?,
        })
    }

    pub(super) fn saw(&self, chain: &str, waiting: Waiting, head: &Head) {
        self.waiting.with_label_values(&[chain]).set(waiting.rows);
        self.oldest.with_label_values(&[chain]).set(waiting.oldest_seconds);
        self.head.with_label_values(&[chain]).set(head.book_seq);
        // There from the first look on: a counter that first shows itself as 1 has not grown.
        self.failures.with_label_values(&[chain]);
    }

    pub(super) fn failed(&self, chain: &str) {
        self.failures.with_label_values(&[chain]).inc();
    }
}
