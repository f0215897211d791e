//! The log as consumers see it: kill the consumer anywhere, and the union of what it saw is the outbox, without a gap
//! and in order, whatever the writers do meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brokerage_proto::common::v1::{Event, SubscribeRequest, SubscribeResponse};
use brokerage_types::Reason;
use dev_cluster::TestDatabase;
use fastrand::Rng;
use service_kit::events::{EventLog, EventStream};
use service_kit::fault::{ApiError, reason_of};
use service_kit::run::Kit;
use service_kit::settings::Settings;
use sqlx::{Connection, PgConnection};
use tokio_stream::StreamExt;
use tonic::Status;
use uuid::Uuid;

/// Signs of life every 50 ms, 300 ms of patience.
const TIME_SCALE: f64 = 0.01;
const THINGS: u8 = 5;
const WRITERS: u64 = 6;
const CHANGES: usize = 60;

struct Bench {
    database: TestDatabase,
    kit: Kit,
    log: EventLog,
}

impl Bench {
    async fn new() -> Self {
        Self::at_pace(TIME_SCALE).await
    }

    async fn at_pace(time_scale: f64) -> Self {
        let database = dev_cluster::test_database(service_kit::database::kit_migrations()).await.unwrap();
        let mut settings = Settings::dev();
        settings.database.url.clone_from(&database.url);
        settings.time_scale = time_scale;
        let kit = Kit::new(settings).unwrap();
        let log = EventLog::start(&kit).unwrap();
        let bench = Self { database, kit, log };
        let schema = "CREATE TABLE things (name text PRIMARY KEY, seq bigint NOT NULL)";
        sqlx::raw_sql(schema).execute(&mut bench.connect().await).await.unwrap();
        bench
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    async fn subscribe(&self, cursor: &str) -> EventStream {
        let request = SubscribeRequest { cursor: cursor.to_owned(), ..SubscribeRequest::default() };
        self.log.subscribe(request).await.map_err(|error| error.to_string()).unwrap()
    }

    /// How far behind the slowest consumer is, as whoever reads the numbers sees it; nothing if there is none.
    fn lag_seconds(&self) -> Option<i64> {
        let page = self.kit.metrics.render();
        let shown =
            page.lines().find_map(|line| line.strip_prefix("outbox_lag_seconds{consumer=\"stream\"} "));
        shown.map(|seconds| seconds.parse().unwrap())
    }

    /// Why a cursor is not served, at once or by the stream.
    async fn refused(&self, cursor: &str) -> Reason {
        let request = SubscribeRequest { cursor: cursor.to_owned(), ..SubscribeRequest::default() };
        match self.log.subscribe(request).await {
            Err(ApiError::Refusal(refusal)) => refusal.reason,
            Err(ApiError::Fault(fault)) => panic!("{}", fault.chain()),
            Ok(mut stream) => loop {
                // Signs of life may come first, and nothing else.
                match stream.next().await.unwrap() {
                    Ok(heard) => assert_eq!(heard.event, None),
                    Err(status) => break reason_of(&status).unwrap(),
                }
            },
        }
    }
}

/// The next event of a stream, passing signs of life.
async fn event(stream: &mut EventStream) -> Event {
    loop {
        if let Some(event) = heard(stream).await.event {
            return event;
        }
    }
}

async fn heard(stream: &mut EventStream) -> SubscribeResponse {
    stream.next().await.unwrap().unwrap()
}

/// The next sign of life that says that nothing is missing. No event may come before it.
async fn caught_up(stream: &mut EventStream) -> SubscribeResponse {
    loop {
        let heard = heard(stream).await;
        assert_eq!(heard.event, None);
        if heard.caught_up {
            return heard;
        }
    }
}

/// Everything up to the first sign of life that says so.
async fn all(mut stream: EventStream) -> Vec<SubscribeResponse> {
    let mut seen = Vec::new();
    loop {
        let heard = heard(&mut stream).await;
        if heard.caught_up {
            return seen;
        }
        seen.extend(Some(heard).filter(|heard| heard.event.is_some()));
    }
}

async fn write(connection: &mut PgConnection, thing: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "WITH next AS (INSERT INTO things VALUES ($2, 1)
                       ON CONFLICT (name) DO UPDATE SET seq = things.seq + 1 RETURNING seq)
         INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq)
         SELECT $1, 'thing', $2, 'Changed', '{\"a\":1}', seq FROM next",
    )
    .bind(id)
    .bind(thing)
    .execute(connection)
    .await
    .unwrap();
    id
}

/// Changes one thing or two in one transaction, takes its time over it, and sometimes thinks better of it.
async fn writer(mut connection: PgConnection, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..CHANGES {
        let mut things = [rng.u8(..THINGS), rng.u8(..THINGS)];
        things.sort_unstable();
        let mut tx = connection.begin().await.unwrap();
        for thing in &things[..rng.usize(1..=2)] {
            write(&mut tx, &format!("thing-{thing}")).await;
            for _ in 0..rng.usize(..8) {
                sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
            }
        }
        if rng.u8(..5) == 0 { tx.rollback().await.unwrap() } else { tx.commit().await.unwrap() }
    }
}

/// Reads a few at a time and dies; now and then before it could keep its last cursors. Until it has caught up with
/// writers that have ended.
async fn consumer(bench: &Bench, rng: &mut Rng, is_quiet: &AtomicBool) -> (HashMap<String, Event>, usize) {
    let (mut seen, mut deaths) = (HashMap::new(), 0);
    let mut kept = String::new();
    loop {
        let was_quiet = is_quiet.load(Ordering::SeqCst);
        let mut stream = bench.subscribe(&kept).await;
        let mut last: BTreeMap<String, i64> = BTreeMap::new();
        let mut cursor = kept.clone();
        for _ in 0..rng.usize(1..60) {
            let heard = heard(&mut stream).await;
            cursor.clone_from(&heard.cursor);
            if let Some(event) = heard.event {
                let before = last.insert(event.aggregate_id.clone(), event.seq);
                assert!(before.is_none_or(|before| before + 1 == event.seq), "{before:?} then {event:?}");
                seen.insert(event.id.clone(), event);
            } else if heard.caught_up && was_quiet {
                return (seen, deaths);
            }
        }
        deaths += 1;
        if rng.u8(..4) > 0 {
            kept = cursor;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_anywhere_has_seen_the_whole_log_in_the_end() {
    let bench = Bench::new().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let is_quiet = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        writers.push(tokio::spawn(writer(bench.connect().await, seed.wrapping_add(number))));
    }
    let quiet = Arc::clone(&is_quiet);
    let writing = tokio::spawn(async move {
        for writer in writers {
            writer.await.unwrap();
        }
        quiet.store(true, Ordering::SeqCst);
    });
    let (seen, deaths) = consumer(&bench, &mut Rng::with_seed(seed), &is_quiet).await;
    writing.await.unwrap();
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as("SELECT id, aggregateid, seq FROM outbox")
        .fetch_all(&mut bench.connect().await)
        .await
        .unwrap();
    let log: HashSet<String> = rows.iter().map(|(id, ..)| id.to_string()).collect();
    assert_eq!(seen.keys().cloned().collect::<HashSet<_>>(), log);
    for (id, thing, seq) in rows {
        let event = &seen[&id.to_string()];
        assert_eq!((&event.aggregate_id, event.seq), (&thing, seq));
    }
    assert!(deaths > 5, "it was killed {deaths} times only");
}

#[tokio::test]
async fn an_event_that_commits_late_comes_before_those_that_overtook_it() {
    let bench = Bench::new().await;
    let mut stream = bench.subscribe("").await;
    caught_up(&mut stream).await;
    let (mut slow, mut quick) = (bench.connect().await, bench.connect().await);
    let mut late = slow.begin().await.unwrap();
    let first = write(&mut late, "late").await;
    let second = write(&mut quick, "quick").await;
    // Signs of life, and nothing else: what overtook is not shown.
    for _ in 0..6 {
        caught_up(&mut stream).await;
    }
    late.commit().await.unwrap();
    assert_eq!(event(&mut stream).await.id, first.to_string());
    assert_eq!(event(&mut stream).await.id, second.to_string());
}

#[tokio::test]
async fn an_event_that_is_rolled_back_holds_up_nobody_for_ever() {
    let bench = Bench::new().await;
    let mut stream = bench.subscribe("").await;
    caught_up(&mut stream).await;
    let (mut slow, mut quick) = (bench.connect().await, bench.connect().await);
    let mut never = slow.begin().await.unwrap();
    write(&mut never, "never").await;
    let only = write(&mut quick, "quick").await;
    never.rollback().await.unwrap();
    assert_eq!(event(&mut stream).await.id, only.to_string());
}

#[tokio::test]
async fn each_cursor_leads_to_exactly_what_came_after_it() {
    let bench = Bench::new().await;
    let mut connection = bench.connect().await;
    for number in 0..30 {
        write(&mut connection, &format!("thing-{}", number % 3)).await;
    }
    let log = all(bench.subscribe("").await).await;
    assert_eq!(log.len(), 30);
    for (index, heard) in log.iter().enumerate() {
        assert_eq!(all(bench.subscribe(&heard.cursor).await).await, log[index + 1..]);
    }
    let first = log[0].event.clone().unwrap();
    assert_eq!((first.aggregate_type.as_str(), first.payload_json.as_str()), ("thing", r#"{"a": 1}"#));
    assert!(first.created_at.is_some());
}

#[tokio::test]
async fn a_consumer_gets_the_kinds_it_asked_for_and_may_start_at_the_end() {
    let bench = Bench::new().await;
    let mut connection = bench.connect().await;
    write(&mut connection, "one").await;
    let request = SubscribeRequest { aggregate_types: vec!["order".to_owned()], ..Default::default() };
    let mut none = bench.log.subscribe(request).await.unwrap_or_else(|error| panic!("{error}"));
    let told = caught_up(&mut none).await;
    assert!(!told.cursor.is_empty(), "{told:?}");
    let request = SubscribeRequest { from_end: true, ..Default::default() };
    let mut new = bench.log.subscribe(request).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(caught_up(&mut new).await.cursor, told.cursor);
    let second = write(&mut connection, "two").await;
    assert_eq!(event(&mut new).await.id, second.to_string());
}

#[tokio::test]
async fn a_cursor_of_another_log_is_refused() {
    let bench = Bench::new().await;
    let id = write(&mut bench.connect().await, "one").await.simple().to_string();
    assert_eq!(all(bench.subscribe(&format!("1-{id}")).await).await, []);
    for (cursor, reason) in [
        ("x".to_owned(), Reason::FieldInvalid),
        (format!("1-{}", Uuid::now_v7().simple()), Reason::CursorUnknown),
        (format!("2-{id}"), Reason::CursorUnknown),
    ] {
        assert_eq!(bench.refused(&cursor).await, reason, "{cursor}");
    }
}

#[tokio::test]
async fn a_consumer_that_does_not_read_is_told_so_and_can_go_on() {
    let bench = Bench::new().await;
    let mut connection = bench.connect().await;
    for _ in 0..400 {
        write(&mut connection, "one").await;
    }
    let idle = bench.kit.tasks.len();
    let mut stream = bench.subscribe("").await;
    while bench.kit.tasks.len() > idle {
        tokio::task::yield_now().await;
    }
    let (mut cursor, mut count) = (String::new(), 0);
    let why: Status = loop {
        match stream.next().await.unwrap() {
            Ok(heard) => (cursor, count) = (heard.cursor, count + usize::from(heard.event.is_some())),
            Err(why) => break why,
        }
    };
    assert_eq!(reason_of(&why), Some(Reason::Overloaded));
    assert_eq!(count + all(bench.subscribe(&cursor).await).await.len(), 400);
}

#[tokio::test]
async fn how_far_the_slowest_consumer_is_behind_is_shown_while_somebody_listens() {
    // Patient: a consumer that does not read is not sent away meanwhile.
    let bench = Bench::at_pace(1.0).await;
    assert_eq!(bench.lag_seconds(), None);
    let hour_old = "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, created_at)
        SELECT gen_random_uuid(), 'thing', 'one', 'Changed', '{}', seq, now() - interval '1 hour'
        FROM generate_series(1, 400) AS seq";
    sqlx::raw_sql(hour_old).execute(&mut bench.connect().await).await.unwrap();
    let mut slow = bench.subscribe("").await;
    assert_eq!(event(&mut slow).await.seq, 1);
    // It has one of 400, and fewer than those can wait for it.
    assert!(bench.lag_seconds().is_some_and(|seconds| seconds >= 3600), "{:?}", bench.lag_seconds());
    assert_eq!(all(slow).await.len(), 399);
    let quick = bench.subscribe("").await;
    assert_eq!(all(quick).await.len(), 400);
    while bench.lag_seconds().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn streams_end_with_the_service() {
    let bench = Bench::new().await;
    let mut stream = bench.subscribe("").await;
    caught_up(&mut stream).await;
    bench.kit.shutdown.cancel();
    let why = loop {
        match stream.next().await.unwrap() {
            Ok(_) => {}
            Err(why) => break why,
        }
    };
    assert_eq!(reason_of(&why), Some(Reason::ShuttingDown));
    bench.kit.tasks.close();
    bench.kit.tasks.wait().await;
}
