//! What a database administrator, a crash or a full machine does to Postgres, as functions that see it happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use dev_cluster::{Signal, send_signal};
use sqlx::{Connection, PgConnection};

use crate::wait::until;
use crate::world::World;

/// Commits wait so many microseconds before they reach the disk, so that one can be caught there.
const COMMIT_DELAY: &str = "20000";

/// A session of the superuser, away from the services' databases.
///
/// # Errors
/// The cluster cannot be reached.
pub async fn superuser(world: &World) -> Result<PgConnection> {
    // The services' own databases are cut and locked here; this one is nobody's.
    let url = world.urls().asset.replace(MeshService::Asset.database(), "postgres");
    PgConnection::connect(&url).await.context("connect as superuser")
}

/// Ends the cluster as a crash would and starts it again on the same port; returns once it takes connections.
///
/// # Errors
/// It does not come back.
pub fn crash(world: &mut World) -> Result<()> {
    let cluster = world.mesh.postgres().context("the mesh has a cluster of its own")?;
    tokio::task::block_in_place(|| {
        cluster.kill_immediately()?;
        cluster.restart()
    })
}

/// Kills one backend while it commits, which makes the whole cluster recover; returns once it takes connections.
/// With `before_the_disk`, commits are held up before they are written, so that this one is surely lost.
///
/// # Errors
/// Nobody commits, or the cluster does not come back.
pub async fn kill_in_commit(world: &World, before_the_disk: bool) -> Result<()> {
    let mut admin = superuser(world).await?;
    if before_the_disk {
        set(&mut admin, &[("commit_delay", COMMIT_DELAY), ("commit_siblings", "0")]).await?;
    }
    let pid = until("somebody commits", async || {
        let pid: Option<i32> = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND state = 'active' AND query = 'COMMIT' LIMIT 1",
        )
        .fetch_optional(&mut admin)
        .await?;
        Ok(pid)
    })
    .await?;
    send_signal(pid.unsigned_abs(), Signal::Kill).context("kill a backend")?;
    // The postmaster ends every session when one of its backends dies like that.
    until("the cluster notices", async || {
        Ok(sqlx::query("SELECT 1").execute(&mut admin).await.is_err().then_some(()))
    })
    .await?;
    let mut admin = until("the cluster recovers", async || Ok(superuser(world).await.ok())).await?;
    reset(&mut admin, &["commit_delay", "commit_siblings"]).await
}

/// Cuts sessions of the services, one or all of them; how many.
///
/// # Errors
/// The cluster cannot be asked.
pub async fn terminate(admin: &mut PgConnection, all: bool) -> Result<u64> {
    let cut: i64 = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM (
             SELECT pid FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND datname <> 'postgres' ORDER BY random() LIMIT $1) AS s",
    )
    .bind(if all { 1_000_i64 } else { 1 })
    .fetch_one(admin)
    .await
    .context("terminate backends")?;
    Ok(cut.unsigned_abs())
}

/// Locks every row of a table until so many statements of others have run into their lock timeout, and lets go.
///
/// A session that was seen waiting for us and later waits with another statement has had a timeout in between,
/// because nothing else ends a wait for a lock that is never let go.
///
/// # Errors
/// Nobody waits.
pub async fn hold_locks(
    world: &World,
    service: MeshService,
    table: &'static str,
    timeouts: usize,
) -> Result<u64> {
    let mut holder = world.connect(service).await?;
    let mut observer = superuser(world).await?;
    let us: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut holder).await?;
    let mut tx = holder.begin().await?;
    let lock = format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE");
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut *tx).await.context("lock a table")?;
    let mut waits: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    let seen = until("statements run into their lock timeout", async || {
        let waiting: Vec<(i32, String)> = sqlx::query_as(
            "SELECT pid, query_start::text FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))",
        )
        .bind(us)
        .fetch_all(&mut observer)
        .await?;
        for (pid, since) in waiting {
            waits.entry(pid).or_default().insert(since);
        }
        let timed_out: usize = waits.values().map(|starts| starts.len().saturating_sub(1)).sum();
        Ok((timed_out >= timeouts).then_some(timed_out))
    })
    .await?;
    tx.rollback().await.context("let the locks go")?;
    Ok(seen as u64)
}

/// Makes the whole cluster read-only, as before a failover, until a write of the services was seen to fail; how long
/// it took until a write succeeded afterwards.
///
/// # Errors
/// Writes go on, or do not come back.
pub async fn read_only(world: &World) -> Result<Duration> {
    let mut admin = superuser(world).await?;
    set(&mut admin, &[("default_transaction_read_only", "on")]).await?;
    until("a write fails", async || Ok((!writes(world).await?).then_some(()))).await?;
    reset(&mut admin, &["default_transaction_read_only"]).await?;
    let back = tokio::time::Instant::now();
    until("a write succeeds", async || Ok(writes(world).await?.then_some(()))).await?;
    Ok(back.elapsed())
}

/// Whether asset-svc can write: a deposit says so.
async fn writes(world: &World) -> Result<bool> {
    let request = brokerage_proto::asset::v1::DepositRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
        amount: "1".to_owned(),
        ..Default::default()
    };
    Ok(world.api()?.assets.deposit(request).await.is_ok())
}

async fn set(admin: &mut PgConnection, settings: &[(&str, &str)]) -> Result<()> {
    for (name, value) in settings {
        let statement = format!("ALTER SYSTEM SET {name} = '{value}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut *admin)
            .await
            .context("change a setting")?;
    }
    reload(admin).await
}

async fn reset(admin: &mut PgConnection, names: &[&str]) -> Result<()> {
    for name in names {
        let statement = format!("ALTER SYSTEM RESET {name}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut *admin)
            .await
            .context("change a setting")?;
    }
    reload(admin).await
}

async fn reload(admin: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_reload_conf()").execute(admin).await.context("reload the settings").map(drop)
}
