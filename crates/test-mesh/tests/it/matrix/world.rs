//! order-svc and asset-svc in this process, each over a database of its own, and nobody who drives sagas: that is the
//! matrix's part.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use asset_svc::AssetService;
use brokerage_proto::asset::v1 as asset_wire;
use brokerage_proto::asset::v1::asset_service_client::AssetServiceClient;
use brokerage_proto::asset::v1::customer_service_client::CustomerServiceClient;
use brokerage_proto::order::v1 as order_wire;
use brokerage_proto::order::v1::order_service_client::OrderServiceClient;
use brokerage_types::OrderId;
use dev_cluster::TestDatabase;
use order_svc::OrderService;
use saga_orchestrator::engine::pace::Pace;
use saga_orchestrator::participants::Grpc;
use service_kit::database::migrator;
use service_kit::run::{Kit, Listeners, Service, run_until};
use service_kit::settings::Settings;
use test_mesh::{Identity, Wire, fresh};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Endpoint;

use super::snapshot::{Database, Snapshot};

/// Whole shares; the fee of their trades is rounded to two decimals of TRY.
const FEE_PPM: i32 = 1_500;

/// Both participants.
pub struct World {
    /// The wire to them, as the orchestrator has it.
    pub grpc: Grpc,
    orders: OrderServiceClient<Wire>,
    assets: AssetServiceClient<Wire>,
    customers: CustomerServiceClient<Wire>,
    databases: [Database; 2],
    casts: AtomicU32,
    _stop: DropGuard,
    _kept: [TestDatabase; 2],
}

/// Two people and an instrument of their own, so that every case starts from the same numbers.
#[derive(Clone)]
pub struct Cast {
    /// Has 100,000 TRY.
    pub buyer: String,
    /// Has 1,000 shares.
    pub seller: String,
    /// The instrument.
    pub symbol: String,
}

/// No attempt is ever late here: only the faults that a case makes count.
pub fn patient() -> Pace {
    Pace {
        attempt: Duration::from_secs(30),
        budget: Duration::from_secs(120),
        backoff_first: Duration::from_millis(1),
        jitter: false,
        ..Pace::scaled(1.0)
    }
}

impl World {
    /// Starts both, with two assets and a commission.
    pub async fn start() -> Arc<World> {
        let stop = CancellationToken::new();
        let (order_kept, [order_public, order_internal]) = serve::<OrderService>(&stop).await;
        let (asset_kept, [asset_public, asset_internal]) = serve::<AssetService>(&stop).await;
        let mut settings = Settings::dev();
        settings.auth.service_name = "orchestrator".to_owned();
        (settings.peers.order, settings.peers.asset) = (order_internal, asset_internal);
        let connect = |uri: String| {
            Identity::user("token-admin").on(&Endpoint::from_shared(uri).unwrap().connect_lazy())
        };
        let (order_public, asset_public) = (connect(order_public), connect(asset_public));
        let databases =
            [Database::open("order", &order_kept.url).await, Database::open("asset", &asset_kept.url).await];
        databases[1].execute(&format!("UPDATE tiers SET fee_ppm = {FEE_PPM} WHERE tier = 'PREMIUM'")).await;
        let world = World {
            grpc: Grpc::connect(&Kit::new(settings).unwrap(), &patient()).unwrap(),
            orders: OrderServiceClient::new(order_public),
            assets: AssetServiceClient::new(asset_public.clone()),
            customers: CustomerServiceClient::new(asset_public),
            databases,
            casts: AtomicU32::new(0),
            _stop: stop.drop_guard(),
            _kept: [order_kept, asset_kept],
        };
        for (asset, ledger_scale, transfer_scale) in [("TRY", 6, 2), ("SHARE", 0, 0)] {
            let asset = Some(asset_wire::Asset { asset: asset.to_owned(), ledger_scale, transfer_scale });
            let request = asset_wire::UpsertAssetRequest { request_id: fresh(), asset };
            world.assets.clone().upsert_asset(request).await.unwrap();
        }
        Arc::new(world)
    }

    /// Every row of every table of both databases.
    pub async fn snapshot(&self) -> Snapshot {
        let [order, asset] = &self.databases;
        Snapshot::of([order.rows().await, asset.rows().await])
    }

    /// New people with a new instrument.
    pub async fn cast(&self) -> Cast {
        let number = self.casts.fetch_add(1, Ordering::Relaxed);
        let cast = Cast {
            buyer: format!("buyer-{number}-"),
            seller: format!("seller-{number}-"),
            symbol: format!("XYZ-{number}-"),
        };
        for customer_id in [&cast.buyer, &cast.seller] {
            let customer = Some(asset_wire::Customer {
                customer_id: customer_id.clone(),
                name: "Somebody".to_owned(),
                tier: asset_wire::Tier::Premium.into(),
                state: asset_wire::CustomerState::Active.into(),
                version: 0,
            });
            let request = asset_wire::UpsertCustomerRequest { request_id: fresh(), customer };
            self.customers.clone().upsert_customer(request).await.unwrap();
        }
        for (customer_id, asset, amount) in [(&cast.buyer, "TRY", "100000"), (&cast.seller, "SHARE", "1000")]
        {
            let request = asset_wire::DepositRequest {
                request_id: fresh(),
                customer_id: customer_id.clone(),
                asset: asset.to_owned(),
                amount: amount.to_owned(),
                ..Default::default()
            };
            self.assets.clone().deposit(request).await.unwrap();
        }
        let instrument = Some(order_wire::Instrument {
            symbol: cast.symbol.clone(),
            base_asset: "SHARE".to_owned(),
            quote_asset: "TRY".to_owned(),
            price_scale: 2,
            quantity_scale: 0,
            quote_ledger_scale: 6,
            tick_bands: vec![order_wire::TickBand { from_price: "0".to_owned(), tick: "0.01".to_owned() }],
            lot: "1".to_owned(),
            state: order_wire::InstrumentState::Open.into(),
            ..Default::default()
        });
        let request = order_wire::UpsertInstrumentRequest { request_id: fresh(), instrument };
        self.orders.clone().upsert_instrument(request).await.unwrap();
        cast
    }

    /// An operator takes an order out of the market.
    pub async fn suspend(&self, order_id: OrderId) {
        let (request_id, order_id) = (fresh(), order_id.to_string());
        let request =
            order_wire::SuspendOrderRequest { request_id, order_id, reason: "looks wrong".to_owned() };
        self.orders.clone().suspend_order(request).await.unwrap();
    }

    /// Every order is the fold of its events, and all money is somewhere.
    pub async fn audit(&self) {
        let [order, asset] = &self.databases;
        let mut connection = order.pool.acquire().await.unwrap();
        assert!(order_svc::audit::verify_orders(&mut connection).await.unwrap() > 0);
        let unexplained: Vec<String> = sqlx::query_scalar(
            "SELECT asset FROM postings GROUP BY asset HAVING sum(amount) <> 0
             UNION ALL
             SELECT b.owner || ' ' || b.asset FROM balances b CROSS JOIN LATERAL (
                 SELECT coalesce(sum(amount) FILTER (WHERE kind = 1), 0) AS available,
                        coalesce(sum(amount) FILTER (WHERE kind = 2), 0) AS held
                 FROM postings p WHERE p.owner = b.owner AND p.asset = b.asset) posted
             WHERE b.available <> posted.available OR b.held <> posted.held",
        )
        .fetch_all(&asset.pool)
        .await
        .unwrap();
        assert!(unexplained.is_empty(), "unexplained: {unexplained:?}");
    }
}

/// Starts a service until `stop`; gives its database and its public and internal addresses.
async fn serve<S: Service>(stop: &CancellationToken) -> (TestDatabase, [String; 2]) {
    let database = dev_cluster::test_database(migrator(&S::migrations())).await.unwrap();
    let mut settings = Settings::dev();
    settings.database.url.clone_from(&database.url);
    settings.database.migrate_on_start = false;
    let listeners = Listeners::local().await.unwrap();
    let addresses = listeners.addresses().unwrap();
    tokio::spawn(run_until::<S>(settings, listeners, stop.clone()));
    (database, [addresses.public, addresses.internal].map(|address| format!("http://{address}")))
}
