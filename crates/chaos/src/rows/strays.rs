//! Saga rows that no process of today would write: of an unknown version, with an input that cannot be read, or met by
//! a foreign verdict in an inbox. Written into the tables, as another release or a broken disk would have done.

use anyhow::{Context, Result};
use brokerage_proto::saga::v1::RetrySagaRequest;
use brokerage_types::Reason;
use brokerctl::dev::MeshService;
use service_kit::fault::reason_of;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::wait::until;
use crate::world::World;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// No process knows its version.
    Version,
    /// Its input is empty.
    NoInput,
    /// One of its commands is not readable.
    BadCommand,
    /// Another command was done under its first step's key.
    ForeignVerdict,
}

impl Oddity {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Version, Self::NoInput, Self::BadCommand, Self::ForeignVerdict];
}

/// A row that was written.
#[derive(Clone, Copy, Debug)]
pub struct Stray {
    /// Which.
    pub saga_id: Uuid,
    /// What is wrong with it.
    pub oddity: Oddity,
}

/// A version that nobody has.
const NO_VERSION: i16 = 0;

/// Like an order that was created before, with a number of its own and an owner that is long gone.
const INSERT: &str = "
    INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner)
    SELECT $1, kind, coalesce($2, version), 'chaos', $1, ''::bytea,
           CASE WHEN $3 THEN '{}'::jsonb
                WHEN $4 THEN jsonb_set(input, '{quantity}', '\"many\"')
                ELSE jsonb_set(jsonb_set(input, '{order_id}', to_jsonb($1)), '{client_order_id}', to_jsonb($1)) END,
           gen_random_uuid()
    FROM sagas WHERE kind = 'create_order' AND status = 3 AND version > 0 ORDER BY saga_id LIMIT 1";

const FOREIGN: &str = "
    INSERT INTO inbox (saga_id, step, verdict, request_hash, epoch, command)
    VALUES ($1, 0, 1, 'another'::bytea, 0, 'chaos')";

/// Writes a stray, as soon as an order has been created that it can look like.
///
/// # Errors
/// A database cannot be written to.
pub async fn write(world: &World, sagas: &mut PgConnection, oddity: Oddity) -> Result<Stray> {
    let saga_id = Uuid::now_v7();
    if oddity == Oddity::ForeignVerdict {
        let mut order = world.connect(MeshService::Order).await?;
        sqlx::query(FOREIGN).bind(saga_id).execute(&mut order).await.context("write a foreign verdict")?;
    }
    until("a created order's saga has ended, which a stray can look like", async || {
        let written = sqlx::query(INSERT)
            .bind(saga_id)
            .bind((oddity == Oddity::Version).then_some(NO_VERSION))
            .bind(oddity == Oddity::NoInput)
            .bind(oddity == Oddity::BadCommand)
            .execute(&mut *sagas)
            .await
            .context("write a stray saga")?;
        Ok((written.rows_affected() == 1).then_some(()))
    })
    .await?;
    Ok(Stray { saga_id, oddity })
}

/// Waits until every stray is parked, with a reason. None may be lost or end.
///
/// # Errors
/// One is not parked in time.
pub async fn until_parked(sagas: &mut PgConnection, strays: &[Stray]) -> Result<()> {
    let ids: Vec<Uuid> = strays.iter().map(|stray| stray.saga_id).collect();
    let wanted = i64::try_from(ids.len())?;
    until("every stray is parked", async || {
        let query =
            "SELECT count(*) FROM sagas WHERE saga_id = ANY($1) AND status = 5 AND reason IS NOT NULL";
        let parked: i64 = sqlx::query_scalar(query).bind(&ids).fetch_one(&mut *sagas).await?;
        Ok((parked == wanted).then_some(()))
    })
    .await
}

/// Mends what can be mended, and lets an operator retry it: a process that knows the version comes, the foreign
/// verdict goes. What nobody can read is struck off; it never had an effect.
///
/// # Errors
/// A database or the mesh cannot be asked; or a mended saga does not end.
pub async fn mend(world: &World, sagas: &mut PgConnection, strays: &[Stray]) -> Result<()> {
    let mut order = world.connect(MeshService::Order).await?;
    let mut api = world.api()?.sagas;
    for stray in strays {
        let mending = match stray.oddity {
            Oddity::Version => {
                "UPDATE sagas SET version = (SELECT max(version) FROM sagas WHERE kind = 'create_order')
                 WHERE saga_id = $1"
            }
            Oddity::NoInput | Oddity::BadCommand => "DELETE FROM sagas WHERE saga_id = $1",
            Oddity::ForeignVerdict => "SELECT 1 WHERE $1::uuid IS NOT NULL",
        };
        if stray.oddity == Oddity::ForeignVerdict {
            let query = "DELETE FROM inbox WHERE saga_id = $1 AND step = 0 AND command = 'chaos'";
            sqlx::query(query).bind(stray.saga_id).execute(&mut order).await?;
        }
        sqlx::query(mending).bind(stray.saga_id).execute(&mut *sagas).await.context("mend a stray")?;
        if matches!(stray.oddity, Oddity::Version | Oddity::ForeignVerdict) {
            let (saga_id, reason) = (stray.saga_id.to_string(), "the fault is over".to_owned());
            let request = RetrySagaRequest { saga_id, reason };
            match api.retry_saga(request).await {
                // Its owner has gone, and who took it over just now could read it.
                Err(status)
                    if matches!(reason_of(&status), Some(Reason::SagaNotParked | Reason::SagaEnded)) => {}
                answer => drop(answer.with_context(|| format!("retry {stray:?}"))?),
            }
        }
    }
    world.settle().await.map(drop)
}
