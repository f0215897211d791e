//! SagaService: what operators see and do.

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::saga::v1 as wire;
use brokerage_proto::saga::v1::SagaStatus;
use brokerage_proto::trading::v1 as trading;
use brokerage_types::Reason;
use tonic::Code;
use uuid::Uuid;

use crate::fakes::Mood;
use crate::mesh::{Mesh, Process, as_user, buys_10_at_100, metadata, reason};

async fn retry(process: &Process, saga_id: &str) -> Result<wire::RetrySagaResponse, tonic::Status> {
    let request = wire::RetrySagaRequest { saga_id: saga_id.to_owned(), reason: String::new() };
    process.sagas().retry_saga(as_user("token-admin", request)).await.map(tonic::Response::into_inner)
}

async fn abort(process: &Process, saga_id: &str) -> Result<wire::AbortSagaResponse, tonic::Status> {
    let request = wire::AbortSagaRequest { saga_id: saga_id.to_owned(), reason: "a test".to_owned() };
    process.sagas().abort_saga(as_user("token-admin", request)).await.map(tonic::Response::into_inner)
}

/// Both orders of a match, and the match.
fn pair(mesh: &Mesh) -> trading::MatchOrdersRequest {
    let (buy, sell) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    mesh.fakes.order(&buy, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.order(&sell, Side::Sell, "100", OrderStatus::Pending);
    trading::MatchOrdersRequest {
        request_id: Uuid::new_v4().to_string(),
        buy_order_id: buy,
        sell_order_id: sell,
        ..Default::default()
    }
}

#[tokio::test]
async fn poison_after_the_pivot_is_parked_and_goes_on_when_mended() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    mesh.fakes.feel("apply_fill", Mood::Broken);
    let request = pair(&mesh);
    let parked = process.trading().match_orders(as_user("token-admin", request.clone())).await.unwrap_err();
    assert_eq!((parked.code(), reason(&parked)), (Code::Unavailable, Reason::StillRunning));
    let saga_id = metadata(&parked, "saga_id");
    let saga = process.until(&saga_id, SagaStatus::Parked).await;
    assert_eq!(saga.reason, "INTERNAL_FAULT");
    // Others are not delayed.
    process.create(&buys_10_at_100()).await.unwrap();

    // Giving it up cannot undo what has happened.
    abort(&process, &saga_id).await.unwrap();
    mesh.fakes.feel_well("apply_fill");
    loop {
        // It may be under way already, because of the abort.
        match retry(&process, &saga_id).await {
            Ok(answer) => assert_eq!(answer.status, i32::from(SagaStatus::Parked)),
            Err(status) if reason(&status) == Reason::SagaNotParked => {}
            Err(status) => break assert_eq!(reason(&status), Reason::SagaEnded),
        }
    }
    process.until(&saga_id, SagaStatus::Completed).await;
    let done = process.trading().match_orders(as_user("token-admin", request)).await.unwrap().into_inner();
    assert!(done.replayed);
    assert_eq!(reason(&retry(&process, &saga_id).await.unwrap_err()), Reason::SagaEnded);
    assert_eq!(reason(&abort(&process, &saga_id).await.unwrap_err()), Reason::SagaEnded);
}

#[tokio::test]
async fn an_aborted_saga_leaves_nothing_and_says_who_wanted_it() {
    let mesh = Mesh::start().await;
    let processes = [mesh.process().await, mesh.process().await];
    for driver in 0..2 {
        let order_id = Uuid::now_v7().to_string();
        mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
        mesh.fakes.feel("await_drain", Mood::NotNow);
        let request_id = Uuid::new_v4().to_string();
        let request =
            trading::CancelOrderRequest { request_id, order_id: order_id.clone(), ..Default::default() };
        let mut client = processes[driver].trading();
        let asked = as_user("token-customer-a", request);
        let waiting = tokio::spawn(async move { client.cancel_order(asked).await });
        let filter = wire::ListSagasRequest { order_id, ..Default::default() };
        let saga_id = loop {
            let listed =
                processes[0].sagas().list_sagas(as_user("token-auditor", filter.clone())).await.unwrap();
            if let Some(saga) = listed.into_inner().sagas.pop() {
                break saga.saga_id;
            }
        };
        assert_eq!(reason(&retry(&processes[0], &saga_id).await.unwrap_err()), Reason::SagaNotParked);
        // Aborted where it runs, and where it does not.
        abort(&processes[0], &saga_id).await.unwrap();
        let refused = waiting.await.unwrap().unwrap_err();
        assert_eq!(reason(&refused), Reason::AbortedByOperator);
        let saga = processes[1].until(&saga_id, SagaStatus::RolledBack).await;
        assert_eq!(saga.reason, "ABORTED_BY_OPERATOR");
    }
    assert_eq!(mesh.fakes.effects("release_hold"), 0);
}

#[tokio::test]
async fn a_watcher_sees_a_saga_until_its_end() {
    let mesh = Mesh::start().await;
    let processes = [mesh.process().await, mesh.process().await];
    let order_id = Uuid::now_v7().to_string();
    mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.feel("await_drain", Mood::NotNow);
    let request_id = Uuid::new_v4().to_string();
    let request = trading::CancelOrderRequest { request_id, order_id, ..Default::default() };
    let mut client = processes[0].trading();
    let waiting =
        tokio::spawn(async move { client.cancel_order(as_user("token-customer-a", request)).await });
    let listed = loop {
        let all = wire::ListSagasRequest::default();
        let listed = processes[1].sagas().list_sagas(as_user("token-admin", all)).await.unwrap();
        if let Some(saga) = listed.into_inner().sagas.pop() {
            break saga;
        }
    };
    let watch = wire::WatchSagaRequest { saga_id: listed.saga_id };
    // From the process that does not drive it.
    let mut watched =
        processes[1].sagas().watch_saga(as_user("token-admin", watch)).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!((first.status, first.steps.len()), (i32::from(SagaStatus::Running), 4));
    mesh.fakes.feel_well("await_drain");
    waiting.await.unwrap().unwrap();
    let mut last = first;
    while let Some(next) = watched.message().await.unwrap() {
        last = next;
    }
    assert_eq!(last.status, i32::from(SagaStatus::Completed));
    assert!(last.owner.is_empty() && last.ended_at.is_some());
    assert!(last.steps.iter().all(|step| !step.attempts.is_empty()), "{last:?}");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(process.create(&buys_10_at_100()).await.unwrap().saga_id);
    }
    for saga_id in &created {
        process.until(saga_id, SagaStatus::Completed).await;
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListSagasRequest {
            page_size: 2,
            page_token: page_token.clone(),
            statuses: vec![SagaStatus::Completed.into()],
            kind: "create_order".to_owned(),
            ..Default::default()
        };
        let page = process.sagas().list_sagas(as_user("token-auditor", request)).await.unwrap().into_inner();
        assert!(page.sagas.len() <= 2);
        listed.extend(page.sagas.into_iter().map(|saga| saga.saga_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    created.reverse();
    assert_eq!(listed, created);
    let none = wire::ListSagasRequest { statuses: vec![SagaStatus::Parked.into()], ..Default::default() };
    let page = process.sagas().list_sagas(as_user("token-admin", none)).await.unwrap().into_inner();
    assert!(page.sagas.is_empty());
    let wrong = wire::ListSagasRequest { kind: "sell_house".to_owned(), ..Default::default() };
    let refused = process.sagas().list_sagas(as_user("token-admin", wrong)).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::FieldInvalid);
    let missing = wire::GetSagaRequest { saga_id: Uuid::now_v7().to_string() };
    let refused = process.sagas().get_saga(as_user("token-admin", missing)).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::SagaNotFound);
}
