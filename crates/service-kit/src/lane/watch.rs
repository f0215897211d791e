//! What is seen of a lane: how much shares a transaction, how long it waited, and the spans of it.
//!
//! One batch serves many traces. Each of them has the transaction as a span of its own, and the batch is a trace by
//! itself; they point to each other. Nothing of it is made for items whose trace is not recorded.

use std::sync::Arc;
use std::time::Instant;

use prometheus::{Histogram, IntGauge};

use super::LaneError;
use crate::metrics::KitMetrics;
use crate::names::{self, attribute, link};
use crate::run::Kit;
use crate::telemetry::{Kind, Scope, Span, Tracer};

/// What is noted of an item when it is handed over.
pub(super) struct Handed {
    at: Instant,
    /// Only if its trace is recorded.
    scope: Option<Scope>,
}

impl Handed {
    pub fn now() -> Self {
        Self { at: Instant::now(), scope: Scope::recorded() }
    }
}

/// Watches one lane. Clones share it.
pub(super) struct Watch {
    name: &'static str,
    tracer: Tracer,
    kit: Arc<KitMetrics>,
    items: Histogram,
    wait: Histogram,
    /// Items that wait or are being done.
    pub backlog: IntGauge,
}

impl Watch {
    pub fn new(kit: &Kit, name: &'static str) -> Self {
        let shown = &kit.metrics.kit.lane;
        Self {
            name,
            tracer: kit.tracer.clone(),
            items: shown.batch.with_label_values(&[name]),
            wait: shown.wait.with_label_values(&[name]),
            backlog: shown.backlog.with_label_values(&[name]),
            kit: Arc::clone(&kit.metrics.kit),
        }
    }

    /// A batch is run once more, and why.
    pub fn again(&self, cause: &'static str) {
        self.kit.lane.retries.with_label_values(&[self.name, cause]).inc();
    }

    /// A batch begins.
    pub fn begin(&self, handed: &[Handed]) -> Batch<'_> {
        let begun = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        self.items.observe(handed.len() as f64);
        for item in handed {
            self.wait.observe(begun.saturating_duration_since(item.at).as_secs_f64());
        }
        let scopes: Vec<&Scope> = handed.iter().filter_map(|item| item.scope.as_ref()).collect();
        if scopes.is_empty() {
            return Batch { watch: self, begun, spans: Vec::new() };
        }
        let mut batch = self.tracer.begin(true).span(Kind::Internal, || names::batch(self.name));
        batch.set(attribute::LANE, self.name);
        batch.set(attribute::DB_BATCH_SIZE, handed.len());
        let mut spans = Vec::with_capacity(scopes.len() + 1);
        for scope in scopes {
            batch.link(scope.traceparent(), link::SERVES);
            let mut span = scope.span(Kind::Client, || names::transaction(self.name));
            span.set(attribute::DB_SYSTEM, "postgresql");
            span.set(attribute::DB_OPERATION, "transaction");
            span.set(attribute::DB_SUMMARY, self.name);
            span.set(attribute::DB_BATCH_SIZE, handed.len());
            if let Some(batch) = batch.traceparent() {
                span.link(batch, link::BATCH);
            }
            spans.push(span);
        }
        spans.push(batch);
        Batch { watch: self, begun, spans }
    }
}

/// A batch that is being done.
pub(super) struct Batch<'a> {
    watch: &'a Watch,
    begun: Instant,
    spans: Vec<Span>,
}

impl Batch<'_> {
    /// It is committed, or not kept.
    pub fn end<T>(mut self, done: &Result<T, LaneError>) {
        let error_type = done.as_ref().err().map(error_type).unwrap_or_default();
        let labels = ["transaction", self.watch.name, error_type.as_str()];
        self.watch.kit.database.with_label_values(&labels).observe(self.begun.elapsed().as_secs_f64());
        if done.is_err() {
            for span in &mut self.spans {
                span.fail(error_type.clone());
            }
        }
    }
}

/// An SQLSTATE if the database said one.
fn error_type(error: &LaneError) -> String {
    match error {
        LaneError::Conflict => "conflict".to_owned(),
        LaneError::Fault(_) => "fault".to_owned(),
        LaneError::Database(error) => match error.as_database_error().and_then(|error| error.code()) {
            Some(code) => code.into_owned(),
            None => "io".to_owned(),
        },
    }
}
