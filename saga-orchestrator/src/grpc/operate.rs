//! What operators do to sagas: retry, abort, pause; each with who and why in the trail of actions.
//!
//! A verb changes what a driver wants, never what a saga is: giving up is asking the pivot (`engine/decide`).

use brokerage_proto::saga::v1 as wire;
use brokerage_types::{Reason, SagaId};
use service_kit::auth::Principal;
use service_kit::fault::{ApiResult, Refusal};
use service_kit::page::{self, PageRequest};
use service_kit::stack::RequestId;
use service_kit::validate::Fields;
use tonic::Request;
use uuid::Uuid;

use super::{Desk, show};
use crate::engine::decide::Status;
use crate::shell;
use crate::store::{Action, ActionFilter, Operation, Verb};

/// The longest reason an operator may give.
const REASON_LENGTH_MAX: usize = 256;
/// The longest name an operator may have.
const ACTOR_LENGTH_MAX: usize = 128;

/// Who wants what of which saga, and why.
pub(super) struct Asked {
    verb: Verb,
    saga_id: SagaId,
    by: (String, String),
    reason: String,
    request_id: String,
}

impl Asked {
    /// Reads a call. Trying again needs no reason; what stops a saga does.
    pub fn new<T>(
        request: &Request<T>,
        verb: Verb,
        fields_of: impl Fn(&T) -> (&String, &String),
    ) -> ApiResult<Self> {
        let principal = Principal::of(request)?;
        let (saga_id, reason) = fields_of(request.get_ref());
        let mut fields = Fields::new();
        let saga_id = fields.parse::<SagaId>("saga_id", saga_id);
        let reason = match verb {
            Verb::Retry if reason.is_empty() => Some(""),
            Verb::Retry | Verb::Abort | Verb::Pause => fields.text("reason", reason, REASON_LENGTH_MAX),
        };
        let (saga_id, reason) = fields.finish(saga_id.zip(reason))?;
        let request_id = request.extensions().get::<RequestId>().map_or("", |id| &id.0);
        Ok(Self {
            verb,
            saga_id,
            by: (principal.subject.to_string(), format!("{:?}", principal.role).to_lowercase()),
            reason: reason.to_owned(),
            request_id: request_id.to_owned(),
        })
    }
}

impl Desk {
    /// Does it where the saga is driven; a saga that is driven elsewhere comes here, and its driver there is
    /// superseded. Two drivers are harmless.
    pub(super) async fn operate(&self, asked: Asked) -> ApiResult<Status> {
        let Asked { verb, saga_id, by, reason, request_id } = asked;
        let is_here = self.drivers.running(saga_id).is_some();
        let taken_by = if is_here { None } else { Some(self.drivers.me) };
        let who = by.0.clone();
        let operation =
            Operation { action_id: Uuid::now_v7(), verb, saga_id, by, reason, request_id, taken_by };
        let why = operation.reason.clone();
        let operated = self.store.operate(operation).await?.ok_or_else(|| {
            Refusal::new(Reason::SagaNotFound, format!("no saga {saga_id}"))
                .with("saga_id", saga_id.to_string())
        })?;
        if let Some(reason) = operated.refused {
            return Err(Refusal::new(reason, reason.meaning())
                .with("saga_id", saga_id.to_string())
                .with("status", format!("{:?}", operated.found))
                .into());
        }
        tracing::info!(%saga_id, by = who, verb = verb.as_str(), why, "{who}: {} saga {saga_id}", verb.as_str());
        if let Some(orphan) = operated.taken {
            shell::take_up(&self.drivers, &self.store, orphan);
        }
        // Asked again: its driver may have started while this was written, and would not have heard of it.
        if let Some(running) = self.drivers.running(saga_id) {
            match verb {
                Verb::Retry => running.control.resume(),
                Verb::Abort => running.control.abort(),
                Verb::Pause => running.control.pause(),
            }
        }
        Ok(operated.found)
    }

    pub(super) async fn actions(
        &self,
        request: wire::ListOperatorActionsRequest,
    ) -> ApiResult<wire::ListOperatorActionsResponse> {
        let mut fields = Fields::new();
        let saga_id = fields.optional::<SagaId>("saga_id", &request.saga_id);
        let actor = match request.actor.as_str() {
            "" => Some(None),
            actor => fields.text("actor", actor, ACTOR_LENGTH_MAX).map(|actor| Some(actor.to_owned())),
        };
        let (saga_id, actor) = fields.finish(saga_id.zip(actor))?;
        let filter = ActionFilter { saga_id: saga_id.map(SagaId::uuid), actor };
        let page = PageRequest::parse(request.page_size, &request.page_token, &filter)?;
        let after = page.after.as_ref().map(page::Cursor::read::<Uuid>).transpose()?;
        let rows = self.store.actions(filter, after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.action_id)?;
        Ok(wire::ListOperatorActionsResponse { actions: rows.iter().map(action).collect(), next_page_token })
    }
}

/// One line of the trail as the wire shows it.
pub(super) fn action(row: &Action) -> wire::OperatorAction {
    wire::OperatorAction {
        action_id: row.action_id.to_string(),
        at: Some(show::timestamp(row.at)),
        actor: row.actor.clone(),
        role: row.role.clone(),
        verb: row.verb.clone(),
        saga_id: row.saga_id.to_string(),
        reason: row.reason.clone(),
        outcome: row.outcome.clone(),
        found: Status::from_code(row.found).map_or(0, |found| show::status(found).into()),
        request_id: row.request_id.clone(),
    }
}
