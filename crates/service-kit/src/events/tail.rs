//! The one task of a process that finds out up to where its log is settled. It has a connection of its own, looks often
//! while there is news, less often while there is none, and rests while nobody listens.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::{Notify, watch};

use super::rows;
use super::settled::{LOOK_MAX, Settling, Sight};
use crate::database;
use crate::run::Kit;

/// The shortest and the longest pause between two looks. An event is late by one pause at most.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// The pause after a failure.
const PAUSE_FAILED: Duration = Duration::from_millis(500);
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A look that takes longer talks to nobody.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Up to where the log is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub settled: i64,
    /// The highest position that could be seen.
    pub head: i64,
    /// Grows when the database went away in between: it may be another one now.
    pub epoch: u64,
}

/// How consumers hear of it, and how it hears of them.
#[derive(Clone)]
pub(super) struct Bell {
    /// Nothing while it is not known.
    pub told: watch::Sender<Option<Told>>,
    /// How often somebody looked, so that who comes new can wait for a look that is newer.
    pub looks: watch::Sender<u64>,
    /// Somebody came.
    pub woken: Arc<Notify>,
}

impl Bell {
    pub fn new() -> Self {
        let ((told, _), (looks, _)) = (watch::channel(None), watch::channel(0));
        Self { told, looks, woken: Arc::new(Notify::new()) }
    }
}

/// The task.
pub(super) struct Tail {
    kit: Kit,
    bell: Bell,
    connection: Option<PgConnection>,
    settling: Settling,
    epoch: u64,
    is_failing: bool,
}

struct Database<'c>(&'c mut PgConnection);

impl Sight for Database<'_> {
    type Error = sqlx::Error;

    async fn head(&mut self) -> Result<i64, sqlx::Error> {
        rows::head(self.0).await
    }

    async fn positions_after(&mut self, after: i64) -> Result<Vec<i64>, sqlx::Error> {
        rows::positions_after(self.0, after, LOOK_MAX).await
    }

    async fn writers(&mut self) -> Result<HashSet<String>, sqlx::Error> {
        rows::writers(self.0).await
    }
}

impl Tail {
    /// Rests while nobody listens to the bell.
    pub fn new(kit: &Kit, bell: Bell) -> Self {
        let settling = Settling::default();
        Self { kit: kit.clone(), bell, connection: None, settling, epoch: 0, is_failing: false }
    }

    /// Until the service ends.
    pub async fn run(mut self) {
        let shutdown = self.kit.shutdown.clone();
        let mut pause = PAUSE_MIN;
        while !shutdown.is_cancelled() {
            if self.bell.told.receiver_count() == 0 {
                self.rest().await;
                continue;
            }
            pause = match self.look().await {
                Ok(is_worth_another) => match (self.tell(), is_worth_another) {
                    (_, true) => continue,
                    (true, false) => PAUSE_MIN,
                    (false, false) => (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX),
                },
                Err(error) => {
                    self.fail(&error);
                    PAUSE_FAILED
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
                // Who comes new waits for a look.
                () = self.bell.woken.notified() => {}
            }
        }
        self.close().await;
    }

    /// Until somebody listens or the service ends.
    async fn rest(&mut self) {
        self.close().await;
        self.forget();
        tokio::select! {
            () = self.kit.shutdown.cancelled() => {}
            () = self.bell.woken.notified() => {}
        }
    }

    async fn look(&mut self) -> Result<bool, sqlx::Error> {
        // Taken out: a connection comes back only from a look that ended cleanly.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connecting = database::connect_lane(&self.kit.settings.database, "events");
                in_time(CONNECT_TIMEOUT, connecting).await?
            }
        };
        let mut database = Database(&mut connection);
        let is_worth_another = in_time(LOOK_TIMEOUT, self.settling.look(&mut database)).await?;
        self.connection = Some(connection);
        Ok(is_worth_another)
    }

    /// Says how far it is settled, and whether that is news.
    fn tell(&mut self) -> bool {
        if self.is_failing {
            tracing::info!("the outbox can be read again");
            self.is_failing = false;
        }
        let (head, epoch) = (self.settling.head(), self.epoch);
        let now = self.settling.settled().map(|settled| Told { settled, head, epoch });
        let is_news = self.bell.told.send_if_modified(|told| std::mem::replace(told, now) != now);
        // After what the look has found, so that who waited for it finds that.
        self.bell.looks.send_modify(|looks| *looks += 1);
        is_news
    }

    fn fail(&mut self, error: &sqlx::Error) {
        if self.is_failing {
            tracing::debug!(%error, "still not");
        } else {
            tracing::warn!(%error, "the outbox cannot be read; consumers wait: {error}");
        }
        self.is_failing = true;
        self.forget();
    }

    /// The database may be another one when it comes back, so nothing is known of it.
    fn forget(&mut self) {
        self.settling = Settling::default();
        self.epoch += 1;
        self.bell.told.send_replace(None);
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // The server notices anyway.
            drop(connection.close().await);
        }
    }
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
