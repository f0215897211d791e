//! The numbers of the orchestrator. Labels are kinds, steps and outcomes; never ids.

use brokerage_types::Reason;
use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGaugeVec};
use service_kit::metrics::Metrics;
use service_kit::names::metric;

use crate::sagas::Kind;

/// Of a metric that has none.
pub const NO_LABELS: &[&str] = &[];

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
    /// `saga_boarding_seconds`: how long a new order waited for others to leave with, before its intent was written.
    pub boarding_seconds: HistogramVec,
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
    /// `saga_unended{kind, status}`: in the whole database.
    pub unended: IntGaugeVec,
    /// `saga_unended_oldest_seconds{kind}`: in the whole database.
    pub unended_oldest: IntGaugeVec,
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
        let meters = Self {
            ended: metrics.counter(&metric::SAGA_ENDED)?,
            active: metrics.gauge(&metric::SAGA_ACTIVE)?,
            parked: metrics.gauge(&metric::SAGA_PARKED)?,
            seconds: metrics.histogram(&metric::SAGA_SECONDS)?,
            boarding_seconds: metrics.histogram(&metric::SAGA_BOARDING_SECONDS)?,
            step_seconds: metrics.histogram(&metric::SAGA_STEP_SECONDS)?,
            compensations: metrics.counter(&metric::SAGA_COMPENSATIONS)?,
            adopted: metrics.counter(&metric::SAGA_ADOPTED)?,
            turned_round: metrics.counter(&metric::SAGA_TURNED_ROUND)?,
            oldest_seconds: metrics.gauge(&metric::SAGA_OLDEST)?,
            unended: metrics.gauge(&metric::SAGA_UNENDED)?,
            unended_oldest: metrics.gauge(&metric::SAGA_UNENDED_OLDEST)?,
            backlog: metrics.gauge(&metric::SAGA_TRAIL_BACKLOG)?,
            failed_scans: metrics.counter(&metric::SAGA_FAILED_SCANS)?,
            orphans: metrics.counter(&metric::SAGA_ORPHANS)?,
            breaker_position: metrics.gauge(&metric::SAGA_BREAKER_POSITION)?,
            breaker_opened: metrics.counter(&metric::SAGA_BREAKER_OPENED)?,
            held: metrics.counter(&metric::SAGA_HELD)?,
            retries_left: metrics.gauge(&metric::SAGA_RETRIES_LEFT)?,
        };
        meters.begin_at_zero();
        Ok(meters)
    }

    /// How long a new order waited.
    pub fn boarding(&self) -> Histogram {
        self.boarding_seconds.with_label_values(NO_LABELS)
    }

    /// A counter that first shows itself as 1 has not grown, so its first event would alarm nobody.
    fn begin_at_zero(&self) {
        for kind in Kind::ALL.map(Kind::as_str) {
            self.orphans.with_label_values(&[kind]);
            self.adopted.with_label_values(&[kind]);
            self.turned_round.with_label_values(&[kind, Reason::GaveUp.as_str()]);
        }
        self.failed_scans.with_label_values(NO_LABELS);
    }
}
