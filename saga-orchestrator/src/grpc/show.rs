//! Stored sagas as the wire shows them.

use brokerage_proto::saga::v1 as wire;
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use service_kit::fault::ApiResult;

use crate::engine::decide::Status;
use crate::engine::definition::Role;
use crate::sagas;
use crate::store::{Entry, SagaRow};

/// One saga without its steps.
pub(super) fn saga(row: &SagaRow) -> ApiResult<wire::Saga> {
    let standing = row.standing()?;
    Ok(wire::Saga {
        saga_id: row.saga_id.to_string(),
        kind: row.kind.clone(),
        definition_version: u32::try_from(row.version).unwrap_or(0),
        status: status(standing).into(),
        reason: row.reason.clone().unwrap_or_default(),
        caller: row.caller.clone(),
        request_id: row.request_id.to_string(),
        input_json: row.input.to_string(),
        epoch: u64::try_from(row.epoch).unwrap_or(0),
        owner: if standing.has_ended() { String::new() } else { row.owner.to_string() },
        created_at: Some(timestamp(row.created_at)),
        ended_at: row.ended_at.map(timestamp),
        steps: Vec::new(),
    })
}

/// The steps of its definition, each with what was noted of it. Empty if no definition can read it.
pub(super) fn steps(row: &SagaRow, entries: &[Entry]) -> Vec<wire::Step> {
    let Ok(input) = sagas::read(&row.kind, row.version, &row.input) else { return Vec::new() };
    let shape = input.script().shape;
    let numbered = (0_u32..).zip(&shape.steps);
    numbered
        .map(|(number, step)| wire::Step {
            step: number,
            name: step.name.to_owned(),
            participant: step.participant.as_str().to_owned(),
            kind: kind(step.role).into(),
            attempts: entries.iter().filter(|entry| entry.step == number).map(attempt).collect(),
        })
        .collect()
}

fn attempt(entry: &Entry) -> wire::Attempt {
    wire::Attempt {
        compensation: entry.undo,
        attempt: entry.attempt,
        reply: entry.reply.clone(),
        reason: entry.reason.clone(),
        at: Some(timestamp(entry.at)),
    }
}

/// What a step is, as the wire numbers it.
pub(super) fn kind(role: Role) -> wire::StepKind {
    match role {
        Role::Compensatable => wire::StepKind::Compensatable,
        Role::Check => wire::StepKind::Check,
        Role::Pivot => wire::StepKind::Pivot,
        Role::Retriable => wire::StepKind::Retriable,
    }
}

/// A status as the wire numbers it.
pub(super) fn status(status: Status) -> wire::SagaStatus {
    match status {
        Status::Running => wire::SagaStatus::Running,
        Status::Compensating => wire::SagaStatus::Compensating,
        Status::Completed => wire::SagaStatus::Completed,
        Status::RolledBack => wire::SagaStatus::RolledBack,
        Status::Parked => wire::SagaStatus::Parked,
    }
}

/// A status filter of the wire.
pub(super) fn status_of(wire: wire::SagaStatus) -> Option<Status> {
    Status::ALL.into_iter().find(|known| status(*known) == wire)
}

/// An instant as the wire has it.
pub(super) fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: at.timestamp(), nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0) }
}
