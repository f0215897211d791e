//! The outbox's rows: every change as exactly one event, in the transaction of the change.
//!
//! They are written by the statement that writes the inbox's ([`super::inbox`]).

use uuid::Uuid;

use super::books::Event;
use crate::defect;
use crate::metrics::Metrics;
use crate::telemetry::TraceParent;

/// The events of a batch, one array per column.
#[derive(Default)]
pub(super) struct Columns {
    pub ids: Vec<Uuid>,
    pub aggregates: Vec<String>,
    pub aggregate_ids: Vec<String>,
    pub kinds: Vec<String>,
    pub payloads: Vec<serde_json::Value>,
    pub seqs: Vec<i64>,
    pub traceparents: Vec<Option<String>>,
}

impl Columns {
    /// Each event with the trace that it happened in.
    pub fn of(events: Vec<Event>, traces: &[Option<TraceParent>]) -> Self {
        let mut columns = Self::default();
        let traces = traces.iter().copied().chain(std::iter::repeat(None));
        for (event, trace) in events.into_iter().zip(traces) {
            if defect::is_seeded("event_forgotten") {
                continue;
            }
            columns.traceparents.push(trace.map(|trace| trace.to_string()));
            columns.ids.push(Uuid::now_v7());
            columns.aggregates.push(event.aggregate.to_owned());
            columns.aggregate_ids.push(event.aggregate_id);
            columns.kinds.push(event.kind.to_owned());
            columns.payloads.push(event.payload);
            columns.seqs.push(event.seq);
        }
        columns
    }

    pub fn count(&self, metrics: &Metrics) {
        for aggregate in &self.aggregates {
            metrics.kit.events.with_label_values(&[aggregate]).inc();
        }
    }
}
