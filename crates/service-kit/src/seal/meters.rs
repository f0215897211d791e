//! What is known of a chain from outside: how many rows wait, for how long, and where the head is.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::rows::{Head, Waiting};
use crate::metrics::Metrics;

const BY_CHAIN: &[&str] = &["chain"];

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
            waiting: metrics.gauge("seal_waiting_rows", "Rows without a number, at most 10000.", BY_CHAIN)?,
            oldest: metrics.gauge(
                "seal_oldest_waiting_seconds",
                "Age of the oldest row without a number.",
                BY_CHAIN,
            )?,
            head: metrics.gauge("seal_head_seq", "The last number that was given out.", BY_CHAIN)?,
            failures: metrics.counter(
                "seal_failed_rounds_total",
                "Rounds that sealed nothing because of a fault.",
                BY_CHAIN,
            )?,
        })
    }

    pub(super) fn saw(&self, chain: &str, waiting: Waiting, head: &Head) {
        self.waiting.with_label_values(&[chain]).set(waiting.rows);
        self.oldest.with_label_values(&[chain]).set(waiting.oldest_seconds);
        self.head.with_label_values(&[chain]).set(head.book_seq);
    }

    pub(super) fn failed(&self, chain: &str) {
        self.failures.with_label_values(&[chain]).inc();
    }
}
