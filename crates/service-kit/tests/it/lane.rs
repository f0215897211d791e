//! When a lane's batches begin. What they do is the executor's and the orchestrator's to test.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dev_cluster::TestDatabase;
use futures::future::try_join_all;
use service_kit::lane::{Lane, LaneError, Way, Work};
use service_kit::run::Kit;
use sqlx::PgConnection;

/// One that a lane would hardly wait for twice within a test.
const SPACING: Duration = Duration::from_secs(20);

/// A batch: how many items it had, and from when to when it was at work.
struct Seen {
    items: usize,
    from: Instant,
    to: Instant,
}

/// Takes 10 ms, and notes it.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<Seen>>>);

impl Slow {
    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Work for Slow {
    type Item = ();
    type Answer = ();
    const SPACING: Duration = SPACING;

    async fn run(&self, connection: &mut PgConnection, items: &[()], _: Way) -> Result<Vec<()>, LaneError> {
        let from = Instant::now();
        sqlx::raw_sql("SELECT pg_sleep(0.01)").execute(connection).await?;
        let seen = Seen { items: items.len(), from, to: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        Ok(vec![(); items.len()])
    }
}

async fn lane() -> (TestDatabase, Lane<Slow>, Slow) {
    let database = dev_cluster::test_database(sqlx::migrate::Migrator::DEFAULT).await.unwrap();
    let work = Slow::default();
    let lane = Lane::start(&Kit::for_tests(&database.url).unwrap(), "slow", work.clone());
    // The connection is opened by the first.
    lane.submit(()).await.unwrap();
    work.seen();
    (database, lane, work)
}

#[tokio::test]
async fn after_a_batch_of_several_the_next_waits_four_times_as_long_as_that_took() {
    let (_database, lane, work) = lane().await;
    for _ in 0..3 {
        try_join_all((0..5).map(|_| lane.submit(()))).await.unwrap();
    }
    let seen = work.seen();
    assert_eq!(seen.iter().map(|batch| batch.items).collect::<Vec<_>>(), [5; 3]);
    for two in seen.windows(2) {
        let (took, apart) = (two[0].to - two[0].from, two[1].from - two[0].from);
        assert!(apart >= took * 4, "{apart:?} apart, and the first took {took:?}");
        assert!(apart < SPACING, "{apart:?} apart");
    }
}

#[tokio::test]
async fn whoever_comes_alone_is_not_waited_for() {
    let (_database, lane, work) = lane().await;
    for _ in 0..20 {
        lane.submit(()).await.unwrap();
    }
    let seen = work.seen();
    let waited = seen.windows(2).filter(|two| two[1].from - two[0].from >= (two[0].to - two[0].from) * 4);
    // A machine that stands still looks like a lane that waits, but not each time.
    assert!(waited.count() < 15);
}
