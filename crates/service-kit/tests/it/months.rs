//! The inbox by months: no row is lost or forgotten early, whenever its partition is made.

use std::time::Duration;

use brokerage_proto::common::v1::{StepContext, Verdict};
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use service_kit::database::kit_migrations;
use service_kit::executor::{Executor, Once};
use service_kit::months;
use service_kit::run::Kit;
use service_kit::settings::Settings;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::{NoContext, Timestamp, Uuid};

use crate::counters::{By, Count, Counters, SCHEMA};

const DAY: Duration = Duration::from_secs(86_400);
/// Two months of the past, as `keep_months` would have made them.
const LONG_AGO: &str = "
    CREATE TABLE inbox_y2020m01 PARTITION OF inbox
        FOR VALUES FROM ('016f5e66-e800-0000-0000-000000000000') TO ('016ffe0c-0c00-0000-0000-000000000000');
    CREATE TABLE inbox_y2020m02 PARTITION OF inbox
        FOR VALUES FROM ('016ffe0c-0c00-0000-0000-000000000000') TO ('01709364-7800-0000-0000-000000000000')";
/// Columns of the inbox, or of a part of it, of which ANALYZE reads more than a little.
const SAMPLED_MUCH: &str = "
    SELECT count(*) FROM pg_partition_tree('inbox') AS part JOIN pg_attribute a ON a.attrelid = part.relid
    WHERE a.attnum > 0 AND a.attstattarget <> 10";
/// Parts of the inbox that are vacuumed as soon as they have grown by a fifth.
const VACUUMED_SOON: &str = "
    SELECT count(*) FROM pg_partition_tree('inbox') AS part JOIN pg_class c ON c.oid = part.relid
    WHERE part.isleaf AND NOT coalesce(c.reloptions, '{}') @>
        '{autovacuum_vacuum_insert_threshold=10000000,autovacuum_vacuum_threshold=1000000}'";
/// Undoes `0011_once.sql`: what is no saga's step is in the rest, with either first bit.
const ONCE_UNDONE: &str = "
    DROP TRIGGER old_number ON inbox_rest;
    DROP FUNCTION refuse_old_number;
    ALTER TABLE inbox DETACH PARTITION inbox_once;
    UPDATE inbox_once
    SET saga_id = overlay(saga_id::text PLACING to_hex(('x' || left(saga_id::text, 1))::bit(4)::integer & 7) FROM 1 FOR 1)::uuid
    WHERE right(saga_id::text, 1) < '8';
    INSERT INTO inbox SELECT * FROM inbox_once;
    DROP TABLE inbox_once";
const PARTITIONS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'inbox'::regclass";

struct Shelf {
    database: TestDatabase,
    connection: PgConnection,
}

impl Shelf {
    async fn new() -> Self {
        let database = dev_cluster::test_database(kit_migrations()).await.unwrap();
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
        Self { database, connection }
    }

    fn kit(&self, inbox_days: Option<u32>) -> Kit {
        let mut settings = Settings::dev();
        self.database.url.clone_into(&mut settings.database.url);
        settings.retention.inbox_days = inbox_days;
        Kit::new(settings).unwrap()
    }

    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await.unwrap();
    }

    async fn number(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connection).await.unwrap()
    }
}

/// A step of a saga of that age.
fn step(age: Duration) -> StepContext {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let made = Timestamp::from_unix(NoContext, (now - age).as_secs(), 0);
    StepContext { saga_id: Uuid::new_v7(made).to_string(), epoch: 1, attempt: 1, ..StepContext::default() }
}

fn add() -> Count {
    Count::Add { name: "alice".to_owned(), by: 1 }
}

#[tokio::test]
async fn rows_that_were_written_before_their_month_was_made_move_into_it() {
    let mut shelf = Shelf::new().await;
    let executor = Executor::start(&shelf.kit(None), Counters { by: By::Locks });
    let made = shelf.number(PARTITIONS).await;
    assert_eq!(made, 5, "this month, two more, what is no saga's step, and the rest");
    let this_month =
        "SELECT format('DROP TABLE inbox_y%s', to_char(now() AT TIME ZONE 'UTC', 'YYYY\"m\"MM'))";
    let drop: String = sqlx::query_scalar(this_month).fetch_one(&mut shelf.connection).await.unwrap();
    shelf.run(&drop).await;

    let context = Some(step(Duration::ZERO));
    executor.step(&context, add()).await.unwrap();
    assert_eq!(shelf.number("SELECT count(*) FROM inbox_rest").await, 1);
    let made: i32 =
        sqlx::query_scalar("SELECT keep_months('inbox', 2)").fetch_one(&mut shelf.connection).await.unwrap();
    assert_eq!(made, 1);
    assert_eq!(shelf.number(SAMPLED_MUCH).await, 0);
    assert_eq!(shelf.number(VACUUMED_SOON).await, 0);
    assert_eq!(shelf.number("SELECT count(*) FROM inbox_rest").await, 0);
    assert_eq!(executor.step(&context, add()).await.unwrap().verdict(), Verdict::Done);
    assert_eq!(shelf.number("SELECT sum(value)::bigint FROM counters").await, 1, "it was remembered");
}

#[tokio::test]
async fn what_is_no_sagas_step_is_kept_apart_and_remembered_from_before_that() {
    let mut shelf = Shelf::new().await;
    let executor = Executor::start(&shelf.kit(None), Counters { by: By::Locks });
    let ids: Vec<String> = (0..16).map(|_| Uuid::new_v4().to_string()).collect();
    let once = |request_id| Once { caller: "alice", rpc: "Add", request_id };
    for id in &ids {
        assert!(!executor.once(once(id), add()).await.unwrap().replayed);
    }
    assert_eq!(shelf.number("SELECT count(*) FROM inbox_once").await, 16);
    shelf.run(ONCE_UNDONE).await;
    assert_eq!(shelf.number("SELECT count(*) FROM inbox_rest").await, 16);

    shelf.run(include_str!("../../migrations/0011_once.sql")).await;
    assert_eq!(shelf.number(SAMPLED_MUCH).await, 0);
    for id in &ids {
        assert!(executor.once(once(id), add()).await.unwrap().replayed);
    }
    assert_eq!(shelf.number("SELECT count(*) FROM inbox_once").await, 16);
    assert_eq!(shelf.number("SELECT sum(value)::bigint FROM counters").await, 16);

    // A process of the version before, which does not find them, cannot do one of them again.
    let again = "INSERT INTO inbox (saga_id, step, verdict, request_hash, epoch, command)
        VALUES ('3a6d2f2e-0c3b-5d1c-9d0b-6d1f8f5f3c11', 0, 1, '', 0, 'add')";
    let refused = sqlx::query(again).execute(&mut shelf.connection).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("40001"));
}

#[tokio::test]
async fn a_month_goes_when_it_ended_long_enough_ago_and_nothing_else_does() {
    let mut shelf = Shelf::new().await;
    shelf.run(LONG_AGO).await;
    let executor = Executor::start(&shelf.kit(None), Counters { by: By::Locks });
    let ages = [Duration::ZERO, DAY * 29, DAY * 10_000];
    for context in ages.map(step) {
        executor.step(&Some(context), add()).await.unwrap();
    }
    let in_2020 = "INSERT INTO inbox (saga_id, step, verdict, request_hash, epoch, command)
        SELECT uuid_v7_floor(day), 0, 1, '', 1, 'Add' FROM generate_series('2020-01-01'::timestamptz, '2020-02-28', '1 day') day";
    shelf.run(in_2020).await;
    let too_early = sqlx::query("SELECT drop_months('inbox', 29)").execute(&mut shelf.connection).await;
    assert!(too_early.is_err());

    let kit = shelf.kit(Some(365));
    kit.shutdown.cancel();
    months::keep(kit, "inbox", Some(365)).await;
    assert_eq!(shelf.number(PARTITIONS).await, 5);
    assert_eq!(shelf.number("SELECT count(*) FROM inbox").await, 3);
}

#[tokio::test]
async fn a_step_that_may_be_forgotten_is_refused_and_not_done_again() {
    let mut shelf = Shelf::new().await;
    let reason = Reason::GaveUp.as_str();
    for by in By::ALL {
        let executor = Executor::start(&shelf.kit(Some(30)), Counters { by });
        // From here on there is something to remember.
        executor.step(&Some(step(DAY * 28)), add()).await.unwrap();
        let old = Some(step(DAY * 31));
        for refused in [executor.step(&old, add()).await, executor.compensate(&old, add(), reason).await] {
            assert_eq!(refused.unwrap().verdict(), Verdict::TooOld);
        }
    }
    assert_eq!(shelf.number("SELECT sum(value)::bigint FROM counters").await, 3);
}

#[tokio::test]
async fn what_is_still_known_is_told_however_old_it_is() {
    let shelf = Shelf::new().await;
    let old = Some(step(DAY * 31));
    let before = Executor::start(&shelf.kit(None), Counters { by: By::Locks });
    before.step(&old, add()).await.unwrap();
    for by in By::ALL {
        let executor = Executor::start(&shelf.kit(Some(30)), Counters { by });
        assert_eq!(executor.step(&old, add()).await.unwrap().verdict(), Verdict::Done);
    }
}
