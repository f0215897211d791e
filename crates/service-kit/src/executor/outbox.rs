//! The outbox table: every change as exactly one event, in the transaction of the change.

use sqlx::PgConnection;
use uuid::Uuid;

use super::books::Event;
use crate::lane::LaneError;

/// Appends the events of a batch.
pub(super) async fn append(
    tx: &mut PgConnection,
    events: Vec<Event>,
    traceparent: Option<String>,
) -> Result<(), LaneError> {
    if events.is_empty() {
        return Ok(());
    }
    let count = events.len();
    let mut ids = Vec::with_capacity(count);
    let (mut aggregates, mut aggregate_ids) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut seqs, mut kinds, mut payloads) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    for event in events {
        ids.push(Uuid::now_v7());
        aggregates.push(event.aggregate.to_owned());
        aggregate_ids.push(event.aggregate_id);
        seqs.push(event.seq);
        kinds.push(event.kind.to_owned());
        payloads.push(event.payload);
    }
    sqlx::query!(
        "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, traceparent)
         SELECT u.id, u.aggregatetype, u.aggregateid, u.type, u.payload, u.seq, $7
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::bigint[])
              AS u(id, aggregatetype, aggregateid, type, payload, seq)",
        &ids,
        &aggregates,
        &aggregate_ids,
        &kinds,
        &payloads,
        &seqs,
        traceparent,
    )
    .execute(tx)
    .await?;
    Ok(())
}
