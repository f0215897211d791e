//! What the programs are trained with before they are compiled for good: the mesh's part of the benchmark, briefly, and reads.
//!
//! Nothing is measured here: programs that count what runs are slower. What does not run counts as rare, and is compiled to
//! be small; so whatever matters in production has to be here.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brokerage_proto::asset::v1::ListPostingsRequest;
use brokerage_proto::order::v1::{GetOrderRequest, ListOrdersRequest};
use brokerctl::api::Api;
use brokerctl::dev::ADMIN_TOKEN;

use crate::client::Workload;
use crate::open_loop::{self, BAR_PART, Of, OpenRow};
use crate::preload::{self, MONEY};
use crate::report::Report;
use crate::{load, stage};

/// Of each workload.
const TIME: Duration = Duration::from_secs(3);
const CUSTOMERS: u32 = 1_000;
const WORKLOADS: [(Workload, usize); 8] = [
    (Workload::Create, 1),
    (Workload::Create, 16),
    (Workload::Mixed, 64),
    (Workload::Unaffordable, 64),
    (Workload::TakenLabel, 64),
    (Workload::Redelivered(10), 64),
    (Workload::Create, 64),
    (Workload::Create, 256),
];

/// Works, and ends the mesh, so that it writes down what it counted.
///
/// # Errors
/// When a command is answered wrongly, the mesh cannot be reached, or the books are not in order.
pub async fn run() -> Result<()> {
    let mut mesh = stage::start(Vec::new()).await?;
    let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN)?;
    preload::fill_through(&api, CUSTOMERS).await.context("fill the mesh")?;
    preload::vacuum(&mesh).await?;
    let mut most = 0.0_f64;
    for (workload, clients) in WORKLOADS {
        eprintln!("training: {workload:?}, {clients} clients");
        let sample = load::measure(&mut mesh, workload, clients, CUSTOMERS, TIME).await?;
        eprintln!("    {sample}");
        if sample.errors > 0 {
            bail!("{} commands were answered wrongly", sample.errors);
        }
        if workload == Workload::Create {
            most = most.max(sample.rate);
        }
    }
    let half = OpenRow { of: Of::Mesh, checkpoint: false, part: BAR_PART };
    eprintln!("training: open loop, {half}");
    let rate = most * f64::from(BAR_PART) / 100.0;
    let sample = open_loop::measure(&mut mesh, half, rate, CUSTOMERS, TIME).await?;
    eprintln!("    {}", sample.seen);
    let pages = reads(api).await?;
    eprintln!("training: {pages} pages read");
    let mut report = Report::default();
    stage::end(mesh, "training", &mut report).await?;
    if !report.is_clean() {
        bail!("the audit found a difference");
    }
    Ok(())
}

/// Reads orders and postings for a while, one customer after another; answers how many pages.
async fn reads(mut api: Api) -> Result<u32> {
    let end = Instant::now() + TIME;
    let mut pages = 0;
    while Instant::now() < end {
        let customer_id = preload::customer(pages % CUSTOMERS);
        let orders = ListOrdersRequest { customer_id: customer_id.clone(), ..ListOrdersRequest::default() };
        let orders = api.orders.list_orders(orders).await.context("list orders")?.into_inner();
        if let Some(order) = orders.orders.first() {
            let order_id = order.order_id.clone();
            let request = GetOrderRequest { order_id, ..GetOrderRequest::default() };
            api.orders.get_order(request).await.context("get an order")?;
        }
        let asset = MONEY.to_owned();
        let postings = ListPostingsRequest { customer_id, asset, ..ListPostingsRequest::default() };
        api.assets.list_postings(postings).await.context("list postings")?;
        pages += 1;
    }
    Ok(pages)
}
