//! Sagas that the orchestrator's database has lost: adopted from what a participant remembers.

use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::trading::v1::CancelOrderRequest;
use brokerage_types::{OrderId, Reason, SagaId};
use saga_orchestrator::participants;
use saga_orchestrator::sagas::{Input, Kind, create_order};
use saga_orchestrator::store::Intent;
use service_kit::fault::reason_of;
use test_mesh::{ALICE, BOB, Brokerage, fresh, holding, until};
use uuid::Uuid;

/// A minute is six seconds then.
const FAST: f64 = 0.1;

/// As after a restore to an instant before the saga was accepted.
async fn forget_cancels(brokerage: &Brokerage) -> i64 {
    let mut connection = brokerage.databases.orchestrator().await;
    let forget = "WITH lost AS (DELETE FROM sagas WHERE kind = 'cancel_order' RETURNING saga_id),
                       log AS (DELETE FROM saga_log USING lost WHERE saga_log.saga_id = lost.saga_id),
                       asked AS (DELETE FROM saga_requests USING lost WHERE saga_requests.saga_id = lost.saga_id)
                  SELECT count(*) FROM lost";
    sqlx::query_scalar(forget).fetch_one(&mut connection).await.unwrap()
}

async fn knows(brokerage: &Brokerage, saga_id: Uuid) -> Option<()> {
    let mut connection = brokerage.databases.orchestrator().await;
    let known = sqlx::query_scalar("SELECT true FROM sagas WHERE saga_id = $1").bind(saga_id);
    let known: Option<bool> = known.fetch_optional(&mut connection).await.unwrap();
    known.map(drop)
}

#[tokio::test]
async fn a_saga_that_its_orchestrator_has_lost_is_adopted_and_ends() {
    let mut brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "100").await;
    admin.deposits(BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    // A trade in flight keeps the cancel from ending.
    let trade = brokerage.match_by_hand(&bid, &ask, "1", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let request =
        CancelOrderRequest { request_id: fresh(), order_id: bid.clone(), ..CancelOrderRequest::default() };
    let canceling = tokio::spawn({
        let (mut trading, request) = (alice.trading.clone(), request.clone());
        async move { trading.cancel_order(request).await }
    });
    alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    brokerage.orchestrators.remove(0).stop().await;
    assert!(canceling.await.unwrap().is_err());
    assert_eq!(forget_cancels(&brokerage).await, 1, "there was a saga to lose");

    brokerage.add_orchestrator(FAST).await;
    let mut connection = brokerage.databases.orchestrator().await;
    until("the lost saga is adopted", async || {
        let found = "SELECT count(*) FROM sagas WHERE kind = 'cancel_order'";
        let count: i64 = sqlx::query_scalar(found).fetch_one(&mut connection).await.unwrap();
        (count == 1).then_some(())
    })
    .await;
    assert_eq!((trade.settle().await, trade.fill().await), ("DONE".to_owned(), "DONE".to_owned()));
    // It is the client's own saga again: the same request finds it.
    let alice = brokerage.alice();
    let answer = until("the cancel has ended", async || {
        match alice.trading.clone().cancel_order(request.clone()).await {
            Ok(answer) => Some(Ok(answer.into_inner())),
            Err(status) => (reason_of(&status) == Some(Reason::GaveUp)).then_some(Err(status)),
        }
    })
    .await;
    match answer {
        Ok(answer) => assert!(answer.replayed),
        // A hurried orchestrator on a slow machine gives up: then nothing of it is left, and there is a next time.
        Err(_) => drop(until("a cancel is granted", async || alice.tries_to_cancel(&bid).await.ok()).await),
    }
    assert_eq!(alice.status(&bid).await, OrderStatus::Canceled);
    assert_eq!(alice.has("TRY").await, holding("92", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_lost_saga_whose_request_was_made_again_leaves_nothing() {
    let mut brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "200").await;
    // Drafted and held; then its orchestrator lost it.
    let wish = alice.bid("THYAO", "10", "8.00");
    let mut lost = brokerage.create_by_hand(&wish);
    lost.saga.intent = participants::encode(&intent_of(&lost.saga.saga_id, &wish.request_id));
    assert_eq!((lost.draft().await, lost.place_hold().await), ("DONE".to_owned(), "DONE".to_owned()));
    // The client asks again, and gets another saga.
    let answer = alice.tries_to_place(wish).await.unwrap();
    assert_ne!(answer.order_id, lost.draft.order_id);

    brokerage.orchestrators.remove(0).stop().await;
    brokerage.add_orchestrator(FAST).await;
    let alice = brokerage.alice();
    until("the lost saga is adopted", async || knows(&brokerage, lost.saga.saga_id.parse().unwrap()).await)
        .await;
    alice.waits_for(&lost.draft.order_id, OrderStatus::Rejected).await;
    until("its hold is released", async || (alice.has("TRY").await == holding("120", "80")).then_some(()))
        .await;
    assert_eq!(alice.status(&answer.order_id).await, OrderStatus::Pending);
    brokerage.audit().await;
}

fn intent_of(saga_id: &str, request_id: &str) -> Intent {
    let saga_id: SagaId = saga_id.parse().unwrap();
    let input = Input::CreateOrder(create_order::Input {
        order_id: OrderId::of_saga(saga_id),
        customer_id: ALICE.parse().unwrap(),
        client_order_id: saga_id.to_string().parse().unwrap(),
        instrument: "THYAO".parse().unwrap(),
        base_asset: "THYAO".parse().unwrap(),
        quote_asset: "TRY".parse().unwrap(),
        side: brokerage_types::Side::Buy,
        limit_price: "8".parse().unwrap(),
        quantity: "10".parse().unwrap(),
        created_by: ALICE.parse().unwrap(),
    });
    Intent {
        saga_id,
        kind: Kind::CreateOrder.as_str(),
        version: 1,
        caller: ALICE.to_owned(),
        request_id: request_id.parse().unwrap(),
        request_hash: [0; 32],
        input: serde_json::to_string(&input).unwrap(),
        orders: [None, None],
        conflict_key: None,
        owner: Uuid::nil(),
        trace: None,
    }
}
