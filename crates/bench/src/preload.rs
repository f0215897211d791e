//! Fills the tables of both sides before anything is measured, and analyses them.
//!
//! On empty statistics Postgres plans scans of whole tables. Whoever ran first would be flattered or punished by that.

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::CreateOrderRequest;
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, Mesh};
use brokerctl::market::{Listing, MONEY_SCALES, Market, SHARE_SCALES};
use futures::{StreamExt, TryStreamExt, stream};
use service_kit::database;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Options;
use crate::client::order;
use crate::control::{Control, DATABASE};

/// What is traded.
pub const INSTRUMENT: &str = "BENCH";
/// At which limit, always.
pub const PRICE: &str = "100";
/// What is paid with.
pub const MONEY: &str = "BTRY";
/// The label of every customer's first order.
pub const LABEL: &str = "preload";
const DEPOSIT: &str = "1000000000";
const CONCURRENCY: usize = 24;
const FLOORS: &str = include_str!("../control/preload.sql");
const BARE: &str = include_str!("../control/bare_schema.sql");

/// The name of a customer.
pub fn customer(number: u32) -> String {
    format!("bench-{number}")
}

/// Fills both sides.
///
/// # Errors
/// When the mesh refuses something, or a database cannot be reached.
pub async fn fill(mesh: &mut Mesh, options: &Options) -> Result<Control> {
    fill_mesh(mesh, options.customers).await?;
    let cluster = mesh.postgres().context("the benchmark needs a cluster of its own")?;
    cluster.create_database(DATABASE).await?;
    let control = Control::new(cluster.bin("pgbench"), cluster.port())?;
    let url = cluster.url(DATABASE);
    fill_control(&url, options.customers).await.context("fill the controls")?;
    execute(&url, "VACUUM (ANALYZE)".to_owned()).await?;
    execute(&url, "CHECKPOINT".to_owned()).await?;
    Ok(control)
}

/// The mesh's own tables, all in one database, and the bare ones.
async fn fill_control(url: &str, customers: u32) -> Result<()> {
    let services = [order_svc::migrations(), asset_svc::migrations(), saga_orchestrator::migrations()];
    let kit = database::kit_migrations();
    for migration in kit.iter().chain(services.iter().flat_map(Migrator::iter)) {
        execute(url, migration.sql.as_str().to_owned()).await.context(migration.description.to_string())?;
    }
    for script in [FLOORS, BARE] {
        execute(url, script.replace(":customers", &customers.to_string())).await?;
    }
    Ok(())
}

/// Fills the mesh's side, and analyses it.
///
/// # Errors
/// When the mesh refuses something, or a database cannot be reached.
pub async fn fill_mesh(mesh: &Mesh, customers: u32) -> Result<()> {
    eprintln!("preloading {customers} customers with balances and an order each …");
    let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN)?;
    fill_through(&api, customers).await.context("fill the mesh")?;
    age_log(&mesh.database_urls().order).await.context("age the write-ahead log")?;
    vacuum(mesh).await
}

/// Gives the cluster the log files that one has which is not new.
///
/// A new cluster has none to spare: whenever one is full, a commit first writes 16 MB of zeros and waits for the disk, and
/// all others wait for it (`XLogFileInit`), once a second at 1,500 creates a second. Later a checkpoint renames what it needs no
/// longer, so that files are made no more. As many as the cluster keeps at most are filled here, and handed on by a
/// checkpoint.
async fn age_log(url: &str) -> Result<()> {
    let fill = "SELECT count(pg_logical_emit_message(false, 'bench', '')), count(pg_switch_wal())
                FROM generate_series(1, pg_size_bytes(current_setting('max_wal_size'))
                                        / pg_size_bytes(current_setting('wal_segment_size')))";
    execute(url, fill.to_owned()).await?;
    execute(url, "CHECKPOINT".to_owned()).await
}

/// Analyses the tables of the mesh, and clears away dead rows.
///
/// # Errors
/// When a database cannot be reached.
pub async fn vacuum(mesh: &Mesh) -> Result<()> {
    let urls = mesh.database_urls();
    for url in [&urls.order, &urls.asset, &urls.orchestrator] {
        execute(url, "VACUUM (ANALYZE)".to_owned()).await?;
    }
    Ok(())
}

/// Fills the mesh's side, and nothing else.
///
/// # Errors
/// When the mesh refuses something.
pub async fn fill_through(api: &Api, customers: u32) -> Result<()> {
    let mut market = Market::new(api.clone(), "bench");
    market.asset(MONEY, MONEY_SCALES).await?;
    market.asset(INSTRUMENT, SHARE_SCALES).await?;
    let listing = Listing {
        symbol: INSTRUMENT,
        base: INSTRUMENT,
        quote: MONEY,
        price_scale: 2,
        ticks: &[("0", "0.01")],
    };
    market.instrument(&listing).await?;
    stream::iter(0..customers)
        .map(|number| fill_customer(market.clone(), api.clone(), number))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

async fn fill_customer(mut market: Market, mut api: Api, number: u32) -> Result<()> {
    let id = customer(number);
    market.customer(&id, &id).await?;
    market.deposit(&id, MONEY, DEPOSIT).await?;
    market.deposit(&id, INSTRUMENT, DEPOSIT).await?;
    let first = CreateOrderRequest { client_order_id: LABEL.to_owned(), ..order(number, Side::Buy) };
    api.trading.create_order(first).await.context("create an order")?;
    Ok(())
}

/// Which Postgres this is, and the settings that matter.
///
/// # Errors
/// When it cannot be asked.
pub async fn postgres(mesh: &Mesh) -> Result<String> {
    let mut connection = PgConnection::connect(&mesh.database_urls().order).await?;
    let said = sqlx::query_scalar(
        "SELECT 'Postgres ' || current_setting('server_version') || ': '
                || string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY name)
         FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers',
              'max_wal_size', 'min_wal_size', 'checkpoint_timeout', 'wal_compression', 'max_connections', 'jit',
              'backend_flush_after')",
    );
    let said = said.fetch_one(&mut connection).await.context("ask Postgres for its settings")?;
    connection.close().await.context("close the connection")?;
    Ok(said)
}

/// Runs statements on a connection of their own.
///
/// # Errors
/// When the database refuses.
pub async fn execute(url: &str, sql: String) -> Result<()> {
    let mut connection = PgConnection::connect(url).await.context("connect to Postgres")?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await.context("close the connection")
}
