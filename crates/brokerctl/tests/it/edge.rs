//! What the public address shows, forwards and refuses.

use std::time::Duration;

use brokerage_proto::order::v1::{
    DraftRequest, ListOrdersRequest, order_participant_client::OrderParticipantClient,
};
use brokerage_proto::saga::v1::{ListSagasRequest, SagaStatus, WatchSagaRequest};
use brokerage_proto::trading::v1::CreateOrderRequest;
use brokerctl::api::{Api, endpoint};
use brokerctl::dev::{ADMIN_TOKEN, Mesh, MeshService};
use service_kit::fault::reason_of;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::mesh;

fn customer(mesh: &Mesh) -> Api {
    Api::new(&mesh.public_uri(), "token-customer-a").unwrap()
}

async fn ask(mesh: &Mesh, question: MessageRequest) -> Result<MessageResponse, Status> {
    let channel = endpoint(&mesh.public_uri()).unwrap().connect().await.unwrap();
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let questions = tokio_stream::once(request);
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(questions).await.unwrap().into_inner();
    Ok(answers.message().await?.unwrap().message_response.unwrap())
}

#[tokio::test]
async fn one_address_serves_and_describes_every_public_service_and_no_participant() {
    let mesh = mesh().await;
    let Ok(MessageResponse::ListServicesResponse(listed)) =
        ask(&mesh, MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list was asked for");
    };
    let mut names: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
    names.retain(|name| name.starts_with("brokerage."));
    names.sort();
    let public = [
        "brokerage.asset.v1.AssetService",
        "brokerage.asset.v1.CustomerService",
        "brokerage.asset.v1.EventService",
        "brokerage.order.v1.EventService",
        "brokerage.order.v1.OrderService",
        "brokerage.saga.v1.SagaService",
        "brokerage.trading.v1.TradingService",
    ];
    assert_eq!(names, public);
    for name in public.iter().chain(&["google.rpc.ErrorInfo"]) {
        let answer = ask(&mesh, MessageRequest::FileContainingSymbol((*name).to_owned())).await;
        assert!(matches!(answer, Ok(MessageResponse::FileDescriptorResponse(_))), "{name}: {answer:?}");
    }
    for name in ["brokerage.order.v1.OrderParticipant", "brokerage.asset.v1.PlaceHold"] {
        let answer = ask(&mesh, MessageRequest::FileContainingSymbol(name.to_owned())).await;
        assert_eq!(answer.unwrap_err().code(), Code::NotFound, "{name}");
    }
    let channel = endpoint(&mesh.public_uri()).unwrap().connect().await.unwrap();
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let refused = OrderParticipantClient::new(channel).draft(DraftRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    mesh.stop().await.unwrap();
}

#[tokio::test]
async fn calls_streams_refusals_and_deadlines_pass_the_edge_unchanged() {
    let mesh = mesh().await;
    let mut api = customer(&mesh);
    let order = CreateOrderRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        instrument: "THYAO".into(),
        side: 1,
        limit_price: "300.5".into(),
        quantity: "10".into(),
        ..CreateOrderRequest::default()
    };
    let created = api.trading.create_order(order.clone()).await.unwrap().into_inner();
    let listed = api.orders.list_orders(ListOrdersRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.orders[0].order_id, created.order_id);

    let mut admin = Api::new(&mesh.public_uri(), ADMIN_TOKEN).unwrap();
    let watched = admin.sagas.watch_saga(WatchSagaRequest { saga_id: created.saga_id }).await.unwrap();
    let mut changes = watched.into_inner();
    let mut last = None;
    while let Some(saga) = changes.message().await.unwrap() {
        last = Some(saga.status());
    }
    assert_eq!(last, Some(SagaStatus::Completed));

    let refused = api.sagas.list_sagas(ListSagasRequest::default()).await.unwrap_err();
    assert_eq!(reason_of(&refused), Some(brokerage_types::Reason::RoleNotAllowed));

    let mut hurried =
        Api::with_deadline(&mesh.public_uri(), "token-customer-a", Duration::from_micros(200)).unwrap();
    let late = hurried.trading.create_order(order).await.unwrap_err();
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    mesh.stop().await.unwrap();
}

#[test]
fn the_chart_routes_every_public_service() {
    let values = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s/brokerage/values.yaml");
    let values = std::fs::read_to_string(values).unwrap();
    for service in MeshService::ALL {
        let block = values.split(&format!("\n  {}:\n", service.name())).nth(1).unwrap();
        let apis = block.split("publicApis:\n").nth(1).unwrap();
        let routed: Vec<&str> = apis.lines().map_while(|line| line.trim().strip_prefix("- ")).collect();
        for api in service.public_services() {
            assert!(routed.contains(api), "{api} of {} is not in publicApis: {routed:?}", service.name());
        }
    }
}
