//! The `dtmrs` coordinator: create-order as a saga of three branches, each behind dtmrs's barrier.
//!
//! Once as its makers deploy it, a process of its own that calls the branches over HTTP, and once inside this process,
//! with functions as branches. A client's saga has ended when its last branch has committed: dtmrs answers a
//! submission at once and tells nobody about the end, and asking for it in a loop would cost dtmrs throughput.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use dtmrs::server::api::Api;
use dtmrs::server::driver::{Driver, DriverConfig};
use dtmrs::server::http::{App, router};
use dtmrs::server::registry::Registry;
use dtmrs::{Backend, BranchBarrier, BranchCtx, BranchResult, Decision, SagaStep, Store};
use serde::Deserialize;
use sqlx_dtmrs::AnyPool;
use sqlx_dtmrs::any::AnyPoolOptions;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::Run;
use crate::books::Books;
use crate::effects::{self, Order, Verdict};
use crate::load::{self, Numbers, Seen};
use crate::script::{Step, Steps};

/// The branches: what they do, and what takes it back.
const BRANCHES: &[(&str, &str)] = &[("draft", "reject"), ("hold", "release"), ("confirm", "nothing")];
/// How often the coordinator looks for sagas that were left lying. Submitted ones are driven at once.
const TICK: Duration = Duration::from_secs(1);
/// How long the last sagas may take to be marked as ended, and the coordinator to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The participants' tables, what is done with them, and who waits for it.
struct Desk {
    pool: AnyPool,
    steps: Steps,
    waiting: Mutex<HashMap<i64, oneshot::Sender<bool>>>,
}

impl Desk {
    async fn open(run: &Run) -> Result<Arc<Self>> {
        sqlx_dtmrs::any::install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(run.connections)
            .min_connections(run.connections)
            .connect(&run.tables)
            .await
            .context("connect to the participants' tables")?;
        BranchBarrier::migrate(&pool, Backend::Postgres).await.context("create the barrier's table")?;
        Ok(Arc::new(Self { pool, steps: Steps::read(&run.script)?, waiting: Mutex::default() }))
    }

    /// One call of a branch, as often as the coordinator likes.
    async fn branch(&self, name: &str, call: &Call, order: Order) -> BranchResult {
        match self.transaction(name, call, order).await {
            Ok(Verdict::Done) => {
                match name {
                    "confirm" => self.end(order, true),
                    "reject" => self.end(order, false),
                    _ => {}
                }
                BranchResult::Success
            }
            Ok(Verdict::Refused) => BranchResult::Failure,
            Err(error) => {
                eprintln!("branch {name} of {}: {error:#}", order.id);
                BranchResult::Unknown
            }
        }
    }

    async fn transaction(&self, name: &str, call: &Call, order: Order) -> Result<Verdict> {
        let Some(step) = self.step(name)? else { return Ok(Verdict::Done) };
        let mut barrier =
            BranchBarrier::new(Backend::Postgres, &call.trans_type, &call.gid, &call.branch_id, &call.op)?;
        let mut tx = self.pool.begin().await?;
        let verdict = match barrier.decide(&mut tx).await? {
            Decision::Execute => effects::run(&mut *tx, step, order).await?,
            Decision::NullCompensation | Decision::Duplicated => Verdict::Done,
        };
        match verdict {
            Verdict::Done => tx.commit().await?,
            // The barrier's row goes too: dtmrs asks for that, so that the compensation finds nothing to do.
            Verdict::Refused => tx.rollback().await?,
        }
        Ok(verdict)
    }

    fn step(&self, name: &str) -> Result<Option<&Step>> {
        Ok(Some(match name {
            "draft" => &self.steps.draft,
            "hold" => &self.steps.hold,
            "confirm" => &self.steps.confirm,
            "reject" => &self.steps.reject,
            "release" => &self.steps.release,
            "nothing" => return Ok(None),
            other => bail!("there is no branch {other}"),
        }))
    }

    /// Whoever waits for the saga is told; whether its order is open.
    fn wait(&self, order: Order) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(order.id, sender);
        receiver
    }

    fn end(&self, order: Order, open: bool) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&order.id);
        // Nobody waits when it is a repetition.
        let _ = waiting.map(|waiting| waiting.send(open));
    }
}

/// What the coordinator says about a call.
#[derive(Debug, Deserialize)]
struct Call {
    gid: String,
    trans_type: String,
    branch_id: String,
    op: String,
}

/// The saga's branches, at `http://…` or `local://…`.
fn saga_steps(place: &str, order: Order) -> Result<Vec<SagaStep>> {
    let payload = serde_json::to_string(&order).context("write the branches' payload")?;
    let at = |name: &str| format!("{place}{name}");
    Ok(BRANCHES
        .iter()
        .map(|(action, compensate)| SagaStep {
            action: at(action),
            compensate: at(compensate),
            payload: payload.clone(),
        })
        .collect())
}

/// The coordinator and the branches in this process.
///
/// # Errors
/// When a saga fails, or the effects are not the naive floor's.
pub async fn measure_embedded(run: &Run, books: &Books) -> Result<Seen> {
    let desk = Desk::open(run).await?;
    let mut registry = Registry::new();
    for name in BRANCHES.iter().flat_map(|(action, compensate)| [*action, *compensate]) {
        let desk = Arc::clone(&desk);
        registry.register(name, move |context: BranchCtx| {
            let desk = Arc::clone(&desk);
            async move {
                let Ok(order) = serde_json::from_str(&context.payload) else { return BranchResult::Failure };
                let (gid, op) = (context.gid, context.op.as_str().to_owned());
                let call = Call { gid, trans_type: context.trans_type, branch_id: context.branch_id, op };
                desk.branch(name, &call, order).await
            }
        });
    }
    let store = Store::open(&run.log).await.context("open the coordinator's database")?;
    let driver = Driver::with_config(store.clone(), "embedded".to_owned(), DriverConfig::default())
        .with_registry(Arc::new(registry));
    tokio::spawn(driver.clone().run_forever(TICK));
    let api = Api::new(store).with_inline_driver(driver);
    sagas(run, books, async |order: Order| {
        let ended = desk.wait(order);
        let steps = saga_steps("local://", order)?;
        api.submit(&order.id.to_string(), "saga", &steps).await.context("submit a saga")?;
        ended.await.context("wait for a saga")
    })
    .await
}

/// The coordinator as a process, and the branches behind HTTP.
///
/// # Errors
/// When a saga fails, or the effects are not the naive floor's.
pub async fn measure_processes(run: &Run, books: &Books) -> Result<Seen> {
    let desk = Desk::open(run).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen for branches")?;
    let branches = format!("http://{}/", listener.local_addr()?);
    let service = Router::new().route("/{name}", post(called)).with_state(Arc::clone(&desk));
    tokio::spawn(async move { axum::serve(listener, service).await });

    let (_process, coordinator) = start_coordinator(run).await?;
    let client = reqwest::Client::new();
    let submit = format!("{coordinator}/api/dtmsvr/submit");
    sagas(run, books, async |order: Order| {
        let ended = desk.wait(order);
        let steps: Vec<_> = saga_steps(&branches, order)?
            .into_iter()
            .map(|step| serde_json::json!({"action": step.action, "compensate": step.compensate, "payload": step.payload}))
            .collect();
        let body = serde_json::json!({"gid": order.id.to_string(), "trans_type": "saga", "steps": steps});
        let answer = client.post(&submit).json(&body).send().await.context("submit a saga")?;
        let status = answer.status();
        let said = answer.text().await.context("submit a saga")?;
        ensure!(status == StatusCode::OK && said.contains("SUCCESS"), "submit a saga: {status}: {said}");
        ended.await.context("wait for a saga")
    })
    .await
}

async fn called(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    Query(call): Query<Call>,
    Json(order): Json<Order>,
) -> (StatusCode, &'static str) {
    match desk.branch(&name, &call, order).await {
        BranchResult::Success => (StatusCode::OK, "SUCCESS"),
        BranchResult::Failure => (StatusCode::CONFLICT, "FAILURE"),
        BranchResult::Ongoing | BranchResult::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    }
}

/// The load, and the books afterwards.
async fn sagas<F, Fut>(run: &Run, books: &Books, saga: F) -> Result<Seen>
where
    F: Fn(Order) -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let (before, numbers) = (books.before().await?, Numbers::start()?);
    let first = numbers.next();
    ensure!(!saga(numbers.order(run.customers)).await?, "an order without money was opened");
    let seen = load::measure(run, &numbers, &saga).await?;
    let done = i64::try_from(seen.sagas).context("count the sagas")?;
    // A saga's end is marked after its last branch, which is what the clients waited for.
    let patience = Instant::now() + PATIENCE;
    loop {
        let logged = format!("SELECT count(*) FROM trans_global WHERE gid::bigint >= {first} AND status =");
        let succeeded = books.logged(format!("{logged} 'succeed'"), "sagas that succeeded").await?;
        let failed = books.logged(format!("{logged} 'failed'"), "sagas that failed").await?;
        if (succeeded, failed) == (done, 1) {
            break;
        }
        ensure!(
            Instant::now() < patience,
            "{succeeded} sagas succeeded and {failed} failed, of {done} and 1"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    books.check(&before, first..numbers.next(), done, 1).await?;
    Ok(seen)
}

async fn start_coordinator(run: &Run) -> Result<(Child, String)> {
    let free = TcpListener::bind("127.0.0.1:0").await.context("find a port")?.local_addr()?;
    let process = Command::new(std::env::current_exe().context("find this program")?)
        .args(["coordinator", "--log", &run.log, "--listen", &free.to_string()])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("start the coordinator")?;
    let place = format!("http://{free}");
    let patience = Instant::now() + PATIENCE;
    while reqwest::get(format!("{place}/health")).await.is_err() {
        ensure!(Instant::now() < patience, "the coordinator does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((process, place))
}

/// What the program `dtmrs` does, without what it logs.
///
/// # Errors
/// When the database or the port cannot be had.
pub async fn coordinate(log: &str, listen: SocketAddr) -> Result<()> {
    let store = Store::open(log).await.context("open the coordinator's database")?;
    let driver = Driver::from_env(store.clone(), "coordinator".to_owned());
    tokio::spawn(driver.clone().run_forever(TICK));
    let api = Api::new(store).with_inline_driver(driver);
    let listener = TcpListener::bind(listen).await.context("listen")?;
    axum::serve(listener, router(App::new(api))).await.context("serve")
}
