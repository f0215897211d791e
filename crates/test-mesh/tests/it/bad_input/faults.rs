//! A database in trouble is never reported as a business refusal.

use brokerage_proto::asset::v1::DepositRequest;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_types::Reason;
use sqlx::{Connection, PgConnection};
use test_mesh::{ALICE, Brokerage, Options, expect_refusal, fresh, holding, until};
use tonic::Code;

/// Whether anybody waits for a lock in asset-svc's database.
async fn somebody_waits(connection: &mut PgConnection) -> bool {
    let query = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE NOT granted AND d.datname = current_database()";
    sqlx::query_scalar::<_, i64>(query).fetch_one(connection).await.unwrap() > 0
}

#[tokio::test]
async fn a_locked_table_delays_an_order_and_does_not_refuse_it() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    let mut locking = brokerage.databases.asset().await;
    let mut watching = brokerage.databases.asset().await;
    let mut lock = locking.begin().await.unwrap();
    sqlx::query("LOCK TABLE balances IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let buying = tokio::spawn(async move { alice.buys("THYAO", "10", "8.00").await });
    until("the hold waits for the lock", async || somebody_waits(&mut watching).await.then_some(())).await;
    lock.rollback().await.unwrap();
    let bid = buying.await.unwrap();
    assert_eq!(brokerage.alice().status(&bid).await, OrderStatus::Pending);
    assert_eq!(brokerage.alice().has("TRY").await, holding("920", "80"));
    brokerage.audit().await;
}

#[tokio::test]
async fn an_order_that_meets_a_locked_table_for_too_long_is_given_up_whole() {
    let brokerage = Brokerage::start_with(Options { time_scale: 1.0, ..Options::default() }).await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    let mut locking = brokerage.databases.asset().await;
    let mut lock = locking.begin().await.unwrap();
    sqlx::query("LOCK TABLE balances, holds IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let request = alice.bid("THYAO", "10", "8.00");
    let buying = tokio::spawn({
        let (alice, request) = (alice.clone(), request.clone());
        async move { alice.tries_to_place(request).await }
    });
    // Giving up begins at the pivot: from its tombstone on the order cannot open any more.
    let mut watching = brokerage.databases.order().await;
    until("the pivot is given up", async || {
        let query = "SELECT EXISTS (SELECT 1 FROM inbox WHERE command = 'Open' AND verdict = 4)";
        sqlx::query_scalar::<_, bool>(query).fetch_one(&mut watching).await.unwrap().then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    let refusal = expect_refusal(buying.await.unwrap(), Reason::GaveUp);
    let order = alice.sees(refusal.metadata("order_id").unwrap()).await;
    assert_eq!((order.status(), order.reason.as_str()), (OrderStatus::Rejected, "GAVE_UP"));
    assert_eq!(alice.has("TRY").await, holding("1000", "0"));
    // The answer stays the answer; a new request is a new order.
    expect_refusal(alice.tries_to_place(request).await, Reason::GaveUp);
    alice.buys("THYAO", "10", "8.00").await;
    brokerage.audit().await;
}

#[tokio::test]
async fn a_deposit_that_cannot_be_written_is_unavailable_and_works_later() {
    let brokerage = Brokerage::start().await;
    let admin = brokerage.admin();
    let mut locking = brokerage.databases.asset().await;
    let mut lock = locking.begin().await.unwrap();
    sqlx::query("LOCK TABLE balances IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let deposit = DepositRequest {
        request_id: fresh(),
        customer_id: ALICE.to_owned(),
        asset: "TRY".to_owned(),
        amount: "10".to_owned(),
        ..Default::default()
    };
    let answer = admin.tries_to_deposit(deposit.clone()).await;
    let refusal = expect_refusal(answer, Reason::DatabaseUnavailable);
    assert_eq!(refusal.code, Code::Unavailable);
    lock.rollback().await.unwrap();
    assert!(!admin.tries_to_deposit(deposit.clone()).await.unwrap().replayed);
    assert!(admin.tries_to_deposit(deposit).await.unwrap().replayed);
    assert_eq!(brokerage.alice().has("TRY").await, holding("10", "0"));
    brokerage.audit().await;
}
