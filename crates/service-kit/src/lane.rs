//! A lane: one task, one connection, one transaction for everything that waits.
//!
//! While one transaction runs, the next batch collects. There is no timer, but for work that nobody waits for, and for
//! work whose batches would be small and many (`SPACING`). Handlers never hold a connection: they hand over an item and
//! wait for the answer, and a handler that stops waiting disturbs nobody. Not here: what a batch does (`Work`), and
//! idempotency (the executor, or the work itself).

mod caution;
mod remedy;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::crash;
use crate::database;
use crate::defect;
use crate::fault::Fault;
use crate::run::Kit;
use crate::settings::DatabaseSettings;
pub use caution::Caution;
pub use remedy::LaneError;
use remedy::Remedy;
use watch::{Handed, Watch};

/// How many items one transaction takes at most.
const BATCH_ITEMS_MAX: usize = 256;
/// How many items may wait. Beyond this a submit is refused at once.
const QUEUE_ITEMS_MAX: usize = 4096;
/// How often a batch is run again after a conflict or a lock failure.
const CONFLICT_RETRIES_MAX: u32 = 8;
const TRANSIENT_RETRIES_MAX: u32 = 3;
/// Batches that are kept apart begin so many times as far apart as the last one took, at most.
const SPACING_TIMES: u32 = 4;
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a lane does with a batch.
pub trait Work: Send + Sync + 'static {
    /// What is submitted.
    type Item: Send + Sync + 'static;
    /// What comes back for one item.
    type Answer: Send + 'static;
    /// How long a batch waits for company. Zero, unless nobody waits for the answers.
    const GATHERS: Duration = Duration::ZERO;
    /// How far apart batches begin, where several items come at once. One item costs about as much as ten do, so fewer and
    /// fuller batches leave the cores to others; whoever is alone waits for nobody. A lane that is quick waits less: four
    /// times what its last batch took. Zero: not at all.
    const SPACING: Duration = Duration::ZERO;

    /// How to run these items, which have been tried so many times.
    fn way(&self, items: &[Self::Item], tried: u32) -> Way {
        let _ = (items, tried);
        Way::Transaction
    }

    /// Does the whole batch. The answers, one per item and in order, are given out only once it is committed. On an
    /// error nothing is kept, except of statements that were run by themselves. May be called again for the same items,
    /// alone or together, also after a commit whose outcome is unknown.
    fn run(
        &self,
        connection: &mut PgConnection,
        items: &[Self::Item],
        way: Way,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, LaneError>> + Send;

    /// The lane has a new connection: what another one has seen may not be so there.
    fn connected(&self) {}

    /// What the last run did in a transaction is committed.
    fn committed(&self) {}
}

/// How a batch is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In a transaction that the lane begins and commits.
    Transaction,
    /// Without BEGIN and COMMIT, because a round trip is a large part of what a small batch costs: each statement is its
    /// own transaction. One does all of the items; what comes after it may be lost.
    Statements,
}

/// An item, who waits for it, and since when.
type Waiting<W> = (<W as Work>::Item, Reply<W>, Handed);
type Reply<W> = oneshot::Sender<Result<<W as Work>::Answer, Fault>>;

/// A handle to a lane. Clones share it; the lane ends when the last one is gone and its queue is empty.
pub struct Lane<W: Work> {
    queue: mpsc::Sender<Waiting<W>>,
    backlog: Arc<AtomicUsize>,
    watch: Arc<Watch>,
}

impl<W: Work> Clone for Lane<W> {
    fn clone(&self) -> Self {
        let (backlog, watch) = (Arc::clone(&self.backlog), Arc::clone(&self.watch));
        Self { queue: self.queue.clone(), backlog, watch }
    }
}

impl<W: Work> Lane<W> {
    /// Starts the lane's task among the kit's tracked tasks.
    pub fn start(kit: &Kit, name: &'static str, work: W) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_ITEMS_MAX);
        let (backlog, watch) = (Arc::new(AtomicUsize::new(0)), Arc::new(Watch::new(kit, name)));
        let runner = Runner {
            name,
            work,
            database: kit.settings.database.clone(),
            connection: None,
            waiting,
            backlog: Arc::clone(&backlog),
            watch: Arc::clone(&watch),
        };
        kit.tasks.spawn(runner.run());
        Self { queue, backlog, watch }
    }

    /// Hands an item over and waits for its answer.
    ///
    /// An answer means committed. A fault means *unknown*: the item may or may not have been done, and submitting it
    /// again must be harmless. Dropping the future does not take the item back.
    ///
    /// # Errors
    /// A full queue, a database that cannot be reached, or a broken item.
    pub async fn submit(&self, item: W::Item) -> Result<W::Answer, Fault> {
        let (reply, answer) = oneshot::channel();
        self.backlog.fetch_add(1, Ordering::Relaxed);
        self.watch.backlog.inc();
        if self.queue.try_send((item, reply, Handed::now())).is_err() {
            self.watch.backlog.dec();
            self.backlog.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::overloaded("the lane's queue is full"));
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::unavailable("the lane has ended")),
        }
    }

    /// How many items wait or are being done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Whether so much waits that only what must not be turned away may still come: the last fifth is kept for that.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.backlog() >= QUEUE_ITEMS_MAX - QUEUE_ITEMS_MAX / 5
    }
}

struct Runner<W: Work> {
    name: &'static str,
    work: W,
    database: DatabaseSettings,
    connection: Option<PgConnection>,
    waiting: mpsc::Receiver<Waiting<W>>,
    backlog: Arc<AtomicUsize>,
    watch: Arc<Watch>,
}

impl<W: Work> Runner<W> {
    async fn run(mut self) {
        let mut not_before = Instant::now();
        while let Some(first) = self.waiting.recv().await {
            let early = not_before.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                tokio::time::sleep(early).await;
            }
            if W::GATHERS.is_zero() {
                // Lets handlers that are ready to run submit first, so that they share this transaction.
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(W::GATHERS).await;
            }
            let (mut items, mut replies, mut handed) = (vec![first.0], vec![first.1], vec![first.2]);
            while items.len() < BATCH_ITEMS_MAX {
                let Ok((item, reply, since)) = self.waiting.try_recv() else { break };
                items.push(item);
                replies.push(reply);
                handed.push(since);
            }
            crash::point(self.name, "taken", None);
            let (begun, is_alone) = (Instant::now(), items.len() == 1);
            self.serve(items, replies, handed).await;
            let spacing = W::SPACING.min(begun.elapsed() * SPACING_TIMES);
            not_before = if is_alone { begun } else { begun + spacing };
        }
    }

    /// Runs a batch and answers its items. One that fails is halved until those that fail are alone: a broken item
    /// among 256 costs the others 16 transactions at most, not 256.
    async fn serve(&mut self, items: Vec<W::Item>, replies: Vec<Reply<W>>, handed: Vec<Handed>) {
        let total = items.len();
        let mut failed_since = None;
        let mut parts = vec![(items, replies, handed)];
        while let Some((mut items, mut replies, mut handed)) = parts.pop() {
            let count = items.len();
            let error = match self.watched(&items, &handed).await {
                Ok(answers) => {
                    for (reply, answer) in replies.into_iter().zip(answers) {
                        // The other end may have stopped waiting; the effect stands all the same.
                        let _ = reply.send(Ok(answer));
                    }
                    crash::point(self.name, "answered", None);
                    continue;
                }
                Err(error) => error,
            };
            let since = *failed_since.get_or_insert_with(Instant::now);
            // Nobody there; or it has failed for so long that whoever asked has given up.
            let is_away = match error.remedy() {
                Remedy::Reconnect => true,
                Remedy::GiveUp => false,
                Remedy::RunAgain | Remedy::RunAgainFewTimes | Remedy::Later => {
                    since.elapsed() > database::unanswered_max(&self.database)
                }
            };
            if count > 1 && !is_away && !defect::is_seeded("poison_fails_its_batch") {
                if count == total {
                    tracing::warn!(lane = self.name, count, %error, "a batch of {count} failed; trying its halves");
                }
                let half = count / 2;
                let second = (items.split_off(half), replies.split_off(half), handed.split_off(half));
                parts.extend([second, (items, replies, handed)]);
                continue;
            }
            // What cannot be done for one half cannot be for the other.
            let others = is_away.then(|| parts.drain(..).flat_map(|(_, replies, _)| replies));
            let error = Arc::new(error);
            for reply in replies.into_iter().chain(others.into_iter().flatten()) {
                let _ = reply.send(Err(fault(self.name, Arc::clone(&error))));
            }
        }
        self.backlog.fetch_sub(total, Ordering::Relaxed);
        self.watch.backlog.sub(i64::try_from(total).unwrap_or_default());
    }

    async fn watched(&mut self, items: &[W::Item], handed: &[Handed]) -> Result<Vec<W::Answer>, LaneError> {
        let watch = Arc::clone(&self.watch);
        let batch = watch.begin(handed);
        let done = self.with_remedies(items).await;
        batch.end(&done);
        done
    }

    /// Runs the batch, again where that may help. Every run starts from a clean connection.
    async fn with_remedies(&mut self, items: &[W::Item]) -> Result<Vec<W::Answer>, LaneError> {
        let (mut conflicts, mut transients, mut reconnects) = (0, 0, 0);
        let mut tried_before = 0;
        loop {
            let limit = database::unanswered_max(&self.database);
            // Dropped in the middle, the attempt closes its connection.
            let error = match tokio::time::timeout(limit, self.once(items, tried_before)).await {
                Ok(Ok(answers)) => return Ok(answers),
                Ok(Err(error)) => error,
                Err(_) => database::timed_out().into(),
            };
            let (tried, most) = match error.remedy() {
                Remedy::RunAgain => (&mut conflicts, CONFLICT_RETRIES_MAX),
                Remedy::RunAgainFewTimes => (&mut transients, TRANSIENT_RETRIES_MAX),
                // Once: a connection that died while idle. A database that is down is the caller's to wait for.
                Remedy::Reconnect => (&mut reconnects, 1),
                Remedy::Later | Remedy::GiveUp => return Err(error),
            };
            if *tried == most {
                return Err(error);
            }
            *tried += 1;
            tried_before += 1;
            self.watch.again(error.remedy().word());
            tracing::debug!(lane = self.name, %error, "running a batch again");
        }
    }

    async fn once(&mut self, items: &[W::Item], tried: u32) -> Result<Vec<W::Answer>, LaneError> {
        // Taken out: a connection returns to the lane only from a transaction that ended cleanly.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = self.connect().await?;
                self.work.connected();
                connection
            }
        };
        let way = self.work.way(items, tried);
        if way == Way::Transaction {
            sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
        }
        crash::point(self.name, "begun", None);
        let done = self.work.run(&mut connection, items, way).await;
        match done {
            Ok(answers) if answers.len() == items.len() => {
                crash::point(self.name, "worked", None);
                if way == Way::Transaction {
                    let committed = sqlx::raw_sql("COMMIT").execute(&mut connection).await;
                    if !defect::is_seeded("failed_commit_answered") {
                        committed?;
                    }
                }
                crash::point(self.name, "committed", None);
                if way == Way::Transaction {
                    self.work.committed();
                }
                self.connection = Some(connection);
                Ok(answers)
            }
            Ok(_) => Err(LaneError::Fault("a batch answered another number of items".to_owned())),
            Err(error) => {
                if error.remedy() != Remedy::Reconnect
                    && (way == Way::Statements
                        || defect::is_seeded("transaction_left_open")
                        || sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.is_ok())
                {
                    self.connection = Some(connection);
                }
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<PgConnection, LaneError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, database::connect_lane(&self.database, self.name)).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(database::timed_out().into()),
        }
    }
}

fn fault(lane: &'static str, error: Arc<LaneError>) -> Fault {
    let reachable = match error.remedy() {
        Remedy::GiveUp => true,
        Remedy::RunAgain | Remedy::RunAgainFewTimes | Remedy::Reconnect | Remedy::Later => false,
    };
    let context = format!("write through lane {lane}");
    if reachable {
        Fault::internal(context, Shared(error))
    } else {
        Fault::unavailable_because(context, Shared(error))
    }
}

/// One error for every item of a batch.
#[derive(Debug)]
struct Shared(Arc<LaneError>);

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
