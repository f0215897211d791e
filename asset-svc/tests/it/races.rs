//! Forced interleavings and many at once, over two replicas: nothing deadlocks, nothing is lost, a freeze holds.

use std::sync::Arc;
use std::time::Duration;

use brokerage_proto::asset::v1 as wire;
use futures::future::join_all;
use sqlx::PgPool;

use crate::audit::audit;
use crate::harness::{World, buy, fresh, sell, trade, verdict};

/// Longer than any wait of the service.
const PATIENCE: Duration = Duration::from_secs(15);

/// Comes back when a transaction of the service waits for a lock.
async fn somebody_waits(pool: &PgPool) {
    let query = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = async {
        while sqlx::query_scalar::<_, i64>(query).fetch_one(pool).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("nobody waits for a lock");
}

async fn alice_with_cash() -> Arc<World> {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    Arc::new(world)
}

#[tokio::test]
async fn a_hold_that_waited_for_a_freeze_sees_it() {
    let world = alice_with_cash().await;
    let mut freeze = world.pool.begin().await.unwrap();
    for statement in [
        "SELECT 1 FROM balances WHERE owner = 'customer-a' FOR NO KEY UPDATE",
        "UPDATE customers SET state = 'FROZEN', version = version + 1 WHERE customer_id = 'customer-a'",
    ] {
        sqlx::query(statement).execute(&mut *freeze).await.unwrap();
    }
    let placing = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.place(&buy("customer-a", "THYAO", "1", "10")).await }
    });
    somebody_waits(&world.pool).await;
    freeze.commit().await.unwrap();
    assert_eq!(verdict(&placing.await.unwrap()), "REJECTED(CUSTOMER_FROZEN)");
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_freeze_waits_for_what_is_under_way() {
    let world = alice_with_cash().await;
    let mut under_way = world.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM balances WHERE owner = 'customer-a' FOR NO KEY UPDATE")
        .execute(&mut *under_way)
        .await
        .unwrap();
    let freezing = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.customer("customer-a", wire::Tier::Standard, wire::CustomerState::Frozen).await }
    });
    somebody_waits(&world.pool).await;
    let state: String = sqlx::query_scalar("SELECT state FROM customers WHERE customer_id = 'customer-a'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(state, "ACTIVE");
    under_way.rollback().await.unwrap();
    freezing.await.unwrap();
    let refused = world.place(&buy("customer-a", "THYAO", "1", "10")).await;
    assert_eq!(verdict(&refused), "REJECTED(CUSTOMER_FROZEN)");
}

#[tokio::test]
async fn customers_who_trade_both_ways_at_once_neither_deadlock_nor_lose_anything() {
    let world = World::with_customers().await;
    for customer in ["customer-a", "customer-b"] {
        for asset in ["TRY", "THYAO", "GARAN"] {
            world.deposit(customer, asset, "10000").await;
        }
    }
    let rounds = (0..40).map(|round| {
        let world = &world;
        let (buyer, seller) =
            if round % 2 == 0 { ("customer-a", "customer-b") } else { ("customer-b", "customer-a") };
        let share = if round % 4 < 2 { "THYAO" } else { "GARAN" };
        async move {
            let (bid, ask) = (buy(buyer, share, "3", "10"), sell(seller, share, "3", "10"));
            let (first, second) = tokio::join!(world.place(&bid), world.place(&ask));
            assert_eq!((verdict(&first), verdict(&second)), ("DONE".to_owned(), "DONE".to_owned()));
            let (one, two) = (trade(&bid, &ask, "1", "10"), trade(&bid, &ask, "1", "10"));
            let (first, second) = tokio::join!(world.settle(&one), world.settle(&two));
            assert_eq!((verdict(&first), verdict(&second)), ("DONE".to_owned(), "DONE".to_owned()));
            let (own, other) = (fresh(), fresh());
            let (first, second) =
                tokio::join!(world.release(&own, &bid.hold_id), world.release(&other, &ask.hold_id));
            assert_eq!((verdict(&first), verdict(&second)), ("DONE".to_owned(), "DONE".to_owned()));
        }
    });
    join_all(rounds).await;
    for customer in ["customer-a", "customer-b"] {
        for asset in ["TRY", "THYAO", "GARAN"] {
            assert_eq!(
                world.has(customer, asset).await,
                ("10000".to_owned(), "0".to_owned()),
                "{customer} {asset}"
            );
        }
    }
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_release_and_a_settlement_at_once_end_in_one_of_two_ways() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "10000").await;
    world.deposit("customer-b", "THYAO", "1000").await;
    for _ in 0..16 {
        let (bid, ask) = (buy("customer-a", "THYAO", "2", "10"), sell("customer-b", "THYAO", "2", "10"));
        world.place(&bid).await;
        world.place(&ask).await;
        let (deal, saga) = (trade(&bid, &ask, "2", "10"), fresh());
        let (settled, released) = tokio::join!(world.settle(&deal), world.release(&saga, &bid.hold_id));
        assert_eq!(verdict(&released), "DONE");
        assert!(["DONE", "REJECTED(HOLD_CLOSED)"].contains(&verdict(&settled).as_str()));
        world.release(&fresh(), &ask.hold_id).await;
    }
    assert_eq!(world.has("customer-a", "TRY").await.1, "0");
    audit(&world.pool).await;
}

#[tokio::test]
async fn the_first_movements_of_a_new_balance_do_not_lose_each_other() {
    let world = World::with_customers().await;
    let deposits = (0..24).map(|_| world.deposit("customer-a", "GARAN", "0.5"));
    join_all(deposits).await;
    assert_eq!(world.has("customer-a", "GARAN").await.0, "12");
    audit(&world.pool).await;
}
