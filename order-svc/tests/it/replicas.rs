//! Two processes on one database, each with its own lane: what one decides, the other sees.

use brokerage_proto::common::v1::{Side, Verdict};
use brokerage_types::Reason;
use futures::future::join_all;

use crate::fixture::{Server, Step, draft, verdict};

#[tokio::test]
async fn of_64_drafts_with_one_label_through_two_replicas_one_is_drafted() {
    let server = Server::with_xyz().await;
    let servers = [&server, &server.replica().await];
    let drafts: Vec<Step> = (0..64)
        .map(|_| {
            let mut order = draft("customer-a", Side::Buy, "10");
            order.client_order_id = "the label".to_owned();
            Step::draft(&order)
        })
        .collect();
    let replies = join_all(drafts.iter().enumerate().map(|(n, step)| servers[n % 2].step(step))).await;
    assert_eq!(replies.iter().filter(|reply| verdict(reply) == Verdict::Done).count(), 1);
    let refused: Vec<_> = replies.iter().filter(|reply| verdict(reply) == Verdict::Rejected).collect();
    assert!(refused.iter().all(|reply| reply.reason == "DUPLICATE_CLIENT_ORDER_ID"));
    assert_eq!(refused.len(), 63);
    server.audit().await;
}

#[tokio::test]
async fn a_step_and_its_compensation_through_two_replicas_leave_nothing() {
    let server = Server::with_xyz().await;
    let other = server.replica().await;
    for _ in 0..10 {
        let (buy, sell) = server.a_crossing_pair().await;
        for step in [Step::draft(&draft("customer-a", Side::Buy, "10")), Step::reserve(&buy, &sell, "4")] {
            let does = join_all((0..4).map(|_| server.step(&step)));
            let undoes = join_all((0..4).map(|_| other.compensate(&step, Reason::GaveUp)));
            let (_, undone) = futures::join!(does, undoes);
            assert!(undone.iter().all(|reply| verdict(reply) == Verdict::Done), "{undone:?}");
            assert_eq!(verdict(&server.step(&step).await), Verdict::Tombstone);
        }
        assert_eq!(server.order(&buy.order_id).await.inflight_quantity, "0");
    }
    server.audit().await;
}

#[tokio::test]
async fn two_replicas_never_reserve_more_than_is_left_and_number_every_trade_once() {
    let server = Server::with_xyz().await;
    let servers = [&server, &server.replica().await];
    let (buy, sell) = server.a_crossing_pair().await;
    let steps: Vec<Step> = (0..32).map(|_| Step::reserve(&buy, &sell, "3")).collect();
    let replies = join_all(steps.iter().enumerate().map(|(n, step)| servers[n % 2].step(step))).await;
    let reserved: Vec<&Step> = steps
        .iter()
        .zip(&replies)
        .filter(|(_, r)| verdict(r) == Verdict::Done)
        .map(|(step, _)| step)
        .collect();
    assert_eq!(reserved.len(), 3);
    let fills: Vec<Step> = reserved.into_iter().map(Step::fill_of).collect();
    join_all(fills.iter().enumerate().map(|(n, step)| servers[n % 2].done(step))).await;
    let order = server.order(&buy.order_id).await;
    assert_eq!((order.cum_quantity.as_str(), order.fills.len()), ("9", 3));
    let last: i64 = sqlx::query_scalar("SELECT max(trade_seq) FROM trades")
        .fetch_one(&mut server.connection().await)
        .await
        .unwrap();
    assert_eq!(last, 3);
    server.audit().await;
}
