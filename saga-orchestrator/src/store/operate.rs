//! What operators do to sagas: the effect and its line in the trail of actions, in one transaction.
//!
//! Not here: who may (`auth`), and how a driver in this process hears of it (`shell`).

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::fault::Fault;
use service_kit::lane::LaneError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Store;
use super::upkeep::{Orphan, assign};
use crate::engine::decide::Status;

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Try again now.
    Retry,
    /// Give it up, if its pivot has not run.
    Abort,
    /// Park it.
    Pause,
}

impl Verb {
    /// As stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Retry => "retry",
            Verb::Abort => "abort",
            Verb::Pause => "pause",
        }
    }

    /// Why a saga that stands like this refuses, if so.
    #[must_use]
    pub fn refusal(self, standing: Status) -> Option<Reason> {
        match (standing, self) {
            (Status::Completed | Status::RolledBack, _) => Some(Reason::SagaEnded),
            (Status::Running | Status::Compensating, Verb::Retry) => Some(Reason::SagaNotParked),
            (Status::Running | Status::Compensating, Verb::Abort | Verb::Pause) | (Status::Parked, _) => None,
        }
    }
}

/// Something that an operator does.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its number: doing it twice is doing it once.
    pub action_id: Uuid,
    /// What.
    pub verb: Verb,
    /// To which saga.
    pub saga_id: SagaId,
    /// Who, and in which role.
    pub by: (String, String),
    /// Why.
    pub reason: String,
    /// The call's id, as in the logs.
    pub request_id: String,
    /// The process that drives the saga from now on; `None` leaves it where it is.
    pub taken_by: Option<Uuid>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Operated {
    /// Where the saga stood.
    pub found: Status,
    /// Why nothing was done, if so.
    pub refused: Option<Reason>,
    /// The saga, if this process drives it from now on.
    pub taken: Option<Orphan>,
}

/// One line of the trail.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its number.
    pub action_id: Uuid,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// What.
    pub verb: String,
    /// To which saga.
    pub saga_id: Uuid,
    /// Why.
    pub reason: String,
    /// `ACCEPTED`, or the reason of the refusal.
    pub outcome: String,
    /// The saga's status then.
    pub found: i16,
    /// The call's id.
    pub request_id: String,
}

/// Which actions to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ActionFilter {
    /// Of this saga only.
    pub saga_id: Option<Uuid>,
    /// By this operator only.
    pub actor: Option<String>,
}

/// Does it, if the saga's state allows, and writes it down in any case. `None`: there is no such saga.
pub(super) async fn operate(
    tx: &mut PgConnection,
    operation: &Operation,
) -> Result<Option<Operated>, LaneError> {
    let saga_id = operation.saga_id.uuid();
    let status =
        sqlx::query_scalar!("SELECT status FROM sagas WHERE saga_id = $1 FOR NO KEY UPDATE", saga_id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(status) = status else { return Ok(None) };
    let found = Status::from_code(status)
        .ok_or_else(|| LaneError::Fault(format!("saga {saga_id} has the unknown status {status}")))?;
    let refused = operation.verb.refusal(found);
    let mut taken = None;
    if refused.is_none() {
        sqlx::query!(
            "UPDATE sagas SET paused = $2, abort_asked = abort_asked OR $3, updated_at = clock_timestamp()
             WHERE saga_id = $1",
            saga_id,
            operation.verb == Verb::Pause,
            operation.verb == Verb::Abort,
        )
        .execute(&mut *tx)
        .await?;
        if let Some(owner) = operation.taken_by {
            taken = assign(tx, owner, &[saga_id]).await?.pop();
        }
    }
    let outcome = refused.map_or("ACCEPTED", Reason::as_str);
    sqlx::query!(
        "INSERT INTO operator_actions (action_id, actor, role, verb, saga_id, reason, outcome, found, request_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT DO NOTHING",
        operation.action_id,
        operation.by.0,
        operation.by.1,
        operation.verb.as_str(),
        saga_id,
        operation.reason,
        outcome,
        status,
        operation.request_id,
    )
    .execute(tx)
    .await?;
    Ok(Some(Operated { found, refused, taken }))
}

impl Store {
    /// What operators did, newest first, at most `limit`, after the action with this number.
    ///
    /// # Errors
    /// The database.
    pub async fn actions(
        &self,
        filter: ActionFilter,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Action>, Fault> {
        let read = move |pool| async move {
            let rows = sqlx::query_as!(
                Action,
                "SELECT action_id, at, actor, role, verb, saga_id, reason, outcome, found, request_id
                 FROM operator_actions
                 WHERE ($1::uuid IS NULL OR saga_id = $1) AND ($2::text IS NULL OR actor = $2)
                   AND ($3::uuid IS NULL OR action_id < $3)
                 ORDER BY action_id DESC LIMIT $4",
                filter.saga_id,
                filter.actor,
                after,
                limit,
            );
            Ok(rows.fetch_all(&pool).await?)
        };
        self.reads.run("list operator actions", read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_cannot_be_operated_and_only_what_is_parked_can_be_retried() {
        let table = [
            (Status::Running, [Some(Reason::SagaNotParked), None, None]),
            (Status::Compensating, [Some(Reason::SagaNotParked), None, None]),
            (Status::Parked, [None; 3]),
            (Status::Completed, [Some(Reason::SagaEnded); 3]),
            (Status::RolledBack, [Some(Reason::SagaEnded); 3]),
        ];
        for (standing, expected) in table {
            let refusals = [Verb::Retry, Verb::Abort, Verb::Pause].map(|verb| verb.refusal(standing));
            assert_eq!(refusals, expected, "{standing:?}");
        }
    }
}
