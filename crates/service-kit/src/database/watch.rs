//! What is seen of reads: a span and a duration for each, and how busy their pool is.

use std::sync::Arc;
use std::time::Instant;

use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::READS_MAX;
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::names::attribute;
use crate::telemetry::{self, Kind, Scope, Span};

/// The pool's name in numbers.
const POOL: &str = "reads";

/// One read, from asking for it to its end.
pub(super) struct Watched {
    metrics: Metrics,
    what: &'static str,
    begun: Instant,
    span: Span,
}

impl Watched {
    pub fn begin(metrics: &Metrics, pool: &PgPool, what: &'static str) -> Self {
        if pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections() {
            metrics.kit.pool.waits.with_label_values(&[POOL]).inc();
        }
        let mut span = telemetry::span(Kind::Client, || what.into());
        span.set(attribute::DB_SYSTEM, "postgresql");
        span.set(attribute::DB_OPERATION, "read");
        span.set(attribute::DB_SUMMARY, what);
        Self { metrics: metrics.clone(), what, begun: Instant::now(), span }
    }

    /// Where the read happens.
    pub fn scope(&self) -> Option<Scope> {
        self.span.scope_or_current()
    }

    pub fn end<T>(mut self, read: &Result<T, Fault>) {
        let error_type = if read.is_err() { "fault" } else { "" };
        let seconds = self.begun.elapsed().as_secs_f64();
        let labels = ["read", self.what, error_type];
        self.metrics.kit.database.with_label_values(&labels).observe(seconds);
        if let Err(fault) = read {
            if fault.is_pool_timeout() {
                self.metrics.kit.pool.timeouts.with_label_values(&[POOL]).inc();
            }
            self.span.fail(error_type);
        }
    }
}

/// Shows how busy the pool is, whenever somebody looks at the numbers.
pub(super) fn show(pool: &PgPool, room: &Arc<Semaphore>, metrics: &Metrics) {
    // A counter that first shows itself as 1 has not grown.
    metrics.kit.pool.waits.with_label_values(&[POOL]);
    metrics.kit.pool.timeouts.with_label_values(&[POOL]);
    let (pool, room, kit) = (pool.clone(), Arc::clone(room), Arc::downgrade(&metrics.kit));
    metrics.looks_at(move || {
        let Some(kit) = kit.upgrade() else { return };
        let (size, idle) = (i64::from(pool.size()), i64::try_from(pool.num_idle()).unwrap_or(i64::MAX));
        let used = size.saturating_sub(idle).max(0);
        let reads = i64::try_from(READS_MAX - room.available_permits()).unwrap_or(i64::MAX);
        kit.pool.max.with_label_values(&[POOL]).set(pool.options().get_max_connections().into());
        kit.pool.connections.with_label_values(&[POOL, "idle"]).set(idle);
        kit.pool.connections.with_label_values(&[POOL, "used"]).set(used);
        kit.pool.pending.with_label_values(&[POOL]).set(reads.saturating_sub(used).max(0));
    });
}
