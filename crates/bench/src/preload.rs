//! Fills the tables of both sides before anything is measured, and analyses them.
//!
//! On empty statistics Postgres plans scans of whole tables. Whoever ran first would be flattered or punished by that.

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, Mesh};
use brokerctl::market::{Listing, MONEY_SCALES, Market, SHARE_SCALES};
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Options;
use crate::control::{Control, DATABASE};
use crate::load::order;

/// What is traded.
pub const INSTRUMENT: &str = "BENCH";
/// At which limit, always.
pub const PRICE: &str = "100";
const MONEY: &str = "BTRY";
const DEPOSIT: &str = "1000000000";
const CONCURRENCY: usize = 24;
const SCHEMA: &str = include_str!("../control/schema.sql");

/// The name of a customer.
pub fn customer(number: u32) -> String {
    format!("bench-{number}")
}

/// Fills both sides.
///
/// # Errors
/// When the mesh refuses something, or a database cannot be reached.
pub async fn fill(mesh: &mut Mesh, options: &Options) -> Result<Control> {
    eprintln!("preloading {} customers with balances and an order each …", options.customers);
    fill_mesh(&Api::new(&mesh.public_uri(), ADMIN_TOKEN)?, options.customers)
        .await
        .context("fill the mesh")?;
    let urls = mesh.database_urls().clone();
    let cluster = mesh.postgres().context("the benchmark needs a cluster of its own")?;
    cluster.create_database(DATABASE).await?;
    let control = Control::new(cluster.bin("pgbench"), cluster.port())?;
    let url = cluster.url(DATABASE);
    execute(&url, SCHEMA.replace(":customers", &options.customers.to_string()))
        .await
        .context("fill the control")?;
    for url in [&urls.order, &urls.asset, &urls.orchestrator, &url] {
        execute(url, "VACUUM (ANALYZE)".to_owned()).await?;
    }
    execute(&url, "CHECKPOINT".to_owned()).await?;
    Ok(control)
}

async fn fill_mesh(api: &Api, customers: u32) -> Result<()> {
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
    api.trading.create_order(order(number, Side::Buy)).await.context("create an order")?;
    Ok(())
}

async fn execute(url: &str, sql: String) -> Result<()> {
    let mut connection = PgConnection::connect(url).await.context("connect to Postgres")?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await.context("close the connection")
}
