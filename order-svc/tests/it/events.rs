//! The service's log over the wire: it is the orders' history, and goes on with another process.

use brokerage_proto::common::v1::{Side, SubscribeRequest, SubscribeResponse};
use brokerage_types::Reason;
use futures::future::join_all;

use crate::fixture::{Server, Step, draft, reason};

/// Everything behind a cursor that has settled.
async fn log(server: &Server, cursor: &str) -> Vec<SubscribeResponse> {
    let request = SubscribeRequest {
        cursor: cursor.to_owned(),
        aggregate_types: vec!["order".to_owned()],
        ..SubscribeRequest::default()
    };
    let mut stream = server.events("token-auditor").subscribe(request).await.unwrap().into_inner();
    let mut log = Vec::new();
    loop {
        let heard = stream.message().await.unwrap().expect("a log does not end");
        if heard.caught_up {
            return log;
        }
        log.extend(Some(heard).filter(|heard| heard.event.is_some()));
    }
}

#[tokio::test]
async fn the_log_of_two_replicas_is_the_history_of_every_order() {
    let server = Server::with_xyz().await;
    let servers = [&server, &server.replica().await];
    let drafts: Vec<_> = (0..20).map(|_| draft("customer-a", Side::Buy, "10")).collect();
    join_all(drafts.iter().enumerate().map(async |(number, draft)| {
        // Each order changes in both processes in turn.
        servers[number % 2].done(&Step::draft(draft)).await;
        servers[(number + 1) % 2].done(&Step::open(draft)).await;
    }))
    .await;
    let log = log(&server, "").await;
    for draft in &drafts {
        let told: Vec<_> = log
            .iter()
            .filter_map(|heard| heard.event.as_ref())
            .filter(|event| event.aggregate_id == draft.order_id)
            .map(|event| (event.seq, event.r#type.clone(), event.payload_json.clone()))
            .collect();
        let order = server.order(&draft.order_id).await;
        let history: Vec<_> =
            order.history.into_iter().map(|event| (event.seq, event.r#type, event.payload_json)).collect();
        assert_eq!(told.len(), history.len());
        for (told, kept) in told.iter().zip(&history) {
            assert_eq!((told.0, &told.1), (kept.0, &kept.1));
        }
    }
}

#[tokio::test]
async fn a_cursor_of_a_process_that_is_gone_leads_on_in_another() {
    let server = Server::with_xyz().await;
    let other = server.replica().await;
    server.drafted("customer-a", Side::Buy, "10").await;
    let seen = log(&server, "").await;
    let cursor = seen.last().unwrap().cursor.clone();
    drop(server);
    assert_eq!(log(&other, &cursor).await, []);
    let draft = other.opened("customer-b", Side::Sell, "10").await;
    let next = log(&other, &cursor).await;
    let ids: Vec<_> =
        next.iter().filter_map(|heard| Some(heard.event.as_ref()?.aggregate_id.clone())).collect();
    assert_eq!(ids, [draft.order_id.clone(), draft.order_id]);
}

#[tokio::test]
async fn customers_do_not_follow_the_log() {
    let server = Server::start().await;
    for token in ["token-customer-a", "token-employee"] {
        let answer = server.events(token).subscribe(SubscribeRequest::default()).await;
        assert_eq!(reason(answer), Reason::RoleNotAllowed, "{token}");
    }
}
