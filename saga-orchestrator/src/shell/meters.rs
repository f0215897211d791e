//! The numbers of the orchestrator. Labels are kinds, steps and outcomes; never ids.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};
use service_kit::metrics::Metrics;

/// All of them.
#[derive(Clone)]
pub struct Meters {
    /// `saga_ended_total{kind, outcome}`.
    pub ended: IntCounterVec,
    /// `saga_active{kind}`: driven by this process.
    pub active: IntGaugeVec,
    /// `saga_parked{kind}`: parked in this process.
    pub parked: IntGaugeVec,
    /// `saga_seconds{kind, outcome}`: from the driver's start to the outcome.
    pub seconds: HistogramVec,
    /// `saga_step_seconds{kind, step, reply}`: one attempt.
    pub step_seconds: HistogramVec,
    /// `saga_compensations_total{kind, step}`.
    pub compensations: IntCounterVec,
    /// `saga_adopted_total{kind}`: taken over from an owner that is gone.
    pub adopted: IntCounterVec,
    /// `saga_turned_round_total{kind, reason}`: sagas that began to undo.
    pub turned_round: IntCounterVec,
    /// `saga_trail_backlog`: marks and notes that wait to be written.
    pub backlog: IntGaugeVec,
    /// `saga_oldest_seconds`: the age of the oldest saga that this process drives. Checks have no budget; alarm on this.
    pub oldest_seconds: IntGaugeVec,
    /// `saga_failed_scans_total`: recovery scans that failed.
    pub failed_scans: IntCounterVec,
    /// `saga_orphans_adopted_total{kind}`: lost here, and adopted from a participant. 0 in normal runs; alarm on this.
    pub orphans: IntCounterVec,
    /// `saga_breaker_position{participant}`: 0 closed, 1 half-open, 2 open.
    pub breaker_position: IntGaugeVec,
    /// `saga_breaker_opened_total{participant}`.
    pub breaker_opened: IntCounterVec,
    /// `saga_held_total{participant, by}`: calls that waited, by the breaker or by the retry budget.
    pub held: IntCounterVec,
    /// `saga_retries_left{participant}`: what the retry budget still has.
    pub retries_left: IntGaugeVec,
}

impl Meters {
    /// Registers them.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            ended: metrics.counter("saga_ended_total", "Sagas that have ended.", &["kind", "outcome"])?,
            active: metrics.gauge("saga_active", "Sagas that this process drives.", &["kind"])?,
            parked: metrics.gauge("saga_parked", "Parked sagas of this process.", &["kind"])?,
            seconds: metrics.seconds(
                "saga_seconds",
                "From the driver's start to the outcome.",
                &["kind", "outcome"],
            )?,
            step_seconds: metrics.seconds("saga_step_seconds", "One attempt.", &["kind", "step", "reply"])?,
            compensations: metrics.counter(
                "saga_compensations_total",
                "Attempts to compensate.",
                &["kind", "step"],
            )?,
            adopted: metrics.counter("saga_adopted_total", "Sagas taken over.", &["kind"])?,
            turned_round: metrics.counter(
                "saga_turned_round_total",
                "Sagas that began to undo.",
                &["kind", "reason"],
            )?,
            oldest_seconds: metrics.gauge(
                "saga_oldest_seconds",
                "Age of the oldest saga driven here.",
                &[],
            )?,
            backlog: metrics.gauge("saga_trail_backlog", "Marks and notes that wait.", &[])?,
            failed_scans: metrics.counter("saga_failed_scans_total", "Recovery scans that failed.", &[])?,
            orphans: metrics.counter(
                "saga_orphans_adopted_total",
                "Sagas lost here and adopted from a participant.",
                &["kind"],
            )?,
            breaker_position: metrics.gauge(
                "saga_breaker_position",
                "Circuit breaker: 0 closed, 1 half-open, 2 open.",
                &["participant"],
            )?,
            breaker_opened: metrics.counter(
                "saga_breaker_opened_total",
                "How often the circuit breaker opened.",
                &["participant"],
            )?,
            held: metrics.counter("saga_held_total", "Calls that had to wait.", &["participant", "by"])?,
            retries_left: metrics.gauge(
                "saga_retries_left",
                "Repetitions that the budget has left.",
                &["participant"],
            )?,
        })
    }
}
