//! Starts orchestrators on a fresh database beside fake participants, and speaks to them as their clients do.

use std::sync::Arc;
use std::time::Duration;

use brokerage_proto::common::v1::Side;
use brokerage_proto::saga::v1 as saga;
use brokerage_proto::saga::v1::saga_service_client::SagaServiceClient;
use brokerage_proto::trading::v1 as trading;
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use saga_orchestrator::Orchestrator;
use service_kit::run::{Listeners, run_until};
use service_kit::settings::Settings;
use service_kit::{database, fault};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::fakes::Fakes;

/// A database, the participants, and the orchestrators started so far.
pub struct Mesh {
    pub fakes: Arc<Fakes>,
    pub database: TestDatabase,
    pub redis_url: Option<String>,
    /// How many sagas a process drives at most, if not as many as usual.
    pub driven_sagas: Option<usize>,
    peers: String,
    time_scale: f64,
}

/// One orchestrator. Dropping it kills it: nothing that it has not finished will be.
pub struct Process {
    channel: Channel,
    stop: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl Mesh {
    pub async fn start() -> Self {
        Self::scaled(1.0).await
    }

    pub async fn scaled(time_scale: f64) -> Self {
        let migrator = database::migrator(&saga_orchestrator::migrations());
        let database = dev_cluster::test_database(migrator).await.unwrap();
        let fakes = Arc::new(Fakes::default());
        let peers = fakes.serve().await;
        Self { fakes, database, redis_url: None, driven_sagas: None, peers, time_scale }
    }

    pub async fn process(&self) -> Process {
        let mut settings = Settings::dev();
        settings.database.url = self.database.url.clone();
        settings.database.migrate_on_start = false;
        settings.peers.order = self.peers.clone();
        settings.peers.asset = self.peers.clone();
        settings.redis_url = self.redis_url.clone();
        settings.time_scale = self.time_scale;
        if let Some(driven_sagas) = self.driven_sagas {
            settings.limits.driven_sagas = driven_sagas;
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let (told, address) = tokio::sync::oneshot::channel();
        let stopped = stop.clone();
        let serving = runtime.spawn(async move {
            let listeners = Listeners::local().await.unwrap();
            told.send(listeners.addresses().unwrap().public).unwrap();
            run_until::<Orchestrator>(settings, listeners, stopped).await.unwrap();
        });
        let address = address.await.unwrap();
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Process { channel, stop, runtime: Some(runtime), serving: Some(serving) }
    }

    pub async fn sql(&self, statement: &'static str) -> Vec<sqlx::postgres::PgRow> {
        self.try_sql(statement).await.unwrap()
    }

    pub async fn try_sql(&self, statement: &'static str) -> Result<Vec<sqlx::postgres::PgRow>, sqlx::Error> {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(&self.database.url).await.unwrap();
        sqlx::query(statement).fetch_all(&mut connection).await
    }

    pub async fn count(&self, statement: &'static str) -> i64 {
        use sqlx::Row;
        self.sql(statement).await[0].get(0)
    }
}

impl Process {
    pub fn trading(&self) -> TradingServiceClient<Channel> {
        TradingServiceClient::new(self.channel.clone())
    }

    pub fn sagas(&self) -> SagaServiceClient<Channel> {
        SagaServiceClient::new(self.channel.clone())
    }

    pub async fn create(
        &self,
        order: &trading::CreateOrderRequest,
    ) -> Result<trading::CreateOrderResponse, Status> {
        let asked = self.trading().create_order(as_user("token-customer-a", order.clone())).await;
        asked.map(tonic::Response::into_inner)
    }

    /// Watches a saga until it has this status.
    pub async fn until(&self, saga_id: &str, status: saga::SagaStatus) -> saga::Saga {
        let request = saga::WatchSagaRequest { saga_id: saga_id.to_owned() };
        let mut watched =
            self.sagas().watch_saga(as_user("token-admin", request)).await.unwrap().into_inner();
        let waiting = async {
            loop {
                let seen = watched.message().await.unwrap();
                let seen = seen.expect("the saga ended in another way");
                if seen.status == i32::from(status) {
                    return seen;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("never got there")
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.serving.take().unwrap().await.unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub fn as_user<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

pub fn buys_10_at_100() -> trading::CreateOrderRequest {
    trading::CreateOrderRequest {
        request_id: Uuid::new_v4().to_string(),
        instrument: "THYAO".to_owned(),
        side: Side::Buy.into(),
        limit_price: "100".to_owned(),
        quantity: "10".to_owned(),
        ..trading::CreateOrderRequest::default()
    }
}

pub fn reason(status: &Status) -> Reason {
    fault::reason_of(status).unwrap_or_else(|| panic!("no reason in {status:?}"))
}

pub fn metadata(status: &Status, key: &str) -> String {
    use tonic_types::StatusExt;
    status.get_details_error_info().unwrap().metadata.get(key).cloned().unwrap_or_default()
}
