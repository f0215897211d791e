//! What only a lane that decides from memory can get wrong.

use brokerage_proto::common::v1::{StepContext, Verdict};
use chrono::{DateTime, TimeDelta, Utc};
use service_kit::executor::Executor;
use service_kit::run::Kit;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::counters::{By, Count, Counters, SCHEMA};

fn saga(not_after: Option<DateTime<Utc>>) -> Option<StepContext> {
    let not_after = not_after.map(|at| prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: at.timestamp_subsec_nanos().try_into().unwrap(),
    });
    let saga_id = Uuid::now_v7().to_string();
    Some(StepContext { saga_id, step: 0, epoch: 1, not_after, attempt: 1, intent: Vec::new() })
}

fn add() -> Count {
    Count::Add { name: "alice".to_owned(), by: 1 }
}

/// It is decided at once, and waits for a row that somebody has locked: longer than the attempt is good for.
#[tokio::test]
async fn an_attempt_that_expires_before_it_is_written_is_not_done() {
    let database = dev_cluster::test_database(service_kit::database::kit_migrations()).await.unwrap();
    let mut holder = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&mut holder).await.unwrap();
    let kit = Kit::for_tests(&database.url).unwrap();
    let executor = Executor::start(&kit, Counters { by: By::Memory });
    let first = executor.step(&saga(None), add()).await.unwrap();
    assert_eq!(first.verdict(), Verdict::Done);

    sqlx::raw_sql("BEGIN; SELECT 1 FROM counters FOR NO KEY UPDATE").execute(&mut holder).await.unwrap();
    let not_after = Utc::now() + TimeDelta::milliseconds(500);
    let context = saga(Some(not_after));
    let let_go = async {
        // The clock of the statement's server, and that statement waits.
        let over = "SELECT clock_timestamp() > $1 AND EXISTS (SELECT 1 FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let mut watcher = PgConnection::connect(&database.url).await.unwrap();
        while !sqlx::query_scalar::<_, bool>(over).bind(not_after).fetch_one(&mut watcher).await.unwrap() {}
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    };
    let (reply, ()) = tokio::join!(executor.step(&context, add()), let_go);
    assert_eq!(reply.unwrap().verdict(), Verdict::Expired);
    let value: i64 = sqlx::query_scalar("SELECT value FROM counters").fetch_one(&mut holder).await.unwrap();
    assert_eq!(value, 1);
    assert!(kit.metrics.render().contains(r#"lane_retries_total{cause="recollection",lane="executor"} 1"#));
}
