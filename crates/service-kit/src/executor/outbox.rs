//! The outbox's rows: every change as exactly one event, in the transaction of the change.
//!
//! They are written by the statement that writes the inbox's ([`decided!`](crate::decided)).

use uuid::Uuid;

use super::books::Event;
use crate::defect;
use crate::metrics::Metrics;
use crate::telemetry::TraceParent;

/// The events of a batch, one array per column of the outbox.
#[derive(Debug, Default)]
pub struct Columns {
    /// `id`.
    pub ids: Vec<Uuid>,
    /// `aggregatetype`.
    pub aggregates: Vec<&'static str>,
    /// `aggregateid`.
    pub aggregate_ids: Vec<String>,
    /// `type`.
    pub kinds: Vec<&'static str>,
    /// `payload`.
    pub payloads: Vec<serde_json::Value>,
    /// `seq`.
    pub seqs: Vec<i64>,
    /// `traceparent`.
    pub traceparents: Vec<Option<String>>,
}

impl Columns {
    /// Each event with the trace that it happened in.
    pub(super) fn of(events: Vec<Event>, traces: &[Option<TraceParent>]) -> Self {
        let mut columns = Self::default();
        let traces = traces.iter().copied().chain(std::iter::repeat(None));
        for (event, trace) in events.into_iter().zip(traces) {
            if defect::is_seeded("event_forgotten") {
                continue;
            }
            columns.traceparents.push(trace.map(|trace| trace.to_string()));
            columns.ids.push(Uuid::now_v7());
            columns.aggregates.push(event.aggregate);
            columns.aggregate_ids.push(event.aggregate_id);
            columns.kinds.push(event.kind);
            columns.payloads.push(event.payload);
            columns.seqs.push(event.seq);
        }
        columns
    }
}

/// Counts events, by what they are about, once they are written.
pub(super) fn count(aggregates: &[&'static str], metrics: &Metrics) {
    for aggregate in aggregates {
        metrics.kit.events.with_label_values(&[*aggregate]).inc();
    }
}
