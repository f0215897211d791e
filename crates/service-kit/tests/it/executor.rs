//! Once, again, altered, together, undone, never: what the executor promises for every service.

use brokerage_proto::common::v1::{StepContext, StepReply, Verdict};
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use service_kit::executor::{Executor, Once};
use service_kit::fault::ApiError;
use service_kit::run::Kit;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::counters::{By, Count, Counters, SCHEMA};

/// These tests are compiled three times: once for each way through the executor.
fn counters() -> Counters {
    let by = match module_path!().rsplit_once("executor").map(|(_, way)| way) {
        Some("_optimistic") => By::Glances,
        Some("_recalling") => By::Memory,
        _ => By::Locks,
    };
    Counters { by }
}

struct Bench {
    database: TestDatabase,
    executor: Executor<Counters>,
}

impl Bench {
    async fn new() -> Self {
        let database = dev_cluster::test_database(service_kit::database::kit_migrations()).await.unwrap();
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
        let executor = Executor::start(&kit(&database.url), counters());
        Self { database, executor }
    }

    /// A second process on the same database.
    fn replica(&self) -> Executor<Counters> {
        Executor::start(&kit(&self.database.url), counters())
    }

    async fn step(&self, context: &StepContext, command: Count) -> StepReply {
        self.executor.step(&Some(context.clone()), command).await.unwrap()
    }

    async fn undo(&self, context: &StepContext, command: Count) -> StepReply {
        let reason = Reason::GaveUp.as_str();
        self.executor.compensate(&Some(context.clone()), command, reason).await.unwrap()
    }

    async fn number(&self, query: &'static str) -> i64 {
        let mut connection = PgConnection::connect(&self.database.url).await.unwrap();
        sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
    }

    async fn value(&self) -> i64 {
        self.number("SELECT coalesce(sum(value), 0)::bigint FROM counters").await
    }

    async fn events(&self) -> i64 {
        self.number("SELECT count(*) FROM outbox").await
    }
}

const WAITING_FOR_A_LOCK: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

fn kit(url: &str) -> Kit {
    Kit::for_tests(url).unwrap()
}

fn saga() -> StepContext {
    StepContext {
        saga_id: Uuid::now_v7().to_string(),
        step: 0,
        epoch: 1,
        not_after: None,
        attempt: 1,
        intent: Vec::new(),
    }
}

fn add(by: i64) -> Count {
    Count::Add { name: "alice".to_owned(), by }
}

#[tokio::test]
async fn a_repeated_step_gets_its_first_verdict_and_changes_nothing() {
    let bench = Bench::new().await;
    let context = saga();
    for _ in 0..2 {
        assert_eq!(bench.step(&context, add(5)).await.verdict(), Verdict::Done);
    }
    assert_eq!((bench.value().await, bench.events().await), (5, 1));
}

#[tokio::test]
async fn a_rejection_is_remembered_even_when_it_would_be_granted_now() {
    let bench = Bench::new().await;
    let refused = saga();
    assert_eq!(bench.step(&refused, add(-1)).await.verdict(), Verdict::Rejected);
    assert_eq!(bench.step(&saga(), add(5)).await.verdict(), Verdict::Done);
    let again = bench.step(&refused, add(-1)).await;
    assert_eq!((again.verdict(), again.reason.as_str()), (Verdict::Rejected, "INSUFFICIENT_USABLE"));
    assert_eq!((bench.value().await, bench.events().await), (5, 1));
}

#[tokio::test]
async fn another_command_under_the_same_key_is_a_mismatch() {
    let bench = Bench::new().await;
    let context = saga();
    bench.step(&context, add(5)).await;
    assert_eq!(bench.step(&context, add(6)).await.verdict(), Verdict::Mismatch);
    assert_eq!(bench.undo(&context, add(6)).await.verdict(), Verdict::Mismatch);
    assert_eq!(bench.value().await, 5);
}

#[tokio::test]
async fn whoever_undoes_a_step_is_told_the_reason_that_was_recorded_first() {
    let bench = Bench::new().await;
    let undo = async |context: &StepContext, command: Count, reason: Reason| {
        let reply =
            bench.executor.compensate(&Some(context.clone()), command, reason.as_str()).await.unwrap();
        (reply.verdict(), reply.reason)
    };
    let told = |reason: Reason| (Verdict::Done, reason.as_str().to_owned());
    let (done, refused, unheard_of) = (saga(), saga(), saga());
    assert_eq!(bench.step(&refused, add(-1)).await.verdict(), Verdict::Rejected);
    assert_eq!(bench.step(&done, add(5)).await.verdict(), Verdict::Done);
    for (context, command, recorded) in [
        (&refused, add(-1), Reason::InsufficientUsable),
        (&done, add(5), Reason::GaveUp),
        (&unheard_of, add(5), Reason::GaveUp),
    ] {
        assert_eq!(undo(context, command.clone(), Reason::GaveUp).await, told(recorded));
        assert_eq!(undo(context, command, Reason::AbortedByOperator).await, told(recorded));
    }
}

#[tokio::test]
async fn a_step_undone_twice_is_undone_once_and_never_runs_again() {
    let bench = Bench::new().await;
    let context = saga();
    bench.step(&context, add(5)).await;
    for _ in 0..2 {
        assert_eq!(bench.undo(&context, add(5)).await.verdict(), Verdict::Done);
    }
    assert_eq!(bench.step(&context, add(5)).await.verdict(), Verdict::Tombstone);
    assert_eq!((bench.value().await, bench.events().await), (0, 2));
}

#[tokio::test]
async fn a_step_that_arrives_after_its_tombstone_never_runs() {
    let bench = Bench::new().await;
    let context = saga();
    assert_eq!(bench.undo(&context, add(5)).await.verdict(), Verdict::Done);
    let late = bench.step(&context, add(5)).await;
    assert_eq!((late.verdict(), late.reason.as_str()), (Verdict::Tombstone, "GAVE_UP"));
    assert_eq!((bench.value().await, bench.events().await), (0, 0));
}

#[tokio::test]
async fn a_pivot_that_ran_refuses_and_one_that_did_not_is_dead() {
    let bench = Bench::new().await;
    let pivot = || Count::AddForGood { name: "alice".to_owned(), by: 5 };
    let (ran, never) = (saga(), saga());
    bench.step(&ran, pivot()).await;
    assert_eq!(bench.undo(&ran, pivot()).await.verdict(), Verdict::Refused);
    assert_eq!(bench.undo(&never, pivot()).await.verdict(), Verdict::Done);
    assert_eq!(bench.step(&never, pivot()).await.verdict(), Verdict::Tombstone);
    assert_eq!(bench.value().await, 5);
}

#[tokio::test]
async fn an_expired_attempt_and_a_stale_epoch_leave_no_row() {
    let bench = Bench::new().await;
    let expired = StepContext { not_after: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }), ..saga() };
    assert_eq!(bench.step(&expired, add(5)).await.verdict(), Verdict::Expired);
    assert_eq!(bench.number("SELECT count(*) FROM inbox").await, 0);
    let newer = StepContext { epoch: 7, ..saga() };
    bench.step(&newer, add(5)).await;
    let zombie = StepContext { epoch: 6, step: 1, ..newer.clone() };
    let reply = bench.step(&zombie, add(5)).await;
    assert_eq!((reply.verdict(), reply.highest_epoch), (Verdict::StaleEpoch, 7));
    assert_eq!(bench.step(&StepContext { epoch: 6, ..newer }, add(5)).await.verdict(), Verdict::Done);
    assert_eq!(bench.value().await, 5);
}

#[tokio::test]
async fn sixty_four_concurrent_copies_over_two_replicas_have_one_effect() {
    let bench = Bench::new().await;
    let replica = bench.replica();
    let request_id = Uuid::new_v4().to_string();
    let calls = (0..64).map(|call| {
        let executor = if call % 2 == 0 { bench.executor.clone() } else { replica.clone() };
        let once = Once { caller: "alice", rpc: "Add", request_id: &request_id };
        async move { executor.once(once, add(5)).await.unwrap() }
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answered| answered.answer[..] == 5_i64.to_be_bytes()));
    assert_eq!(answers.iter().filter(|answered| !answered.replayed).count(), 1);
    assert_eq!((bench.value().await, bench.events().await), (5, 1));
}

#[tokio::test]
async fn a_reused_request_id_is_refused_and_another_callers_is_his_own() {
    let bench = Bench::new().await;
    let request_id = Uuid::new_v4().to_string();
    let once = |caller| Once { caller, rpc: "Add", request_id: &request_id };
    bench.executor.once(once("alice"), add(5)).await.unwrap();
    let error = bench.executor.once(once("alice"), add(6)).await.unwrap_err();
    assert!(matches!(error, ApiError::Refusal(refusal) if refusal.reason == Reason::RequestIdReused));
    bench.executor.once(once("bob"), add(6)).await.unwrap();
    assert_eq!(bench.value().await, 11);
}

#[tokio::test]
async fn a_poison_command_hurts_only_itself() {
    let bench = Bench::new().await;
    let poisons = [Count::Poison, Count::BrokenRow, Count::BreakStatement];
    let bad = poisons.map(|poison| {
        let executor = bench.executor.clone();
        async move { executor.step(&Some(saga()), poison).await.is_err() }
    });
    let good = (0..20).map(|_| {
        let executor = bench.executor.clone();
        async move { executor.step(&Some(saga()), add(1)).await.unwrap().verdict() == Verdict::Done }
    });
    let (bad, good) =
        futures::future::join(futures::future::join_all(bad), futures::future::join_all(good)).await;
    assert!(bad.into_iter().all(|failed| failed) && good.into_iter().all(|done| done));
    assert_eq!(bench.value().await, 20);
    // None of them is remembered as if a business rule had refused it.
    assert_eq!(bench.number("SELECT count(*) FROM inbox").await, 20);
    // And who comes next finds no transaction that was left broken.
    assert!(bench.executor.step(&Some(saga()), Count::BreakStatement).await.is_err());
    assert_eq!(bench.step(&saga(), add(1)).await.verdict(), Verdict::Done);
}

#[tokio::test]
async fn a_poison_command_costs_its_companions_few_transactions() {
    let bench = Bench::new().await;
    let kit = kit(&bench.database.url);
    let executor = Executor::start(&kit, counters());
    // Handed over one after another before the lane is woken: one batch.
    let calls = (0..64).map(|n| {
        let command = if n == 23 { Count::Poison } else { add(1) };
        let executor = &executor;
        async move { executor.step(&Some(saga()), command).await.is_ok() }
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|done| **done).count(), 63);
    assert_eq!(bench.value().await, 63);
    let metrics = kit.metrics.render();
    let batches =
        metrics.lines().find_map(|line| line.strip_prefix("lane_batch_items_count{lane=\"executor\"} "));
    // All, then both halves of each part that holds it: 64, 32, 16, 8, 4, 2.
    assert_eq!(batches, Some("13"));
}

#[tokio::test]
async fn two_replicas_lose_no_update_of_one_row() {
    let bench = Bench::new().await;
    let replica = bench.replica();
    let calls = (0..200).map(|call| {
        let executor = if call % 2 == 0 { bench.executor.clone() } else { replica.clone() };
        async move { executor.step(&Some(saga()), add(1)).await.unwrap().verdict() }
    });
    let verdicts = futures::future::join_all(calls).await;
    assert!(verdicts.into_iter().all(|verdict| verdict == Verdict::Done));
    assert_eq!((bench.value().await, bench.events().await), (200, 200));
}

#[tokio::test]
async fn steps_that_two_replicas_undo_at_once_are_undone_once() {
    let bench = Bench::new().await;
    let replica = bench.replica();
    let contexts: Vec<StepContext> = (0..50).map(|_| saga()).collect();
    for context in &contexts {
        bench.step(context, add(1)).await;
    }
    let calls = contexts.iter().flat_map(|context| [(context, &bench.executor), (context, &replica)]);
    let calls = calls.map(|(context, executor)| async move {
        let context = Some(context.clone());
        executor.compensate(&context, add(1), Reason::GaveUp.as_str()).await.unwrap().verdict()
    });
    let verdicts = futures::future::join_all(calls).await;
    assert!(verdicts.into_iter().all(|verdict| verdict == Verdict::Done));
    assert_eq!((bench.value().await, bench.events().await), (0, 100));
    let undone = "SELECT count(*) FROM inbox WHERE verdict = 3 AND reason = 'GAVE_UP' AND answer <> ''";
    assert_eq!(bench.number(undone).await, 50);
}

#[tokio::test]
async fn two_replicas_that_undo_at_once_for_two_reasons_tell_one() {
    let bench = Bench::new().await;
    let replica = bench.replica();
    let told = |executor: Executor<Counters>, context: StepContext, reason: Reason| async move {
        executor.compensate(&Some(context), add(1), reason.as_str()).await.unwrap().reason
    };
    for number in 0..50 {
        let context = saga();
        // One in two is done: the others are forestalled.
        if number % 2 == 0 {
            bench.step(&context, add(1)).await;
        }
        let (one, other) = tokio::join!(
            told(bench.executor.clone(), context.clone(), Reason::GaveUp),
            told(replica.clone(), context.clone(), Reason::AbortedByOperator),
        );
        assert_eq!(one, other);
        assert_eq!(bench.step(&context, add(1)).await.reason, one);
    }
}

#[tokio::test]
async fn a_caller_that_stops_waiting_disturbs_nobody() {
    let bench = Bench::new().await;
    let context = saga();
    let abandoned = Some(context.clone());
    // Polled once, so that the command is handed over, then dropped.
    let call = bench.executor.step(&abandoned, add(5));
    assert!(futures::future::FutureExt::now_or_never(call).is_none());
    assert_eq!(bench.step(&context, add(5)).await.verdict(), Verdict::Done);
    assert_eq!(bench.value().await, 5);
}

#[tokio::test]
async fn a_lane_whose_connection_died_opens_another() {
    let bench = Bench::new().await;
    bench.step(&saga(), add(1)).await;
    let killed = bench
        .number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await;
    assert!(killed > 0);
    assert_eq!(bench.step(&saga(), add(1)).await.verdict(), Verdict::Done);
    assert_eq!(bench.value().await, 2);
}

/// As after a failover to a standby that lacks the last commits, and has made others since.
#[tokio::test]
async fn what_another_server_has_is_not_written_over() {
    let bench = Bench::new().await;
    let add = |name: &str| Count::Add { name: name.to_owned(), by: 1 };
    for name in ["alice", "alice", "bob"] {
        bench.step(&saga(), add(name)).await;
    }
    bench.number("WITH other AS (UPDATE counters SET value = 100 WHERE name = 'alice' RETURNING 1) SELECT count(*) FROM other").await;
    let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let query = format!("SELECT count(pg_terminate_backend(pid)) FROM {others}");
    let mut connection = PgConnection::connect(&bench.database.url).await.unwrap();
    let killed: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
    assert!(killed > 0);
    // The first one finds the connection dead, and locks what it reads.
    for name in ["bob", "alice"] {
        assert_eq!(bench.step(&saga(), add(name)).await.verdict(), Verdict::Done);
    }
    assert_eq!(bench.number("SELECT value FROM counters WHERE name = 'alice'").await, 101);
}

#[tokio::test]
async fn a_commit_that_fails_is_not_answered_and_leaves_nothing() {
    let bench = Bench::new().await;
    let mut connection = PgConnection::connect(&bench.database.url).await.unwrap();
    // Nobody hears of it before the commit itself.
    let unlucky = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
                   AS $$ BEGIN RAISE EXCEPTION 'not this number'; END $$;
                   CREATE CONSTRAINT TRIGGER unlucky AFTER INSERT OR UPDATE ON counters
                   DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.value = 13) EXECUTE FUNCTION refuse()";
    sqlx::raw_sql(unlucky).execute(&mut connection).await.unwrap();
    let context = saga();
    assert!(bench.executor.step(&Some(context.clone()), add(13)).await.is_err());
    assert_eq!((bench.value().await, bench.events().await), (0, 0));
    assert_eq!(bench.undo(&context, add(13)).await.verdict(), Verdict::Done);
    assert_eq!(bench.step(&context, add(13)).await.verdict(), Verdict::Tombstone, "it never ran");
}

#[tokio::test]
async fn two_replicas_that_both_found_nothing_have_one_effect() {
    let bench = Bench::new().await;
    let replica = bench.replica();
    bench.step(&saga(), add(1)).await;
    let mut connection = PgConnection::connect(&bench.database.url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT 1 FROM counters FOR UPDATE").execute(&mut connection).await.unwrap();
    // Both have read the inbox when they wait for the row.
    let context = Some(saga());
    let both_wait = async {
        while bench.number(WAITING_FOR_A_LOCK).await < 2 {}
        sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
    };
    let (first, second, ()) =
        tokio::join!(bench.executor.step(&context, add(5)), replica.step(&context, add(5)), both_wait);
    assert_eq!((first.unwrap().verdict(), second.unwrap().verdict()), (Verdict::Done, Verdict::Done));
    assert_eq!((bench.value().await, bench.events().await), (6, 2));
}
