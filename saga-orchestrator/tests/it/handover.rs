//! Sagas outlive the processes that drive them.

use std::time::Duration;

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::saga::v1::SagaStatus;
use brokerage_proto::trading::v1 as wire;
use sqlx::Row;
use uuid::Uuid;

use crate::fakes::Mood;
use crate::mesh::{Mesh, as_user, buys_10_at_100};

/// A lease is a second then.
const FAST: f64 = 0.2;

#[tokio::test]
async fn a_saga_whose_owner_was_killed_is_finished_by_another() {
    let mesh = Mesh::scaled(FAST).await;
    let killed = mesh.process().await;
    let order_id = Uuid::now_v7().to_string();
    mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.feel("await_drain", Mood::NotNow);
    let request_id = Uuid::new_v4().to_string();
    let request = wire::CancelOrderRequest { request_id, order_id, ..Default::default() };
    let mut client = killed.trading();
    let asked = as_user("token-customer-a", request.clone());
    let waiting = tokio::spawn(async move { client.cancel_order(asked).await });
    while mesh.fakes.effects("begin_cancel") == 0 {
        tokio::task::yield_now().await;
    }
    drop(killed);
    assert!(waiting.await.unwrap().is_err(), "nobody may answer for a dead process");
    mesh.fakes.feel_well("await_drain");

    let heir = mesh.process().await;
    let found = heir.trading().cancel_order(as_user("token-customer-a", request)).await.unwrap().into_inner();
    assert!(found.replayed);
    let saga = heir.until(&found.saga_id, SagaStatus::Completed).await;
    assert_eq!(saga.epoch, 2, "the driver changed once");
    assert_eq!((mesh.fakes.effects("begin_cancel"), mesh.fakes.effects("release_hold")), (1, 1));
}

#[tokio::test]
async fn a_process_that_stops_leaves_its_sagas_at_once() {
    // The lease is five seconds here; nobody waits for it.
    let mesh = Mesh::start().await;
    let stopped = mesh.process().await;
    let order_id = Uuid::now_v7().to_string();
    mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
    mesh.fakes.feel("await_drain", Mood::NotNow);
    let request_id = Uuid::new_v4().to_string();
    let request = wire::CancelOrderRequest { request_id, order_id, ..Default::default() };
    let mut client = stopped.trading();
    let asked = as_user("token-customer-a", request.clone());
    let waiting = tokio::spawn(async move { client.cancel_order(asked).await });
    while mesh.fakes.effects("begin_cancel") == 0 {
        tokio::task::yield_now().await;
    }
    stopped.stop().await;
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(mesh.count("SELECT count(*) FROM owners").await, 0);
    mesh.fakes.feel_well("await_drain");
    let heir = mesh.process().await;
    let found = heir.trading().cancel_order(as_user("token-customer-a", request)).await.unwrap().into_inner();
    assert!(found.replayed);
}

#[tokio::test]
async fn a_saga_that_cannot_be_read_is_parked_and_stops_nobody() {
    let mesh = Mesh::scaled(FAST).await;
    mesh.sql(
        "INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner)
         SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, 'create_order', version, 'someone',
                gen_random_uuid(), '', input::jsonb, gen_random_uuid()
         FROM (VALUES (1, 99, '{}'), (2, 1, '{\"order_id\": 1}')) AS bad (n, version, input)",
    )
    .await;
    let process = mesh.process().await;
    for number in 1..=2 {
        let saga_id = format!("00000000-0000-7000-8000-00000000000{number}");
        let saga = process.until(&saga_id, SagaStatus::Parked).await;
        assert_eq!(saga.reason, "INTERNAL_FAULT");
    }
    process.create(&buys_10_at_100()).await.unwrap();
}

#[tokio::test]
async fn an_intent_without_a_driver_is_driven_by_whoever_comes() {
    let mesh = Mesh::scaled(FAST).await;
    let process = mesh.process().await;
    process.create(&buys_10_at_100()).await.unwrap();
    // As after a crash right behind the intent: a copy of the row, its own number, an owner that is gone.
    mesh.sql(
        "INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner)
         SELECT '00000000-0000-7000-8000-000000000009', kind, version, caller, gen_random_uuid(), request_hash,
                jsonb_set(input, '{order_id}', '\"00000000-0000-7000-8000-000000000009\"'), gen_random_uuid()
         FROM sagas",
    )
    .await;
    process.until("00000000-0000-7000-8000-000000000009", SagaStatus::Completed).await;
    assert_eq!(mesh.fakes.effects("open"), 2);
    let rows = mesh.sql("SELECT epoch FROM sagas ORDER BY saga_id LIMIT 1").await;
    assert_eq!(rows[0].get::<i64, _>(0), 2);
}

#[tokio::test]
async fn redis_changes_nothing_by_being_there_or_by_being_gone() {
    let Some(mut redis) = dev_cluster::Redis::start().await else { return };
    let mut mesh = Mesh::start().await;
    mesh.redis_url = Some(redis.url());
    let processes = [mesh.process().await, mesh.process().await];
    let cancels_one = async |process: &crate::mesh::Process| {
        let order_id = Uuid::now_v7().to_string();
        mesh.fakes.order(&order_id, Side::Buy, "100", OrderStatus::Pending);
        let request_id = Uuid::new_v4().to_string();
        let request = wire::CancelOrderRequest { request_id, order_id, ..Default::default() };
        process.trading().cancel_order(as_user("token-customer-a", request)).await.unwrap().into_inner()
    };
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let used = async {
        loop {
            let answer = cancels_one(&processes[0]).await;
            processes[1].until(&answer.saga_id, SagaStatus::Completed).await;
            let stats: String =
                redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
            if ["cmdstat_set:", "cmdstat_publish:", "cmdstat_eval"].iter().all(|used| stats.contains(used)) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), used).await.expect("Redis is used when it is there");
    redis.stop().unwrap();
    for process in &processes {
        for _ in 0..10 {
            cancels_one(process).await;
            process.create(&buys_10_at_100()).await.unwrap();
        }
    }
}
