//! A server, clients for everybody, and orders in the situations that tests start from.

use std::sync::Arc;

use brokerage_proto::common::v1::{Side, StepContext, StepReply, Verdict};
use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::event_service_client::EventServiceClient;
use brokerage_proto::order::v1::order_command::Kind;
use brokerage_proto::order::v1::order_participant_client::OrderParticipantClient;
use brokerage_proto::order::v1::order_service_client::OrderServiceClient;
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use order_svc::OrderService;
use service_kit::auth::{SERVICE_NAME_HEADER, SERVICE_SECRET_HEADER};
use service_kit::fault::reason_of;
use service_kit::run::{Listeners, run_until};
use service_kit::settings::{DEV_SERVICE_SECRET, Settings};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

pub use crate::step::Step;

/// Sends who is calling.
#[derive(Clone)]
pub struct Identity(Vec<(&'static str, String)>);

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata: &mut MetadataMap = request.metadata_mut();
        for (name, value) in &self.0 {
            metadata.insert(*name, value.parse().unwrap());
        }
        Ok(request)
    }
}

pub type User = OrderServiceClient<InterceptedService<Channel, Identity>>;
pub type Events = EventServiceClient<InterceptedService<Channel, Identity>>;
pub type Orchestrator = OrderParticipantClient<InterceptedService<Channel, Identity>>;

/// A running order service.
pub struct Server {
    public: Channel,
    internal: Channel,
    pub database: Arc<TestDatabase>,
    _stop: DropGuard,
}

impl Server {
    /// An empty one.
    pub async fn start() -> Server {
        let migrator = service_kit::database::migrator(&order_svc::migrations());
        Server::over(Arc::new(dev_cluster::test_database(migrator).await.unwrap())).await
    }

    /// Another process on the same database.
    pub async fn replica(&self) -> Server {
        Server::over(Arc::clone(&self.database)).await
    }

    async fn over(database: Arc<TestDatabase>) -> Server {
        let mut settings = Settings::dev();
        settings.database.url.clone_from(&database.url);
        settings.database.migrate_on_start = false;
        let listeners = Listeners::local().await.unwrap();
        let addresses = listeners.addresses().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(run_until::<OrderService>(settings, listeners, stop.clone()));
        let connect = |address: std::net::SocketAddr| {
            Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy()
        };
        Server {
            public: connect(addresses.public),
            internal: connect(addresses.internal),
            database,
            _stop: stop.drop_guard(),
        }
    }

    /// One with the instrument XYZ: tick 0.01, lot 1.
    pub async fn with_xyz() -> Server {
        let server = Server::start().await;
        server.upsert(xyz()).await;
        server
    }

    pub fn user(&self, token: &str) -> User {
        let identity = Identity(vec![("authorization", format!("Bearer {token}"))]);
        OrderServiceClient::with_interceptor(self.public.clone(), identity)
    }

    pub fn events(&self, token: &str) -> Events {
        let identity = Identity(vec![("authorization", format!("Bearer {token}"))]);
        EventServiceClient::with_interceptor(self.public.clone(), identity)
    }

    pub fn orchestrator(&self) -> Orchestrator {
        let identity = Identity(vec![
            (SERVICE_NAME_HEADER, "orchestrator".to_owned()),
            (SERVICE_SECRET_HEADER, DEV_SERVICE_SECRET.to_owned()),
        ]);
        OrderParticipantClient::with_interceptor(self.internal.clone(), identity)
    }

    /// A caller of the internal listener with a wrong secret.
    pub fn stranger(&self) -> Orchestrator {
        let identity = Identity(vec![
            (SERVICE_NAME_HEADER, "orchestrator".to_owned()),
            (SERVICE_SECRET_HEADER, "guessed".to_owned()),
        ]);
        OrderParticipantClient::with_interceptor(self.internal.clone(), identity)
    }

    /// A user who tries steps where users are served.
    pub fn steps_on_the_public_listener(&self, token: &str) -> Orchestrator {
        let identity = Identity(vec![("authorization", format!("Bearer {token}"))]);
        OrderParticipantClient::with_interceptor(self.public.clone(), identity)
    }

    pub async fn upsert(&self, instrument: proto::Instrument) {
        let request = proto::UpsertInstrumentRequest { request_id: new_id(), instrument: Some(instrument) };
        self.user("token-admin").upsert_instrument(request).await.unwrap();
    }

    pub async fn step(&self, step: &Step) -> StepReply {
        let mut orchestrator = self.orchestrator();
        let context = step.context();
        match step.command.clone() {
            Kind::Draft(command) => {
                orchestrator.draft(proto::DraftRequest { context, command: Some(command) }).await
            }
            Kind::Open(command) => {
                orchestrator.open(proto::OpenRequest { context, command: Some(command) }).await
            }
            Kind::BeginCancel(command) => {
                orchestrator.begin_cancel(proto::BeginCancelRequest { context, command: Some(command) }).await
            }
            Kind::ConfirmCancel(command) => {
                orchestrator
                    .confirm_cancel(proto::ConfirmCancelRequest { context, command: Some(command) })
                    .await
            }
            Kind::ReserveMatch(command) => {
                orchestrator
                    .reserve_match(proto::ReserveMatchRequest { context, command: Some(command) })
                    .await
            }
            Kind::ApplyFill(command) => {
                orchestrator.apply_fill(proto::ApplyFillRequest { context, command: Some(command) }).await
            }
        }
        .unwrap()
        .into_inner()
    }

    pub async fn compensate(&self, step: &Step, reason: Reason) -> StepReply {
        self.try_compensate(step, reason).await.unwrap()
    }

    /// The same where it may be refused altogether.
    pub async fn try_compensate(&self, step: &Step, reason: Reason) -> Result<StepReply, tonic::Status> {
        let command = Some(proto::OrderCommand { kind: Some(step.command.clone()) });
        let reason = reason.as_str().to_owned();
        let request = proto::CompensateRequest { context: step.context(), reason, command };
        self.orchestrator().compensate(request).await.map(tonic::Response::into_inner)
    }

    /// Does a step that must be done.
    pub async fn done(&self, step: &Step) {
        let reply = self.step(step).await;
        assert_eq!(verdict(&reply), Verdict::Done, "{step:?}: {}", reply.reason);
    }

    /// Does a step that must be refused; gives the reason.
    pub async fn refused(&self, step: &Step) -> String {
        let reply = self.step(step).await;
        assert_eq!(verdict(&reply), Verdict::Rejected, "{step:?}");
        reply.reason
    }

    pub async fn await_drain(&self, saga: Uuid, order_id: &str) -> StepReply {
        let context =
            Some(StepContext { saga_id: saga.to_string(), step: 1, epoch: 1, ..Default::default() });
        let request = proto::AwaitDrainRequest { context, order_id: order_id.to_owned() };
        self.orchestrator().await_drain(request).await.unwrap().into_inner()
    }

    /// An order of INIT.
    pub async fn drafted(&self, customer: &str, side: Side, quantity: &str) -> proto::Draft {
        let draft = draft(customer, side, quantity);
        self.done(&Step::draft(&draft)).await;
        draft
    }

    /// An order in the market.
    pub async fn opened(&self, customer: &str, side: Side, quantity: &str) -> proto::Draft {
        let draft = self.drafted(customer, side, quantity).await;
        self.done(&Step::open(&draft)).await;
        draft
    }

    /// A buy of customer A and a sell of customer B, 10 each at 100, both in the market.
    pub async fn a_crossing_pair(&self) -> (proto::Draft, proto::Draft) {
        (self.opened("customer-a", Side::Buy, "10").await, self.opened("customer-b", Side::Sell, "10").await)
    }

    pub async fn order(&self, order_id: &str) -> proto::Order {
        let request = proto::GetOrderRequest {
            order_id: order_id.to_owned(),
            with_fills: true,
            with_history: true,
            ..Default::default()
        };
        self.user("token-admin").get_order(request).await.unwrap().into_inner()
    }

    pub async fn status(&self, order_id: &str) -> proto::OrderStatus {
        self.order(order_id).await.status()
    }

    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    /// Everything that a command may change, as text; inbox and clocks are not.
    pub async fn everything(&self) -> String {
        let query = "SELECT concat_ws(E'\n',
            (SELECT jsonb_agg(to_jsonb(t) ORDER BY symbol) FROM instruments t),
            (SELECT jsonb_agg(to_jsonb(t) ORDER BY order_id) FROM orders t),
            (SELECT jsonb_agg(to_jsonb(t) ORDER BY trade_id) FROM matches t),
            (SELECT jsonb_agg(to_jsonb(t) ORDER BY trade_id) FROM trades t),
            (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM outbox t))";
        sqlx::query_scalar(query).fetch_one(&mut self.connection().await).await.unwrap()
    }

    /// A11.
    pub async fn audit(&self) {
        let mut connection = self.connection().await;
        let orders = order_svc::audit::verify_orders(&mut connection).await.unwrap();
        assert!(orders > 0, "there was nothing to audit");
    }
}

pub fn verdict(reply: &StepReply) -> Verdict {
    reply.verdict()
}

pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

pub fn draft(customer: &str, side: Side, quantity: &str) -> proto::Draft {
    let order_id = new_id();
    proto::Draft {
        client_order_id: format!("label of {order_id}"),
        order_id,
        customer_id: customer.to_owned(),
        instrument: "XYZ".to_owned(),
        side: side.into(),
        limit_price: "100.00".to_owned(),
        quantity: quantity.to_owned(),
        created_by: customer.to_owned(),
    }
}

pub fn xyz() -> proto::Instrument {
    proto::Instrument {
        symbol: "XYZ".to_owned(),
        base_asset: "XYZ".to_owned(),
        quote_asset: "TRY".to_owned(),
        price_scale: 2,
        quantity_scale: 0,
        quote_ledger_scale: 6,
        tick_bands: vec![proto::TickBand { from_price: "0".to_owned(), tick: "0.01".to_owned() }],
        lot: "1".to_owned(),
        state: proto::InstrumentState::Open.into(),
        ..Default::default()
    }
}

pub fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> Reason {
    let status = result.expect_err("it must be refused");
    reason_of(&status).unwrap_or_else(|| panic!("no reason: {status:?}"))
}
