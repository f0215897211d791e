//! A standby that must confirm every commit: what is told again is as durable as what was told first.

use brokerage_proto::common::v1::{StepContext, Verdict};
use dev_cluster::{Cluster, ClusterOptions};
use service_kit::database::kit_migrations;
use service_kit::executor::Executor;
use service_kit::run::Kit;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::counters::{By, Count, Counters, SCHEMA};

const WAIT_FOR_THE_STANDBY: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// Names the standby whose confirmation commits wait for from now on, or none. There is none of that name.
async fn set_standby(admin: &mut PgConnection, name: &str) {
    let statement = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *admin).await.unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut *admin).await.unwrap();
}

async fn waiting(admin: &mut PgConnection) -> i64 {
    sqlx::query_scalar(WAIT_FOR_THE_STANDBY).fetch_one(admin).await.unwrap()
}

/// Commits until told to stop: Postgres takes a moment until commits do wait.
async fn commit_for_ever(url: String) {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    loop {
        sqlx::raw_sql("SELECT pg_logical_emit_message(true, 'test', '')")
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

fn executor(url: &str, by: By) -> Executor<Counters> {
    Executor::start(&Kit::for_tests(url).unwrap(), Counters { by })
}

#[tokio::test]
async fn a_verdict_that_is_told_again_waits_for_the_standby_as_the_first_did() {
    let cluster =
        Cluster::start(ClusterOptions { durable: true, ..ClusterOptions::default() }).await.unwrap();
    let url = cluster.url("postgres");
    let mut admin = PgConnection::connect(&url).await.unwrap();
    kit_migrations().run(&mut admin).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&mut admin).await.unwrap();
    for by in By::ALL {
        let saga_id = Uuid::now_v7().to_string();
        let context = Some(StepContext { saga_id, epoch: 1, attempt: 1, ..StepContext::default() });
        let add = Count::Add { name: "alice".to_owned(), by: 1 };
        let first = executor(&url, by).step(&context, add.clone()).await.unwrap();
        assert_eq!(first.verdict(), Verdict::Done);
        set_standby(&mut admin, "nobody").await;
        let others = tokio::spawn(commit_for_ever(url.clone()));
        while waiting(&mut admin).await < 1 {}
        // Whose connection is new, and knows of the standby.
        let replica = executor(&url, by);
        let again = replica.step(&context, add);
        tokio::pin!(again);
        tokio::select! {
            told = &mut again => panic!("told before the standby has it: {told:?}"),
            () = async { while waiting(&mut admin).await < 2 {} } => {}
        }
        set_standby(&mut admin, "").await;
        assert_eq!(again.await.unwrap().verdict(), Verdict::Done);
        others.abort();
        while waiting(&mut admin).await > 0 {}
    }
}
