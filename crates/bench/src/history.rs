//! Throughput over tables that have grown: finished sagas with all their rows in all three databases.
//!
//! The rows are written by SQL, as the mesh would have written them: consistent across the databases, so that the audit
//! proves them too, and with times over the last days, so that tables which are divided by time are divided. The journal
//! is sealed by the sealer's own code. *Cold* is the first measurement after Postgres was started anew, with nothing in
//! its own cache; `--drop-caches` empties the system's too. *Warm* comes right after.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use asset_svc::store::Journal;
use brokerage_proto::common::v1::Side;
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, Mesh};
use serde::Serialize;
use service_kit::seal::seal_waiting;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::case::BUSY;
use crate::client::{Workload, order};
use crate::sample::Sample;
use crate::{Options, load, preload};

/// Over how long the history is spread, up to a minute ago.
const SPAN: Duration = Duration::from_secs(7 * 24 * 3600);
const LAST: Duration = Duration::from_secs(60);
/// Sagas in one statement, and one transaction.
const CHUNK: i64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
const COMMON: &str = include_str!("../control/history.sql");

/// How fast it is at one size.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Finished sagas before the first measurement.
    pub sagas: i64,
    /// All three databases, in megabytes.
    pub size_mb: f64,
    /// Right after Postgres was started anew.
    pub cold: Sample,
    /// Right after that.
    pub warm: Sample,
}

/// Measures at each size, smallest first.
///
/// # Errors
/// When the databases or the mesh do not do as they should.
pub async fn measure(mesh: &mut Mesh, options: &Options) -> Result<Vec<Point>> {
    let mut sizes = options.history.clone();
    sizes.sort_unstable();
    let mut points = Vec::new();
    for size in sizes {
        grow(mesh, options.customers, size).await.with_context(|| format!("make {size} sagas"))?;
        let (sagas, size_mb) = (count(mesh).await?, size_mb(mesh).await?);
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for round in 1..=options.rounds {
            eprintln!("round {round} of {}: {sagas} sagas, {size_mb:.0} MB", options.rounds);
            chill(mesh, options).await?;
            for (temperature, taken) in [("cold", &mut cold), ("warm", &mut warm)] {
                let time = options.time();
                let sample = load::measure(mesh, Workload::Create, BUSY, options.customers, time).await?;
                eprintln!("    {temperature}: {sample}");
                taken.push(sample);
            }
        }
        points.push(Point { sagas, size_mb, cold: Sample::median(&cold), warm: Sample::median(&warm) });
    }
    Ok(points)
}

async fn count(mesh: &Mesh) -> Result<i64> {
    let mut database = PgConnection::connect(&mesh.database_urls().orchestrator).await?;
    let count = sqlx::query_scalar("SELECT count(*) FROM sagas").fetch_one(&mut database).await;
    database.close().await?;
    count.context("count the sagas")
}

async fn size_mb(mesh: &Mesh) -> Result<f64> {
    let urls = mesh.database_urls();
    let mut size = 0.0;
    for url in [&urls.order, &urls.asset, &urls.orchestrator] {
        let mut database = PgConnection::connect(url).await?;
        let bytes = sqlx::query_scalar::<_, f64>("SELECT pg_database_size(current_database())::float8");
        size += bytes.fetch_one(&mut database).await? / 1e6;
        database.close().await?;
    }
    Ok(size)
}

/// Adds finished sagas until there are so many.
async fn grow(mesh: &Mesh, customers: u32, size: i64) -> Result<()> {
    let there = count(mesh).await?;
    if there < size {
        eprintln!("making {} finished sagas …", size - there);
        let urls = mesh.database_urls();
        let history = History::new(there, size, customers);
        tokio::try_join!(
            history.write(&urls.orchestrator, include_str!("../control/history_orchestrator.sql")),
            history.write(&urls.order, include_str!("../control/history_order.sql")),
            history.write(&urls.asset, include_str!("../control/history_asset.sql")),
        )?;
        seal(&urls.asset).await.context("seal the journal")?;
    }
    preload::vacuum(mesh).await
}

/// Which sagas.
struct History {
    first: i64,
    end: i64,
    common: String,
}

impl History {
    fn new(first: i64, end: i64, customers: u32) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a grain of microseconds is enough")]
        let step = (SPAN - LAST).as_secs_f64() / (end - first) as f64;
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let begin = (now - SPAN).as_secs_f64() - first as f64 * step;
        let common = COMMON.replace(":begin", &begin.to_string()).replace(":step", &format!("{step:.9}"));
        Self { first, end, common: common.replace(":customers", &customers.to_string()) }
    }

    async fn write(&self, url: &str, script: &str) -> Result<()> {
        let mut database = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(self.common.clone())).execute(&mut database).await.context("prepare")?;
        let mut first = self.first;
        while first < self.end {
            let count = CHUNK.min(self.end - first);
            let script = script.replace(":first", &first.to_string()).replace(":count", &count.to_string());
            sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut database).await.context("write rows")?;
            first += count;
        }
        database.close().await.context("close the connection")
    }
}

/// Until nothing waits; the mesh's own sealer helps.
async fn seal(url: &str) -> Result<()> {
    let mut database = PgConnection::connect(url).await?;
    loop {
        seal_waiting::<Journal>(&mut database).await?;
        let waiting = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM ledger_tx WHERE book_seq IS NULL");
        if waiting.fetch_one(&mut database).await? == 0 {
            return database.close().await.context("close the connection");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Empties the caches, and waits until the mesh is there again.
async fn chill(mesh: &mut Mesh, options: &Options) -> Result<()> {
    // So that it starts again at once.
    preload::execute(&mesh.database_urls().order, "CHECKPOINT".to_owned()).await?;
    mesh.postgres().context("the benchmark needs a cluster of its own")?.stop()?;
    if options.drop_caches {
        let done = Command::new("sh").args(["-c", "sync; echo 3 > /proc/sys/vm/drop_caches"]).status();
        ensure!(done.context("drop the system's caches")?.success(), "the caches could not be dropped");
    }
    mesh.postgres().context("the benchmark needs a cluster of its own")?.restart()?;
    wait_until_back(mesh).await
}

/// Until the mesh does its work again, after Postgres was away.
///
/// # Errors
/// When it does not.
pub async fn wait_until_back(mesh: &Mesh) -> Result<()> {
    let mut api = Api::new(&mesh.public_uri(), ADMIN_TOKEN)?;
    let begun = Instant::now();
    while let Err(status) = api.trading.create_order(order(0, Side::Buy)).await {
        ensure!(begun.elapsed() < PATIENCE, "the mesh did not come back: {status}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
