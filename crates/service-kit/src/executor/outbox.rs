//! The outbox's rows: every change as exactly one event, in the transaction of the change.
//!
//! They are written by the statement that writes the inbox's ([`super::inbox`]).

use uuid::Uuid;

use super::books::Event;
use crate::defect;

/// The events of a batch, one array per column.
#[derive(Default)]
pub(super) struct Columns {
    pub ids: Vec<Uuid>,
    pub aggregates: Vec<String>,
    pub aggregate_ids: Vec<String>,
    pub kinds: Vec<String>,
    pub payloads: Vec<serde_json::Value>,
    pub seqs: Vec<i64>,
}

impl Columns {
    pub fn of(events: Vec<Event>) -> Self {
        let mut columns = Self::default();
        for event in events.into_iter().filter(|_| !defect::is_seeded("event_forgotten")) {
            columns.ids.push(Uuid::now_v7());
            columns.aggregates.push(event.aggregate.to_owned());
            columns.aggregate_ids.push(event.aggregate_id);
            columns.kinds.push(event.kind.to_owned());
            columns.payloads.push(event.payload);
            columns.seqs.push(event.seq);
        }
        columns
    }
}
