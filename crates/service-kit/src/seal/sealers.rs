//! The background tasks: one per chain and process, of which one per chain works at a time.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::meters::Meters;
use super::rows::{self, Head};
use super::{Chain, Digest, Round, SealError, pace, seal_batch};
use crate::database;
use crate::run::Kit;

/// How long a row waits at most while nothing is wrong, before scaling.
const INTERVAL_MS: u64 = 1_000;
/// No time scale makes it longer or shorter than this.
const INTERVAL_MIN: Duration = Duration::from_millis(20);
const INTERVAL_MAX: Duration = Duration::from_millis(INTERVAL_MS);
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A round that takes longer talks to nobody: its connection is half open, and no server will end it for us.
const ROUND_TIMEOUT: Duration = Duration::from_secs(10);
/// A head is logged at most so often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Starts sealers; makes their metrics once.
pub struct Sealers {
    kit: Kit,
    meters: Meters,
}

impl Sealers {
    /// Of this service.
    ///
    /// # Errors
    /// When called twice for one service: the metrics exist already.
    pub fn new(kit: &Kit) -> Result<Self, prometheus::Error> {
        Ok(Self { kit: kit.clone(), meters: Meters::new(&kit.metrics)? })
    }

    /// Seals this chain until the service ends. Outlives the database, and shares the work with other replicas.
    pub fn start<C: Chain>(&self) {
        let sealer = Sealer::<C> {
            kit: self.kit.clone(),
            meters: self.meters.clone(),
            connection: None,
            told: None,
            is_failing: false,
            counted: None,
            chain: PhantomData,
        };
        self.kit.tasks.spawn(sealer.run());
    }
}

struct Sealer<C> {
    kit: Kit,
    meters: Meters,
    connection: Option<PgConnection>,
    /// The last head that was logged, and when.
    told: Option<(i64, Instant)>,
    is_failing: bool,
    /// When the rows that wait were last counted.
    counted: Option<Instant>,
    chain: PhantomData<C>,
}

impl<C: Chain> Sealer<C> {
    async fn run(mut self) {
        let interval = self.kit.settings.scaled(INTERVAL_MS).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let mut before = Instant::now();
        loop {
            let begun = Instant::now();
            let round = self.round(interval).await;
            let pause = pace::pause(interval, round, begun - before, begun.elapsed());
            before = begun;
            if tokio::time::timeout(pause, self.kit.shutdown.cancelled()).await.is_ok() {
                break;
            }
        }
        if let Some(connection) = self.connection {
            // The server notices anyway.
            drop(connection.close().await);
        }
    }

    /// What it did; `None` if it failed, which is told.
    async fn round(&mut self, interval: Duration) -> Option<Round> {
        let chain = C::TABLE.chain;
        // The connection is the round's own and closes with it; whatever it had begun is rolled back.
        let ended = tokio::time::timeout(ROUND_TIMEOUT, self.try_round(interval)).await;
        match ended.unwrap_or_else(|_| Err(database::timed_out().into())) {
            Ok(round) => {
                if self.is_failing {
                    tracing::info!(chain, "the chain {chain} is sealed again");
                }
                self.is_failing = false;
                Some(round)
            }
            Err(error) => {
                self.meters.failed(chain);
                match &error {
                    SealError::Database(source) if !self.is_failing => {
                        tracing::warn!(chain, error = %source, "the chain {chain} cannot be sealed; trying again");
                    }
                    SealError::Database(source) => tracing::debug!(chain, error = %source, "still not"),
                    _tampered if self.is_failing => tracing::debug!(chain, %error, "still not"),
                    _tampered => {
                        tracing::error!(chain, %error, "the chain {chain} cannot be sealed: {error}")
                    }
                }
                self.is_failing = true;
                None
            }
        }
    }

    async fn try_round(&mut self, interval: Duration) -> Result<Round, SealError> {
        // Taken out: a connection comes back only from a round that ended cleanly.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // Counting what waits costs as much as sealing it: where rounds follow each other fast, it is left out.
        let is_known = self.counted.is_some_and(|at| at.elapsed() < interval / 2);
        let waiting = if is_known { None } else { Some(rows::waiting::<C>(&mut connection, None).await?) };
        let is_idle = waiting.is_some_and(|waiting| waiting.rows == 0);
        let round = if is_idle { Round::Sealed(0) } else { seal_batch::<C>(&mut connection).await? };
        let head = rows::head::<C>(&mut connection).await?;
        let head = head.ok_or(SealError::NoHead { chain: C::TABLE.chain })?;
        self.connection = Some(connection);
        if let Some(waiting) = waiting {
            self.meters.saw(C::TABLE.chain, waiting, &head);
            self.counted = Some(Instant::now());
        }
        self.tell(&head)?;
        Ok(round)
    }

    /// The log is a place elsewhere: who ships it has anchors.
    fn tell(&mut self, head: &Head) -> Result<(), SealError> {
        let is_due = match self.told {
            None => head.book_seq > 0,
            Some((seq, at)) => head.book_seq != seq && at.elapsed() >= LOG_INTERVAL,
        };
        if is_due {
            let (chain, seq, hash): (_, _, Digest) = (&head.chain, head.book_seq, head.digest()?);
            tracing::info!(chain, seq, %hash, "the chain {chain} is sealed up to {seq}:{hash}");
            self.told = Some((seq, Instant::now()));
        }
        Ok(())
    }

    async fn connect(&self) -> Result<PgConnection, SealError> {
        let connecting = database::connect_lane(&self.kit.settings.database, "sealer");
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(database::timed_out().into()),
        }
    }
}
