//! Starts real servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::borrow::Cow;

use dev_cluster::{Cluster, ClusterOptions, Redis, test_database};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlSafeStr};

fn migrator() -> Migrator {
    let mut migrator = Migrator::DEFAULT;
    migrator.migrations = Cow::Owned(vec![Migration::new(
        1,
        Cow::Borrowed("first"),
        MigrationType::Simple,
        "CREATE TABLE note (id int PRIMARY KEY)".into_sql_str(),
        false,
    )]);
    migrator
}

async fn notes(url: &str) -> Vec<i32> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT id FROM note ORDER BY id").fetch_all(&mut connection).await.unwrap()
}

async fn note(url: &str, id: i32) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query("INSERT INTO note VALUES ($1)").bind(id).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn test_databases_are_migrated_and_do_not_share_rows() {
    let (one, other) = tokio::join!(test_database(migrator()), test_database(migrator()));
    let (one, other) = (one.unwrap(), other.unwrap());
    note(&one.url, 1).await;
    assert_eq!(notes(&one.url).await, [1]);
    assert_eq!(notes(&other.url).await, [0; 0]);
}

#[tokio::test]
async fn a_kept_cluster_has_its_rows_after_a_stop_and_after_a_crash() {
    let home = std::env::temp_dir().join(format!("dev-cluster-test-{}", uuid::Uuid::new_v4()));
    let options = ClusterOptions { data_dir: Some(home.clone()), durable: true };
    let mut cluster = Cluster::start(options.clone()).await.unwrap();
    cluster.create_database("kept").await.unwrap();
    cluster.create_database("kept").await.unwrap();
    let mut connection = PgConnection::connect(&cluster.url("kept")).await.unwrap();
    migrator().run(&mut connection).await.unwrap();
    note(&cluster.url("kept"), 1).await;

    cluster.kill_immediately().unwrap();
    cluster.restart().unwrap();
    assert_eq!(notes(&cluster.url("kept")).await, [1]);

    cluster.stop().unwrap();
    drop(cluster);
    let cluster = Cluster::start(options).await.unwrap();
    assert_eq!(notes(&cluster.url("kept")).await, [1]);
    assert!(cluster.bin("psql").is_file());
    drop(cluster);
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn redis_answers_after_a_restart() {
    let mut redis = Redis::start().await.unwrap();
    let before = redis.pid();
    redis.restart().unwrap();
    assert!(redis.pid().is_some());
    assert_ne!(redis.pid(), before);
}
