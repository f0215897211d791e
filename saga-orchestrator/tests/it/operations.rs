//! Pausing, the trail of operators' actions, why a saga does not end, and how many are driven at once.

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::saga::v1 as wire;
use brokerage_proto::saga::v1::SagaStatus;
use brokerage_proto::trading::v1 as trading;
use brokerage_types::Reason;
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fakes::Mood;
use crate::mesh::{Mesh, Process, as_user, buys_10_at_100, metadata, reason};

/// A lease is a second then.
const FAST: f64 = 0.2;

/// A cancel that is under way, and who waits for it.
struct Waiting {
    saga_id: String,
    answer: JoinHandle<Result<trading::CancelOrderResponse, Status>>,
}

/// Cancels an order that is not drained.
async fn waits_for_drain(mesh: &Mesh, process: &Process, order_id: &str) -> Waiting {
    mesh.fakes.order(order_id, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.feel("await_drain", Mood::NotNow);
    let request_id = Uuid::new_v4().to_string();
    let order_id = order_id.to_owned();
    let request =
        trading::CancelOrderRequest { request_id, order_id: order_id.clone(), ..Default::default() };
    let mut client = process.trading();
    let asked = as_user("token-customer-a", request);
    let answer =
        tokio::spawn(async move { client.cancel_order(asked).await.map(tonic::Response::into_inner) });
    let filter = wire::ListSagasRequest { order_id, kind: "cancel_order".to_owned(), ..Default::default() };
    loop {
        let listed = process.sagas().list_sagas(as_user("token-auditor", filter.clone())).await.unwrap();
        if let Some(saga) = listed.into_inner().sagas.pop() {
            return Waiting { saga_id: saga.saga_id, answer };
        }
    }
}

async fn pause(process: &Process, saga_id: &str, why: &str) -> Result<SagaStatus, Status> {
    let request = wire::PauseSagaRequest { saga_id: saga_id.to_owned(), reason: why.to_owned() };
    let paused = process.sagas().pause_saga(as_user("token-admin", request)).await?;
    Ok(paused.into_inner().status())
}

async fn retry(process: &Process, saga_id: &str, why: &str) -> Result<SagaStatus, Status> {
    let request = wire::RetrySagaRequest { saga_id: saga_id.to_owned(), reason: why.to_owned() };
    Ok(process.sagas().retry_saga(as_user("token-admin", request)).await?.into_inner().status())
}

async fn explain(process: &Process, saga_id: &str) -> wire::SagaExplanation {
    let request = wire::ExplainSagaRequest { saga_id: saga_id.to_owned() };
    process.sagas().explain_saga(as_user("token-auditor", request)).await.unwrap().into_inner()
}

/// Explains until it says so: what is shown of a driver lags a little.
async fn until_explained(process: &Process, saga_id: &str, says: &str) -> wire::SagaExplanation {
    until_told(process, saga_id, |explained| explained.summary.contains(says)).await
}

/// Explains until the driver itself is asked and says so: an heir's row is there before its driver is.
async fn until_explained_live(process: &Process, saga_id: &str, says: &str) -> wire::SagaExplanation {
    until_told(process, saga_id, |explained| explained.is_live && explained.summary.contains(says)).await
}

async fn until_told(
    process: &Process,
    saga_id: &str,
    is_told: impl Fn(&wire::SagaExplanation) -> bool,
) -> wire::SagaExplanation {
    let waiting = async {
        loop {
            let explained = explain(process, saga_id).await;
            if is_told(&explained) {
                return explained;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it never says so")
}

#[tokio::test]
async fn a_paused_saga_stays_parked_whoever_drives_it_until_it_is_retried() {
    let mesh = Mesh::scaled(FAST).await;
    let process = mesh.process().await;
    let waiting = waits_for_drain(&mesh, &process, &Uuid::now_v7().to_string()).await;
    let saga_id = waiting.saga_id;
    assert_eq!(pause(&process, &saga_id, "the desk asked").await.unwrap(), SagaStatus::Running);
    let parked = process.until(&saga_id, SagaStatus::Parked).await;
    assert_eq!(parked.reason, "PAUSED_BY_OPERATOR");
    let told = waiting.answer.await.unwrap().unwrap_err();
    assert_eq!(
        (reason(&told), metadata(&told, "parked").as_str()),
        (Reason::StillRunning, "PAUSED_BY_OPERATOR")
    );
    mesh.fakes.feel_well("await_drain");

    // Its next driver keeps it parked.
    process.stop().await;
    let heir = mesh.process().await;
    let waits = async { while heir.until(&saga_id, SagaStatus::Parked).await.epoch < 2 {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), waits).await.unwrap();
    assert!(until_explained_live(&heir, &saga_id, "An operator parked it").await.driver.unwrap().is_here);
    assert_eq!(mesh.fakes.effects("release_hold"), 0);
    assert_eq!(retry(&heir, &saga_id, "").await.unwrap(), SagaStatus::Parked);
    heir.until(&saga_id, SagaStatus::Completed).await;
    assert_eq!(reason(&retry(&heir, &saga_id, "again").await.unwrap_err()), Reason::SagaEnded);
}

#[tokio::test]
async fn a_saga_is_paused_from_anywhere_and_a_paused_one_can_be_given_up() {
    let mesh = Mesh::scaled(FAST).await;
    let processes = [mesh.process().await, mesh.process().await];
    let waiting = waits_for_drain(&mesh, &processes[0], &Uuid::now_v7().to_string()).await;
    pause(&processes[1], &waiting.saga_id, "from elsewhere").await.unwrap();
    let parked = processes[0].until(&waiting.saga_id, SagaStatus::Parked).await;
    assert_eq!((parked.reason.as_str(), parked.epoch), ("PAUSED_BY_OPERATOR", 2));
    let saga_id = waiting.saga_id.clone();
    let request = wire::AbortSagaRequest { saga_id, reason: "enough".to_owned() };
    processes[0].sagas().abort_saga(as_user("token-admin", request)).await.unwrap();
    let ended = processes[0].until(&waiting.saga_id, SagaStatus::RolledBack).await;
    assert_eq!(ended.reason, "ABORTED_BY_OPERATOR");
    assert_eq!(mesh.fakes.effects("release_hold"), 0);
}

#[tokio::test]
async fn every_action_of_an_operator_is_on_record_for_ever() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let waiting = waits_for_drain(&mesh, &process, &Uuid::now_v7().to_string()).await;
    let saga_id = waiting.saga_id;
    assert_eq!(reason(&retry(&process, &saga_id, "too early").await.unwrap_err()), Reason::SagaNotParked);
    let unsaid = pause(&process, &saga_id, "").await.unwrap_err();
    assert_eq!(unsaid.code(), Code::InvalidArgument, "what stops a saga needs a reason");
    pause(&process, &saga_id, "the desk asked").await.unwrap();
    process.until(&saga_id, SagaStatus::Parked).await;
    retry(&process, &saga_id, "").await.unwrap();
    let missing = Uuid::now_v7().to_string();
    assert_eq!(reason(&pause(&process, &missing, "x").await.unwrap_err()), Reason::SagaNotFound);

    let (mut told, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListOperatorActionsRequest {
            saga_id: saga_id.clone(),
            actor: "admin".to_owned(),
            page_size: 2,
            page_token: page_token.clone(),
        };
        let page = process.sagas().list_operator_actions(as_user("token-auditor", request)).await;
        let page = page.unwrap().into_inner();
        told.extend(page.actions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let lines: Vec<_> = told
        .iter()
        .map(|one| (one.verb.as_str(), one.reason.as_str(), one.outcome.as_str(), one.found()))
        .collect();
    assert_eq!(
        lines,
        [
            ("retry", "", "ACCEPTED", SagaStatus::Parked),
            ("pause", "the desk asked", "ACCEPTED", SagaStatus::Running),
            ("retry", "too early", "SAGA_NOT_PARKED", SagaStatus::Running),
        ]
    );
    assert!(told.iter().all(|one| one.actor == "admin" && one.role == "admin" && !one.request_id.is_empty()));
    for forbidden in ["UPDATE operator_actions SET actor = 'nobody'", "DELETE FROM operator_actions"] {
        assert!(mesh.try_sql(forbidden).await.is_err(), "{forbidden}");
    }
    let customer = wire::ListOperatorActionsRequest::default();
    let refused = process.sagas().list_operator_actions(as_user("token-customer-a", customer)).await;
    assert_eq!(reason(&refused.unwrap_err()), Reason::RoleNotAllowed);
}

#[tokio::test]
async fn a_saga_says_what_it_waits_for_and_what_is_in_its_way() {
    let mesh = Mesh::start().await;
    let processes = [mesh.process().await, mesh.process().await];
    let (buy, sell) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    mesh.fakes.order(&buy, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.order(&sell, Side::Sell, "100", OrderStatus::Pending);
    mesh.fakes.feel("apply_fill", Mood::Broken);
    let request_id = Uuid::new_v4().to_string();
    let pair = trading::MatchOrdersRequest {
        request_id,
        buy_order_id: buy.clone(),
        sell_order_id: sell,
        ..Default::default()
    };
    let parked = processes[0].trading().match_orders(as_user("token-admin", pair)).await.unwrap_err();
    let match_id = metadata(&parked, "saga_id");
    let cancel = waits_for_drain(&mesh, &processes[0], &buy).await;

    let live = until_explained_live(&processes[0], &cancel.saga_id, "in flight").await;
    assert!(live.driver.unwrap().is_here);
    let step = &live.waits_for[0];
    assert_eq!((step.name.as_str(), step.participant.as_str()), ("await_drain", "order-svc"));
    assert_eq!((step.last_reply.as_str(), step.breaker.as_str()), ("NOT_NOW", "closed"));
    assert!(step.attempts > 0 && step.last_at.is_some());
    assert_eq!(live.waits_for_sagas, std::slice::from_ref(&match_id));
    assert!(live.advice[0].contains(&format!("saga why {match_id}")), "{:?}", live.advice);

    // The process that does not drive it knows what was noted.
    let noted = explain(&processes[1], &cancel.saga_id).await;
    let driver = noted.driver.unwrap();
    assert!(!noted.is_live && driver.is_alive && !driver.is_here);
    assert_eq!(noted.waits_for_sagas, std::slice::from_ref(&match_id));

    for process in &processes {
        let stuck = until_explained(process, &match_id, "It is parked (INTERNAL_FAULT)").await;
        assert!(stuck.summary.contains("`apply_fill`"), "{}", stuck.summary);
        assert!(stuck.trouble.contains("broken"), "{:?}", stuck.trouble);
        assert!(stuck.advice.iter().any(|line| line.contains("cannot be given up")), "{:?}", stuck.advice);
    }
    mesh.fakes.feel_well("apply_fill");
    mesh.fakes.feel_well("await_drain");
    retry(&processes[0], &match_id, "mended").await.unwrap();
    processes[0].until(&match_id, SagaStatus::Completed).await;
    let done = explain(&processes[1], &match_id).await;
    assert!(done.summary.contains("has completed") && done.driver.is_none() && done.waits_for.is_empty());
    assert_eq!(done.actions[0].reason, "mended");
    cancel.answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn new_sagas_are_refused_before_the_room_for_taking_over_is_used_up() {
    let mut mesh = Mesh::scaled(FAST).await;
    mesh.driven_sagas = Some(5);
    let full = mesh.process().await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(waits_for_drain(&mesh, &full, &Uuid::now_v7().to_string()).await);
    }
    let before = mesh.count("SELECT count(*) FROM sagas").await;
    let refused = full.create(&buys_10_at_100()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::ResourceExhausted, Reason::Overloaded));
    assert_eq!(mesh.count("SELECT count(*) FROM sagas").await, before, "refused before the intent");

    // What a dead process left is taken over all the same: a copy of a row, with an owner that is gone.
    mesh.sql(
        "INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner)
         SELECT '00000000-0000-7000-8000-000000000009', kind, version, caller, gen_random_uuid(), request_hash,
                jsonb_set(input, '{order_id}', '\"00000000-0000-7000-8000-000000000009\"'), gen_random_uuid()
         FROM sagas LIMIT 1",
    )
    .await;
    let taken = "00000000-0000-7000-8000-000000000009";
    while mesh.count("SELECT max(epoch) FROM sagas").await < 2 {}

    // Parked sagas take no room.
    for one in &waiting[..2] {
        pause(&full, &one.saga_id, "to make room").await.unwrap();
        full.until(&one.saga_id, SagaStatus::Parked).await;
    }
    full.create(&buys_10_at_100()).await.unwrap();
    mesh.fakes.feel_well("await_drain");
    full.until(taken, SagaStatus::Completed).await;
}

#[tokio::test]
async fn neither_parked_sagas_nor_silent_watchers_keep_a_process_that_shall_end() {
    let mesh = Mesh::start().await;
    let process = mesh.process().await;
    let parked = waits_for_drain(&mesh, &process, &Uuid::now_v7().to_string()).await;
    pause(&process, &parked.saga_id, "a drain").await.unwrap();
    process.until(&parked.saga_id, SagaStatus::Parked).await;
    let waiting = waits_for_drain(&mesh, &process, &Uuid::now_v7().to_string()).await;
    // Somebody watches and never reads.
    let watch = wire::WatchSagaRequest { saga_id: waiting.saga_id };
    let unread = process.sagas().watch_saga(as_user("token-admin", watch)).await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), process.stop()).await;
    assert!(ended.is_ok(), "it outlives its end");
    assert_eq!(mesh.count("SELECT count(*) FROM owners").await, 0, "its sagas are free at once");
    drop(unread);
    assert!(waiting.answer.await.unwrap().is_err(), "the saga goes on elsewhere, and the caller asks again");
}
