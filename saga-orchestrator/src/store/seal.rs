//! The operators' actions as a chain: what of an action is sealed.
//!
//! The fields, in this order (see [`Canonical`] for the bytes): `operator_actions/1`, action_id, at in UTC with
//! microseconds, actor, role, verb, saga_id, reason, outcome, found, request_id.

use std::collections::HashMap;

use service_kit::seal::{Canonical, Chain, ChainTable};
use sqlx::PgConnection;
use sqlx::types::Uuid;

const TAG: &str = "operator_actions/1";

/// `operator_actions`.
#[derive(Clone, Copy, Debug)]
pub struct OperatorTrail;

impl Chain for OperatorTrail {
    const TABLE: ChainTable = ChainTable {
        chain: "operator_actions",
        table: "operator_actions",
        key: "action_id",
        written_at: "at",
    };

    async fn contents(
        connection: &mut PgConnection,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<u8>>, sqlx::Error> {
        let rows = sqlx::query!(
            r#"SELECT action_id, actor, role, verb, saga_id, reason, outcome, found, request_id,
                      to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
               FROM operator_actions WHERE action_id = ANY($1)"#,
            keys
        )
        .fetch_all(connection)
        .await?;
        let contents = rows.into_iter().map(|row| {
            let mut fields = Canonical::tagged(TAG);
            fields.text(&row.action_id.to_string()).optional(row.at.as_deref());
            fields.text(&row.actor).text(&row.role).text(&row.verb).text(&row.saga_id.to_string());
            fields.text(&row.reason).text(&row.outcome).number(row.found.into()).text(&row.request_id);
            (row.action_id, fields.into_bytes())
        });
        Ok(contents.collect())
    }
}
