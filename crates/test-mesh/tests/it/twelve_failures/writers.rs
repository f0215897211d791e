//! Two writers of one saga, after a lease has run out.

use brokerage_proto::order::v1::OrderStatus;
use sqlx::AssertSqlSafe;
use test_mesh::{ALICE, BOB, Brokerage, holding, until};

#[tokio::test]
async fn two_writers_after_a_lease_expires_release_one_hold_once() {
    let mut brokerage = Brokerage::start().await;
    let (alice, bob) = (brokerage.alice(), brokerage.bob());
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    brokerage.admin().deposits(BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    // A trade in flight keeps the cancel's driver busy for as long as this test wants.
    let trade = brokerage.match_by_hand(&bid, &ask, "4", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let canceling = tokio::spawn({
        let (alice, bid) = (alice.clone(), bid.clone());
        async move { alice.tries_to_cancel(&bid).await }
    });
    alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    let first = driver(&brokerage, &bid).await;
    // Its last heartbeat was long ago, the next ones are lost, and it does not know.
    silence(&brokerage, &first.0).await;
    brokerage.add_orchestrator(1.0).await;
    let second = until("another orchestrator adopts the saga", async || {
        let now = driver(&brokerage, &bid).await;
        (now.0 != first.0).then_some(now)
    })
    .await;
    assert!(second.1 > first.1, "with a higher epoch");
    // Both drive it now. The trade lands, and both go on.
    assert_eq!((trade.settle().await, trade.fill().await), ("DONE".to_owned(), "DONE".to_owned()));
    canceling.await.unwrap().unwrap();
    let order = alice.sees(&bid).await;
    assert_eq!(order.status(), OrderStatus::Canceled);
    assert_eq!((order.cum_quantity.as_str(), order.canceled_quantity.as_str()), ("4", "6"));
    assert_eq!(alice.has("TRY").await, holding("68", "0"));
    let events: Vec<_> = order.history.iter().map(|event| event.r#type.as_str()).collect();
    let expected = [
        "OrderCreated",
        "OrderValidated",
        "MatchReserved",
        "OrderCancelRequested",
        "OrderPartiallyMatched",
        "OrderCanceled",
    ];
    assert_eq!(events, expected, "each change happened once");
    brokerage.audit().await;
}

#[tokio::test]
async fn a_step_of_two_drivers_has_one_effect_and_the_older_one_is_stopped() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let older = brokerage.cancel_by_hand(&bid);
    let mut newer = older.clone();
    newer.saga.epoch = 2;
    // The same step by both at once: done, and done.
    let both = futures::future::join(older.begin(), newer.begin()).await;
    assert_eq!(both, ("DONE".to_owned(), "DONE".to_owned()));
    let both = futures::future::join(newer.release_hold(), older.release_hold()).await;
    assert_eq!(both.0, "DONE");
    assert!(["DONE", "STALE_EPOCH"].contains(&both.1.as_str()), "{both:?}");
    assert_eq!(alice.has("TRY").await, holding("100", "0"));
    let statement = alice.statement("TRY").await;
    let releases = statement.iter().filter(|posting| posting.kind == "RELEASE");
    assert_eq!(releases.count(), 2, "one release, which is two postings: {statement:?}");
    // The older driver's last step comes after the newer one's: it hears what was done.
    assert_eq!(newer.confirm().await, "DONE");
    assert_eq!(older.confirm().await, "DONE");
    assert_eq!(alice.status(&bid).await, OrderStatus::Canceled);
    brokerage.audit().await;
}

#[tokio::test]
async fn an_older_driver_cannot_begin_what_a_newer_one_may_have_given_up() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "100").await;
    let older = brokerage.create_by_hand(&alice.bid("THYAO", "10", "8.00"));
    let mut newer = older.clone();
    newer.saga.epoch = 2;
    assert_eq!(older.draft().await, "DONE");
    // The newer driver gives the saga up while the older one's call is still on its way.
    assert_eq!(newer.undo_place_hold("GAVE_UP").await, "DONE(GAVE_UP)");
    assert_eq!(newer.undo_draft("GAVE_UP").await, "DONE(GAVE_UP)");
    assert_eq!(older.place_hold().await, "TOMBSTONE(GAVE_UP)");
    let opened = older.open().await;
    assert_eq!(opened, "REJECTED(ILLEGAL_TRANSITION)");
    let order = alice.sees(&older.draft.order_id).await;
    assert_eq!((order.status(), order.reason.as_str()), (OrderStatus::Rejected, "GAVE_UP"));
    assert_eq!(alice.has("TRY").await, holding("100", "0"));
    brokerage.audit().await;
}

/// Who drives the cancel of an order, and in which epoch.
async fn driver(brokerage: &Brokerage, order_id: &str) -> (String, i64) {
    sqlx::query_as("SELECT owner::text, epoch FROM sagas WHERE kind = 'cancel_order' AND order_id = $1::uuid")
        .bind(order_id)
        .fetch_one(&mut brokerage.databases.orchestrator().await)
        .await
        .unwrap()
}

/// Ends the lease of an orchestrator that goes on living: every further heartbeat of it is lost.
async fn silence(brokerage: &Brokerage, owner: &str) {
    let statement = format!(
        "UPDATE owners SET beat_at = beat_at - interval '1 minute' WHERE owner = '{owner}';
         CREATE FUNCTION lose_heartbeat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER lose_heartbeat BEFORE UPDATE ON owners
             FOR EACH ROW WHEN (OLD.owner = '{owner}'::uuid) EXECUTE FUNCTION lose_heartbeat();"
    );
    let mut connection = brokerage.databases.orchestrator().await;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
}
