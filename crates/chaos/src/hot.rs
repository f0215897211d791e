//! How fast orders can be placed on one account: by the mesh, and by pgbench in plain SQL on the same cluster.

use std::process::Command as Process;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use brokerage_proto::common::v1::Side;
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, MeshService};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::load::{Command, Verdict, ask};
use crate::world::World;

/// One transaction does everything that creating an order does, under the account's row lock, taken first.
const BASELINE: &str = include_str!("../sql/hot_account.sql");
const SCHEMA: &str = include_str!("../sql/hot_account_schema.sql");
/// The database of the baseline.
const DATABASE: &str = "hot_account";

/// Orders a second that the mesh placed for one customer; `clients` of them in a closed loop, straight to the
/// orchestrators.
///
/// # Errors
/// The mesh refused something.
pub async fn mesh(world: &World, customer: &str, clients: usize, time: Duration) -> Result<f64> {
    let mut apis = Vec::new();
    for at in world.mesh.addresses(MeshService::Orchestrator) {
        for _ in 0..4 {
            apis.push(Api::new(&format!("http://{}", at.public), ADMIN_TOKEN)?);
        }
    }
    let begun = Instant::now();
    let clients = (0..clients).map(|at| {
        let (api, customer) = (apis[at % apis.len()].clone(), customer.to_owned());
        tokio::spawn(async move {
            let mut placed = 0_u32;
            while begun.elapsed() < time {
                match ask(&api, &Command::create(&customer, Side::Buy, 1)).await {
                    Ok((Verdict::Done { .. }, _)) => placed += 1,
                    Ok((Verdict::Refused(reason), _)) => bail!("an order was refused: {reason}"),
                    Err(status) => bail!("an order was not answered: {status}"),
                }
            }
            Ok(placed)
        })
    });
    let mut placed = 0;
    for client in futures::future::join_all(clients).await {
        placed += client.context("a client panicked")??;
    }
    Ok(f64::from(placed) / begun.elapsed().as_secs_f64())
}

/// Prepares the baseline's tables.
///
/// # Errors
/// The mesh has no cluster of its own, or it refuses.
pub async fn prepare_baseline(world: &mut World) -> Result<()> {
    let cluster = world.mesh.postgres().context("the mesh has a cluster of its own")?;
    cluster.create_database(DATABASE).await?;
    let mut database = PgConnection::connect(&cluster.url(DATABASE)).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut database).await.context("set up the baseline")?;
    sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut database).await.context("analyse the baseline").map(drop)
}

/// The same for pgbench with as many clients.
///
/// # Errors
/// There is no pgbench, or it fails.
pub async fn baseline(world: &mut World, run: u32, clients: usize, time: Duration) -> Result<f64> {
    let cluster = world.mesh.postgres().context("the mesh has a cluster of its own")?;
    let (pgbench, port) = (cluster.bin("pgbench"), cluster.port().to_string());
    let script = std::env::temp_dir().join(format!("hot-account-{}.sql", std::process::id()));
    std::fs::write(&script, BASELINE).context("write pgbench's script")?;
    let mut command = Process::new(pgbench);
    command
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-n", "-M", "prepared", "-j", "1"])
        .args(["-c", &clients.to_string(), "-T", &time.as_secs().max(1).to_string()])
        .args(["-D", "n=0", "-D", &format!("run={run}"), "-f"])
        .arg(&script)
        .arg(DATABASE);
    let output = tokio::task::spawn_blocking(move || command.output()).await.context("wait for pgbench")?;
    let output = output.context("start pgbench")?;
    // Best effort: it is in the system's temporary directory.
    drop(std::fs::remove_file(&script));
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said
        .lines()
        .find(|line| line.starts_with("tps = "))
        .and_then(|line| line.split(' ').nth(2)?.parse().ok());
    match rate {
        Some(rate) if output.status.success() => Ok(rate),
        Some(_) | None => bail!("pgbench failed: {said}{}", String::from_utf8_lossy(&output.stderr)),
    }
}
