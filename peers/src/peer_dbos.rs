//! The `dbos` crate: create-order as a durable workflow of three steps, in one process.
//!
//! The crate has no step that shares a transaction with its checkpoint, so a step may run twice. The keys of the
//! tables tell: a step that finds its own row has been done.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dbos::{Config, DBOS, RunOptions, step};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::Run;
use crate::books::Books;
use crate::effects::{self, Order, Verdict};
use crate::load::{self, Numbers, Seen};
use crate::script::{Step, Steps};

/// What dbos records of a step that failed.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
struct Fault(String);

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

/// The participants' tables, and what is done with them.
struct Desk {
    pool: PgPool,
    steps: Steps,
}

impl Desk {
    /// One step in a transaction of its own. It is done, whether by this call or by an earlier one, or refused.
    async fn act(&self, step: &Step, order: Order, mark: &'static str) -> dbos::Result<bool, Fault> {
        let acted = self.transaction(step, order).await;
        match acted {
            Ok(Verdict::Done) => Ok(true),
            Ok(Verdict::Refused) => Ok(self.is_marked(mark, order).await.map_err(Fault::from)?),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(true),
            Err(error) => Err(Fault::from(error))?,
        }
    }

    async fn transaction(&self, step: &Step, order: Order) -> Result<Verdict, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let verdict = effects::run(&mut *tx, step, order).await?;
        match verdict {
            Verdict::Done => tx.commit().await?,
            Verdict::Refused => tx.rollback().await?,
        }
        Ok(verdict)
    }

    /// Whether an earlier run of a step that is refused now had been done.
    async fn is_marked(&self, mark: &'static str, order: Order) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(mark).bind(order.id);
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }
}

const DRAFTED: &str = "SELECT 1 FROM orders WHERE order_id = lpad(to_hex($1), 32, '0')::uuid";
const HELD: &str =
    "SELECT 1 FROM holds WHERE hold_id = lpad(to_hex($1), 32, '0')::uuid AND status = 'ACTIVE'";
const OPEN: &str =
    "SELECT 1 FROM orders WHERE order_id = lpad(to_hex($1), 32, '0')::uuid AND status = 'PENDING'";
const REJECTED: &str =
    "SELECT 1 FROM orders WHERE order_id = lpad(to_hex($1), 32, '0')::uuid AND status = 'REJECTED'";
const RELEASED: &str =
    "SELECT 1 FROM holds WHERE hold_id = lpad(to_hex($1), 32, '0')::uuid AND status = 'CLOSED'";

/// The workflow: whether the order is open in the end. Compensations are plain code, as dbos has it.
async fn create_order(desk: Arc<Desk>, order: Order) -> dbos::Result<bool, Fault> {
    let steps = &desk.steps;
    step("draft_order", || desk.act(&steps.draft, order, DRAFTED)).await?;
    if !step("place_hold", || desk.act(&steps.hold, order, HELD)).await? {
        step("reject_order", || desk.act(&steps.reject, order, REJECTED)).await?;
        return Ok(false);
    }
    if !step("confirm_order", || desk.act(&steps.confirm, order, OPEN)).await? {
        step("release_hold", || desk.act(&steps.release, order, RELEASED)).await?;
        step("reject_order", || desk.act(&steps.reject, order, REJECTED)).await?;
        return Ok(false);
    }
    Ok(true)
}

/// Measures it.
///
/// # Errors
/// When a saga fails, or the effects are not the naive floor's.
pub async fn measure(run: &Run, books: &Books) -> Result<Seen> {
    let pool = PgPoolOptions::new()
        .max_connections(run.connections)
        .min_connections(run.connections)
        .connect(&run.tables)
        .await
        .context("connect to the participants' tables")?;
    let desk = Arc::new(Desk { pool, steps: Steps::read(&run.script)? });
    let dbos = DBOS::new(Config {
        max_connections: run.log_connections,
        app_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Config::new("peers", &run.log)
    });
    let workflow = dbos
        .register_workflow("create_order", move |order: Order| create_order(Arc::clone(&desk), order))
        .context("register the workflow")?;
    dbos.launch().await.context("launch dbos")?;

    let (before, numbers) = (books.before().await?, Numbers::start()?);
    let first = numbers.next();
    let saga = async |order: Order| {
        let id = order.id.to_string();
        let options = RunOptions { workflow_id: Some(&id), ..RunOptions::default() };
        workflow.run_with(order, options).await.map_err(anyhow::Error::from)
    };
    ensure!(!saga(numbers.order(run.customers)).await?, "an order without money was opened");
    let seen = load::measure(run, &numbers, &saga).await?;
    dbos.shutdown().await;

    let done = i64::try_from(seen.sagas).context("count the sagas")?;
    books.check(&before, first..numbers.next(), done, 1).await?;
    let logged =
        format!("FROM dbos.workflow_status WHERE status = 'SUCCESS' AND workflow_uuid::bigint >= {first}");
    let workflows = books.logged(format!("SELECT count(*) {logged}"), "workflows").await?;
    ensure!(workflows == done + 1, "{workflows} workflows ended, and not {done}");
    let logged = format!("FROM dbos.operation_outputs WHERE workflow_uuid::bigint >= {first}");
    let checkpoints = books.logged(format!("SELECT count(*) {logged}"), "checkpoints").await?;
    ensure!(checkpoints == 3 * (done + 1), "{checkpoints} steps were recorded in {done} sagas");
    Ok(seen)
}
