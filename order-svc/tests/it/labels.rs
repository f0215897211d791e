//! A customer's labels: unique, whoever asks and however often.

use brokerage_proto::common::v1::{Side, Verdict};
use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::order_command::Kind;
use brokerage_types::Reason;
use futures::future::join_all;
use uuid::Uuid;

use crate::fixture::{Server, Step, draft, verdict};

#[tokio::test]
async fn labels_are_unique_per_customer_and_kept_by_rejected_orders() {
    let server = Server::with_xyz().await;
    let first = server.drafted("customer-a", Side::Buy, "10").await;
    server.compensate(&Step::draft(&first), Reason::InsufficientUsable).await;
    let second = proto::Draft {
        client_order_id: first.client_order_id.clone(),
        ..draft("customer-a", Side::Buy, "10")
    };
    assert_eq!(server.refused(&Step::draft(&second)).await, "DUPLICATE_CLIENT_ORDER_ID");
    let foreign = proto::Draft {
        client_order_id: first.client_order_id.clone(),
        ..draft("customer-b", Side::Buy, "10")
    };
    server.done(&Step::draft(&foreign)).await;
    let mut stolen = Step { saga: Uuid::now_v7(), ..Step::draft(&draft("customer-a", Side::Buy, "1")) };
    if let Kind::Draft(command) = &mut stolen.command {
        command.order_id.clone_from(&foreign.order_id);
    }
    assert_eq!(server.refused(&stolen).await, "ORDER_EXISTS");
}

#[tokio::test]
async fn of_64_drafts_with_one_label_at_once_one_is_drafted() {
    let server = Server::with_xyz().await;
    let drafts: Vec<Step> = (0..64)
        .map(|_| {
            let mut order = draft("customer-a", Side::Buy, "10");
            order.client_order_id = "the label".to_owned();
            Step::draft(&order)
        })
        .collect();
    let replies = join_all(drafts.iter().map(|step| server.step(step))).await;
    assert_eq!(replies.iter().filter(|reply| verdict(reply) == Verdict::Done).count(), 1);
    let refused = replies.iter().filter(|reply| verdict(reply) == Verdict::Rejected);
    assert!(refused.clone().all(|reply| reply.reason == "DUPLICATE_CLIENT_ORDER_ID"));
    assert_eq!(refused.count(), 63);
    server.audit().await;
}

#[tokio::test]
async fn a_draft_given_up_before_it_ran_whose_label_is_taken_leaves_no_order_and_no_fault() {
    let server = Server::with_xyz().await;
    let first = server.drafted("customer-a", Side::Buy, "10").await;
    let mut late = draft("customer-a", Side::Buy, "10");
    late.client_order_id.clone_from(&first.client_order_id);
    let before = server.everything().await;
    let reply = server.compensate(&Step::draft(&late), Reason::GaveUp).await;
    assert_eq!(verdict(&reply), Verdict::Done);
    assert_eq!(server.everything().await, before);
}
