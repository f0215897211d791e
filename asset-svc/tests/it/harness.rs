//! A running asset-svc with its own database, clients for everybody, and people in situations.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use asset_svc::AssetService;
use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::asset_participant_client::AssetParticipantClient;
use brokerage_proto::asset::v1::asset_service_client::AssetServiceClient;
use brokerage_proto::asset::v1::customer_service_client::CustomerServiceClient;
use brokerage_proto::common::v1 as common;
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use service_kit::auth::{SERVICE_NAME_HEADER, SERVICE_SECRET_HEADER};
use service_kit::database::migrator;
use service_kit::fault::reason_of;
use service_kit::run::{Listeners, run_until};
use service_kit::settings::{DEV_SERVICE_SECRET, Settings};
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

pub type Assets = AssetServiceClient<InterceptedService<Channel, Identity>>;
pub type Customers = CustomerServiceClient<InterceptedService<Channel, Identity>>;
pub type Participant = AssetParticipantClient<InterceptedService<Channel, Identity>>;

/// Writers of one replica.
const LANES: usize = 2;

/// Who calls.
#[derive(Clone)]
pub enum Identity {
    User(&'static str),
    Orchestrator,
}

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = request.metadata_mut();
        match self {
            Identity::User(token) => {
                headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            Identity::Orchestrator => {
                headers.insert(SERVICE_NAME_HEADER, MetadataValue::from_static("orchestrator"));
                headers.insert(SERVICE_SECRET_HEADER, MetadataValue::from_static(DEV_SERVICE_SECRET));
            }
        }
        Ok(request)
    }
}

pub struct World {
    pub pool: PgPool,
    replicas: Vec<Replica>,
    turn: AtomicUsize,
    _database: TestDatabase,
}

/// One process of the service, as it were.
struct Replica {
    public: Channel,
    internal: Channel,
    _stop: DropGuard,
}

pub const ADMIN: &str = "token-admin";

impl Replica {
    async fn start(url: &str) -> Self {
        let mut settings = Settings::dev();
        settings.database.url = url.to_owned();
        settings.database.lanes = LANES;
        // Sixty-four callers at once are a claim of these tests, not an overload.
        settings.limits.concurrency = 1024;
        let listeners = Listeners::local().await.unwrap();
        let addresses = listeners.addresses().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(run_until::<AssetService>(settings, listeners, stop.clone()));
        let channel = |port: u16| {
            Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
                .unwrap()
                .timeout(Duration::from_secs(20))
                .connect_lazy()
        };
        Self {
            public: channel(addresses.public.port()),
            internal: channel(addresses.internal.port()),
            _stop: stop.drop_guard(),
        }
    }
}

impl World {
    /// Two replicas with two lanes each, so that what must be serialised meets in the database.
    pub async fn start() -> Self {
        let database = dev_cluster::test_database(migrator(&asset_svc::migrations())).await.unwrap();
        let replicas = vec![Replica::start(&database.url).await, Replica::start(&database.url).await];
        let pool = PgPool::connect(&database.url).await.unwrap();
        Self { pool, replicas, turn: AtomicUsize::new(0), _database: database }
    }

    /// With TRY, two shares, and customers a and b of the dev tokens.
    pub async fn with_customers() -> Self {
        let world = Self::start().await;
        for (asset, ledger_scale, transfer_scale) in [("TRY", 6, 2), ("THYAO", 0, 0), ("GARAN", 4, 4)] {
            world.asset(asset, ledger_scale, transfer_scale).await;
        }
        for id in ["customer-a", "customer-b"] {
            world.customer(id, wire::Tier::Standard, wire::CustomerState::Active).await;
        }
        world
    }

    /// Callers take turns between the replicas.
    fn replica(&self) -> &Replica {
        &self.replicas[self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len()]
    }

    pub fn assets(&self, token: &'static str) -> Assets {
        AssetServiceClient::with_interceptor(self.replica().public.clone(), Identity::User(token))
    }

    pub fn customers(&self, token: &'static str) -> Customers {
        CustomerServiceClient::with_interceptor(self.replica().public.clone(), Identity::User(token))
    }

    pub fn participant(&self) -> Participant {
        AssetParticipantClient::with_interceptor(self.replica().internal.clone(), Identity::Orchestrator)
    }

    pub async fn asset(&self, asset: &str, ledger_scale: u32, transfer_scale: u32) {
        let asset = Some(wire::Asset { asset: asset.to_owned(), ledger_scale, transfer_scale });
        let request = wire::UpsertAssetRequest { request_id: fresh(), asset };
        self.assets(ADMIN).upsert_asset(request).await.unwrap();
    }

    pub async fn customer(&self, id: &str, tier: wire::Tier, state: wire::CustomerState) {
        let customer = Some(wire::Customer {
            customer_id: id.to_owned(),
            name: format!("The customer {id}"),
            tier: tier.into(),
            state: state.into(),
            version: 0,
        });
        let request = wire::UpsertCustomerRequest { request_id: fresh(), customer };
        self.customers(ADMIN).upsert_customer(request).await.unwrap();
    }

    pub async fn deposit(&self, customer: &str, asset: &str, amount: &str) {
        self.assets(ADMIN).deposit(deposit(customer, asset, amount)).await.unwrap();
    }

    /// Sets a tier's commission, as an operator would.
    pub async fn rate(&self, tier: &str, ppm: i32) {
        sqlx::query("UPDATE tiers SET fee_ppm = $2 WHERE tier = $1")
            .bind(tier)
            .bind(ppm)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// (usable, held) of a customer.
    pub async fn has(&self, customer: &str, asset: &str) -> (String, String) {
        let request = wire::ListAssetsRequest {
            customer_id: customer.to_owned(),
            asset: asset.to_owned(),
            ..Default::default()
        };
        let answer = self.assets(ADMIN).list_assets(request).await.unwrap().into_inner();
        match answer.balances.as_slice() {
            [] => ("0".to_owned(), "0".to_owned()),
            [balance] => (balance.usable.clone(), balance.held.clone()),
            several => panic!("{several:?}"),
        }
    }

    pub async fn place(&self, hold: &wire::PlaceHold) -> common::StepReply {
        let request =
            wire::PlaceHoldRequest { context: context(&hold.hold_id, 1), command: Some(hold.clone()) };
        self.participant().place_hold(request).await.unwrap().into_inner()
    }

    pub async fn settle(&self, trade: &wire::SettleTrade) -> common::StepReply {
        let context = context(&trade.trade_id, 1);
        let request = wire::SettleTradeRequest { context, command: Some(trade.clone()) };
        self.participant().settle_trade(request).await.unwrap().into_inner()
    }

    pub async fn release(&self, saga_id: &str, hold_id: &str) -> common::StepReply {
        let command = Some(wire::ReleaseHold { hold_id: hold_id.to_owned() });
        let request = wire::ReleaseHoldRequest { context: context(saga_id, 2), command };
        self.participant().release_hold(request).await.unwrap().into_inner()
    }

    pub async fn compensate(
        &self,
        (saga_id, step): (&str, u32),
        command: wire::asset_command::Kind,
    ) -> common::StepReply {
        let request = wire::CompensateRequest {
            context: context(saga_id, step),
            reason: "GAVE_UP".to_owned(),
            command: Some(wire::AssetCommand { kind: Some(command) }),
        };
        self.participant().compensate(request).await.unwrap().into_inner()
    }

    /// Everything but the inbox, as one text: what a refused or repeated command must leave as it was.
    pub async fn effects(&self) -> String {
        let query = "SELECT concat_ws('|',
            (SELECT string_agg(b::text, ';' ORDER BY owner, asset) FROM balances b),
            (SELECT string_agg(h::text, ';' ORDER BY hold_id) FROM holds h),
            (SELECT string_agg(c::text, ';' ORDER BY customer_id) FROM customers c),
            (SELECT string_agg(a::text, ';' ORDER BY asset) FROM assets a),
            (SELECT count(*)::text FROM ledger_tx), (SELECT count(*)::text FROM postings),
            (SELECT count(*)::text FROM outbox))";
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }
}

pub fn fresh() -> String {
    Uuid::now_v7().to_string()
}

pub fn context(saga_id: &str, step: u32) -> Option<common::StepContext> {
    Some(common::StepContext {
        saga_id: saga_id.to_owned(),
        step,
        epoch: 1,
        not_after: None,
        attempt: 1,
        intent: Vec::new(),
    })
}

pub fn deposit(customer: &str, asset: &str, amount: &str) -> wire::DepositRequest {
    wire::DepositRequest {
        request_id: fresh(),
        customer_id: customer.to_owned(),
        asset: asset.to_owned(),
        amount: amount.to_owned(),
        ..Default::default()
    }
}

/// A hold for `quantity` of a share at `price` TRY.
pub fn hold(customer: &str, side: common::Side, share: &str, quantity: &str, price: &str) -> wire::PlaceHold {
    wire::PlaceHold {
        hold_id: fresh(),
        customer_id: customer.to_owned(),
        side: side.into(),
        base_asset: share.to_owned(),
        quote_asset: "TRY".to_owned(),
        limit_price: price.to_owned(),
        quantity: quantity.to_owned(),
    }
}

pub fn buy(customer: &str, share: &str, quantity: &str, price: &str) -> wire::PlaceHold {
    hold(customer, common::Side::Buy, share, quantity, price)
}

pub fn sell(customer: &str, share: &str, quantity: &str, price: &str) -> wire::PlaceHold {
    hold(customer, common::Side::Sell, share, quantity, price)
}

pub fn trade(
    buy: &wire::PlaceHold,
    sell: &wire::PlaceHold,
    quantity: &str,
    price: &str,
) -> wire::SettleTrade {
    wire::SettleTrade {
        trade_id: fresh(),
        buy_hold_id: buy.hold_id.clone(),
        sell_hold_id: sell.hold_id.clone(),
        buyer_id: buy.customer_id.clone(),
        seller_id: sell.customer_id.clone(),
        base_asset: buy.base_asset.clone(),
        quote_asset: buy.quote_asset.clone(),
        quantity: quantity.to_owned(),
        price: price.to_owned(),
    }
}

/// A reply in one line: the verdict, and the reason if there is one.
pub fn verdict(reply: &common::StepReply) -> String {
    let verdict = reply.verdict().as_str_name().trim_start_matches("VERDICT_").to_owned();
    if reply.reason.is_empty() { verdict } else { format!("{verdict}({})", reply.reason) }
}

/// The reason of a refused call.
pub fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> Reason {
    let status = answer.expect_err("it must be refused");
    reason_of(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))
}

/// The fields that a refused call is blamed on.
pub fn violated<T>(answer: &Result<T, Status>) -> Vec<String> {
    let bad = answer.as_ref().err().and_then(|status| status.get_details_bad_request());
    bad.map(|bad| bad.field_violations.into_iter().map(|violation| violation.field).collect())
        .unwrap_or_default()
}
