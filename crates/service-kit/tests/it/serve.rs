//! A whole service over real sockets: who is let in, what callers are told, how it lives and ends.

use std::net::SocketAddr;

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::saga::v1 as saga;
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use service_kit::channel;
use service_kit::fault::reason_of;
use service_kit::metrics::Metrics;
use service_kit::run::{BootError, Listeners, run_until};
use service_kit::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1 as reflection;
use tonic_types::StatusExt;

use crate::small::{Running, Small, start};

type Sagas = saga::saga_service_client::SagaServiceClient<Channel>;

struct Bench {
    running: Running,
    _database: Option<TestDatabase>,
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let database = dev_cluster::test_database(service_kit::database::kit_migrations()).await.unwrap();
        let mut settings = Settings::dev();
        settings.database.url = database.url.clone();
        change(&mut settings);
        let running = start(settings).await;
        let bench = Self { running, _database: Some(database) };
        bench.until_health("readiness", ServingStatus::Serving).await;
        bench
    }

    fn channel(&self) -> Channel {
        to(self.running.addresses.public)
    }

    fn sagas(&self) -> Sagas {
        Sagas::new(self.channel())
    }

    async fn until_health(&self, service: &str, wanted: ServingStatus) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut seen = HealthClient::new(self.channel()).watch(request).await.unwrap().into_inner();
        while seen.next().await.unwrap().unwrap().status() != wanted {}
    }

    async fn ops(&self, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.running.addresses.ops).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn end(self) {
        self.running.shutdown.cancel();
        self.running.ended.await.unwrap().unwrap();
    }
}

fn to(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

fn get(saga_id: &str) -> saga::GetSagaRequest {
    saga::GetSagaRequest { saga_id: saga_id.to_owned() }
}

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    (status.code(), info.reason)
}

#[tokio::test]
async fn callers_are_let_in_by_token_and_role() {
    let bench = Bench::new(|_| {}).await;
    let mut sagas = bench.sagas();
    let answer = sagas.get_saga(by("token-admin", get("x"))).await.unwrap().into_inner();
    assert_eq!((answer.saga_id.as_str(), answer.caller.as_str()), ("x", "admin"));
    for (token, code, reason) in [
        ("token-customer-a", Code::PermissionDenied, Reason::RoleNotAllowed),
        ("token-employee", Code::PermissionDenied, Reason::RoleNotAllowed),
        ("token-expired", Code::Unauthenticated, Reason::TokenExpired),
        ("token-stranger", Code::Unauthenticated, Reason::TokenUnknown),
    ] {
        let status = sagas.get_saga(by(token, get("x"))).await.unwrap_err();
        assert_eq!((status.code(), reason_of(&status)), (code, Some(reason)), "{token}");
    }
    let status = sagas.get_saga(get("x")).await.unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
    bench.end().await;
}

#[tokio::test]
async fn a_listener_knows_its_own_services_only() {
    let bench = Bench::new(|_| {}).await;
    let unknown = (Code::Unimplemented, "METHOD_UNKNOWN".to_owned());
    let mut participant = asset::asset_participant_client::AssetParticipantClient::new(bench.channel());
    let terms = asset::GetCustomerTermsRequest::default();
    let status = participant.get_customer_terms(by("token-admin", terms)).await.unwrap_err();
    assert_eq!(told(&status), unknown, "a participant on the public side");
    let mut sagas = Sagas::new(to(bench.running.addresses.internal));
    let status = sagas.get_saga(by("token-admin", get("x"))).await.unwrap_err();
    assert_eq!(told(&status), unknown, "a public service on the internal side");
    bench.end().await;
}

#[tokio::test]
async fn services_are_let_in_by_name_and_secret() {
    let bench = Bench::new(|_| {}).await;
    let uri = format!("http://{}", bench.running.addresses.internal);
    let mut identity = Settings::dev().auth;
    identity.service_name = "orchestrator".to_owned();
    let peer = channel::connect(&uri, &identity, &Metrics::new().unwrap()).unwrap();
    let mut client = asset::asset_participant_client::AssetParticipantClient::new(peer);
    let terms =
        client.get_customer_terms(asset::GetCustomerTermsRequest::default()).await.unwrap().into_inner();
    assert_eq!(terms.hold_refusal, "orchestrator");

    identity.service_secret = "guessed".to_owned();
    let peer = channel::connect(&format!("{uri},{uri}"), &identity, &Metrics::new().unwrap()).unwrap();
    let mut client = asset::asset_participant_client::AssetParticipantClient::new(peer);
    let status = client.get_customer_terms(asset::GetCustomerTermsRequest::default()).await.unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "SERVICE_SECRET_INVALID".to_owned()));
    bench.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_the_callers_mistake() {
    let bench = Bench::new(|_| {}).await;
    let status = bench.sagas().get_saga(by("token-admin", get(&"x".repeat(70_000)))).await.unwrap_err();
    assert_eq!(told(&status), (Code::OutOfRange, "MESSAGE_TOO_LARGE".to_owned()));

    // Field 1 as bytes that are no text.
    let mut raw = tonic::client::Grpc::new(bench.channel());
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Vec<u8>, saga::Saga>::default();
    let path = "/brokerage.saga.v1.SagaService/GetSaga".parse().unwrap();
    let status = raw.unary(by("token-admin", vec![0xff, 0xfe]), path, codec).await.unwrap_err();
    assert_eq!(told(&status), (Code::InvalidArgument, "FIELD_INVALID".to_owned()));
    bench.end().await;
}

#[tokio::test]
async fn a_panic_is_one_internal_answer_and_the_connection_lives() {
    let bench = Bench::new(|_| {}).await;
    let mut sagas = bench.sagas();
    let status = sagas.get_saga(by("token-admin", get("panic"))).await.unwrap_err();
    assert_eq!(told(&status), (Code::Internal, "INTERNAL_FAULT".to_owned()));
    assert_eq!(status.message(), "internal error");
    sagas.get_saga(by("token-admin", get("x"))).await.unwrap();
    bench.end().await;
}

#[tokio::test]
async fn a_deadline_ends_calls_but_not_streams() {
    let bench = Bench::new(|settings| settings.limits.default_deadline_ms = 50).await;
    let mut sagas = bench.sagas();
    let mut stream =
        sagas.watch_saga(by("token-admin", saga::WatchSagaRequest::default())).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    // Ends a whole deadline after the stream began.
    let status = sagas.get_saga(by("token-admin", get("wait"))).await.unwrap_err();
    assert_eq!(told(&status), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    bench.running.gate.open.notify_one();
    stream.next().await.unwrap().unwrap();
    bench.end().await;
}

#[tokio::test]
async fn overload_is_refused_at_once_and_health_still_answers() {
    let bench = Bench::new(|settings| settings.limits.concurrency = 1).await;
    let mut waiting = bench.sagas();
    let call = tokio::spawn(async move { waiting.get_saga(by("token-admin", get("wait"))).await });
    bench.running.gate.begun.notified().await;
    let status = bench.sagas().get_saga(by("token-admin", get("x"))).await.unwrap_err();
    assert_eq!(told(&status), (Code::ResourceExhausted, "OVERLOADED".to_owned()));
    bench.until_health("", ServingStatus::Serving).await;
    bench.running.gate.open.notify_one();
    call.await.unwrap().unwrap();
    bench.end().await;
}

#[tokio::test]
async fn a_service_that_ends_says_so_and_finishes_what_it_began() {
    let bench = Bench::new(|_| {}).await;
    let mut sagas = bench.sagas();
    let mut stream =
        sagas.watch_saga(by("token-admin", saga::WatchSagaRequest::default())).await.unwrap().into_inner();
    stream.next().await.unwrap().unwrap();
    let mut watches = Vec::new();
    for service in ["", "readiness", "brokerage.saga.v1.SagaService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut watch = HealthClient::new(bench.channel()).watch(request).await.unwrap().into_inner();
        assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
        watches.push(watch);
    }
    let call = tokio::spawn(async move { sagas.get_saga(by("token-admin", get("wait"))).await });
    bench.running.gate.begun.notified().await;

    bench.running.shutdown.cancel();
    for mut watch in watches {
        assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert!(watch.next().await.is_none(), "health streams end");
    }
    assert!(stream.next().await.is_none(), "streams end");
    bench.running.gate.open.notify_one();
    assert_eq!(call.await.unwrap().unwrap().into_inner().saga_id, "wait");
    bench.end().await;
}

#[tokio::test]
async fn without_a_database_a_service_lives_and_is_not_ready() {
    let mut settings = Settings::dev();
    settings.database.url = "postgres://postgres@127.0.0.1:1/nowhere".to_owned();
    settings.database.migrate_on_start = false;
    let bench = Bench { running: start(settings).await, _database: None };
    bench.until_health("liveness", ServingStatus::Serving).await;
    bench.until_health("readiness", ServingStatus::NotServing).await;
    assert!(bench.ops("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(bench.ops("/readyz").await.starts_with("HTTP/1.1 503"));
    bench.end().await;
}

#[tokio::test]
async fn probes_and_metrics_answer_over_http() {
    let bench = Bench::new(|_| {}).await;
    bench.sagas().get_saga(by("token-admin", get("x"))).await.unwrap();
    assert!(bench.ops("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(bench.ops("/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = bench.ops("/metrics").await;
    let line = "rpc_server_call_duration_seconds_count{rpc_method=\"brokerage.saga.v1.SagaService/GetSaga\",\
                rpc_response_status_code=\"OK\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    bench.end().await;
}

#[tokio::test]
async fn the_ops_port_answers_grpc_probes() {
    let bench = Bench::new(|_| {}).await;
    let uri = format!("http://{}", bench.running.addresses.ops);
    let channel = tonic::transport::Endpoint::from_shared(uri).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);
    for service in ["", "liveness", "readiness", "brokerage.saga.v1.SagaService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
    }
    bench.end().await;
}

#[tokio::test]
async fn reflection_shows_the_listeners_services_and_error_details() {
    use reflection::server_reflection_request::MessageRequest;
    use reflection::server_reflection_response::MessageResponse;
    let bench = Bench::new(|_| {}).await;
    let ask = async |question| {
        let request =
            reflection::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let mut client = reflection::server_reflection_client::ServerReflectionClient::new(bench.channel());
        let mut answers =
            client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
        // A symbol that is not there ends the stream with NOT_FOUND.
        answers.next().await.unwrap().ok().and_then(|answer| answer.message_response)
    };
    let Some(MessageResponse::ListServicesResponse(list)) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert_eq!(names, ["grpc.health.v1.Health", "brokerage.saga.v1.SagaService"]);
    for (symbol, shown) in [
        ("brokerage.saga.v1.SagaService", true),
        ("google.rpc.ErrorInfo", true),
        ("google.rpc.BadRequest", true),
        ("brokerage.asset.v1.AssetParticipant", false),
        ("brokerage.order.v1.OrderService", false),
    ] {
        let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
        assert_eq!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), shown, "{symbol}");
    }
    bench.end().await;
}

#[tokio::test]
async fn a_schema_that_is_behind_is_refused() {
    let database = dev_cluster::test_database(sqlx::migrate::Migrator::DEFAULT).await.unwrap();
    let mut settings = Settings::dev();
    settings.database.url = database.url.clone();
    settings.database.migrate_on_start = false;
    let listeners = Listeners::local().await.unwrap();
    let ended = run_until::<Small>(settings, listeners, CancellationToken::new()).await;
    assert!(matches!(ended, Err(BootError::SchemaBehind("small-svc"))), "{ended:?}");
}
