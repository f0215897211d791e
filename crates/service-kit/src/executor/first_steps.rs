//! The inbox as anti-entropy sees it: which sagas have begun here, and the intents that came with their first steps.
//!
//! Reads only. Who lacks such a saga, and what becomes of it then, is the orchestrator's business.

use brokerage_proto::common::v1 as wire;
use brokerage_proto::common::v1::inbox_participant_server::{
    InboxParticipant, InboxParticipantServer, SERVICE_NAME,
};
use brokerage_types::Reason;
use chrono::{DateTime, TimeDelta, Utc};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::database::Reads;
use crate::fault::{ApiResult, Refusal};
use crate::run::{Kit, Routes};

/// So many sagas in one answer.
const SAGAS_MAX: usize = 500;

/// Serves the inbox of a service.
struct FirstSteps {
    reads: Reads,
}

/// Adds the inbox to the internal routes of a participant.
#[must_use]
pub fn serve_first_steps(kit: &Kit, mut routes: Routes) -> Routes {
    let server = InboxParticipantServer::new(FirstSteps { reads: kit.reads.clone() })
        .max_decoding_message_size(kit.settings.limits.internal_message_bytes);
    routes.internal = routes.internal.add_service(server);
    routes.internal_descriptors.push(SERVICE_NAME);
    routes
}

/// The last row that was told: rows are told in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    at: DateTime<Utc>,
    saga_id: Uuid,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (micros, saga_id) = text.split_once('/')?;
        let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some(Self { at, saga_id: saga_id.parse().ok()? })
    }

    fn write(self) -> String {
        format!("{}/{}", self.at.timestamp_micros(), self.saga_id)
    }
}

impl FirstSteps {
    async fn list(&self, request: wire::ListFirstStepsRequest) -> ApiResult<wire::ListFirstStepsReply> {
        let given = match request.cursor.as_str() {
            "" => None,
            text => Some(Cursor::read(text).ok_or_else(|| {
                Refusal::field("cursor", Reason::FieldInvalid, "is not one of a previous answer")
            })?),
        };
        let older = TimeDelta::milliseconds(request.older_than_ms.into());
        let horizon = i64::try_from(request.horizon_ms).ok().and_then(TimeDelta::try_milliseconds);
        let read = move |pool: sqlx::PgPool| async move {
            let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&pool).await?;
            let until = now.checked_sub_signed(older).unwrap_or(now);
            let oldest = horizon.and_then(|horizon| now.checked_sub_signed(horizon));
            let after = given.unwrap_or(Cursor { at: oldest.unwrap_or_default(), saga_id: Uuid::nil() });
            let rows = sqlx::query!(
                "SELECT saga_id, decided_at FROM inbox
                 WHERE intent IS NOT NULL AND verdict = 1 AND decided_at >= $1 AND decided_at < $3
                   AND (decided_at, saga_id) > ($1, $2)
                 ORDER BY decided_at, saga_id LIMIT $4",
                after.at,
                after.saga_id,
                until,
                SAGAS_MAX as i64,
            )
            .fetch_all(&pool)
            .await?;
            let has_more = rows.len() == SAGAS_MAX;
            let last = rows.last().filter(|_| has_more);
            let next = last.map(|row| Cursor { at: row.decided_at, saga_id: row.saga_id });
            // Nothing that is older will ever be added: it is longer ago than a transaction may take.
            let next = next.unwrap_or(Cursor { at: until.max(after.at), saga_id: Uuid::nil() });
            let saga_ids = rows.into_iter().map(|row| row.saga_id.to_string()).collect();
            Ok(wire::ListFirstStepsReply { saga_ids, next_cursor: next.write(), has_more })
        };
        Ok(self.reads.run("list first steps", read).await?)
    }

    async fn intents(&self, request: wire::GetIntentsRequest) -> ApiResult<wire::GetIntentsReply> {
        if request.saga_ids.len() > SAGAS_MAX {
            let description = format!("at most {SAGAS_MAX}");
            return Err(Refusal::field("saga_ids", Reason::FieldInvalid, description).into());
        }
        let parsed: Result<Vec<Uuid>, _> = request.saga_ids.iter().map(|text| text.parse()).collect();
        let saga_ids =
            parsed.map_err(|_| Refusal::field("saga_ids", Reason::FieldInvalid, "one is not a UUID"))?;
        let read = move |pool: sqlx::PgPool| async move {
            let rows = sqlx::query!(
                r#"SELECT DISTINCT ON (saga_id) saga_id, intent AS "intent!" FROM inbox
                   WHERE saga_id = ANY($1) AND intent IS NOT NULL ORDER BY saga_id, step"#,
                &saga_ids,
            )
            .fetch_all(&pool)
            .await?;
            let kept = rows
                .into_iter()
                .map(|row| wire::KeptIntent { saga_id: row.saga_id.to_string(), intent: row.intent });
            Ok(wire::GetIntentsReply { intents: kept.collect() })
        };
        Ok(self.reads.run("read intents", read).await?)
    }
}

#[tonic::async_trait]
impl InboxParticipant for FirstSteps {
    async fn list_first_steps(
        &self,
        request: Request<wire::ListFirstStepsRequest>,
    ) -> Result<Response<wire::ListFirstStepsReply>, Status> {
        self.list(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }

    async fn get_intents(
        &self,
        request: Request<wire::GetIntentsRequest>,
    ) -> Result<Response<wire::GetIntentsReply>, Status> {
        self.intents(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let cursor = Cursor { at, saga_id: Uuid::from_u128(7) };
        assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        for wrong in ["", "/", "1/", "x/00000000-0000-0000-0000-000000000007"] {
            assert_eq!(Cursor::read(wrong), None, "{wrong:?}");
        }
    }
}
