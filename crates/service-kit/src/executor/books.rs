//! What a service plugs into the executor: its commands, its rows, its rules.

use brokerage_types::Reason;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::optimistic::{Asked, Glimpse, Verdicts};
use crate::fault::Fault;
use crate::lane::LaneError;

/// A command as the domain knows it. Its serialised form is the canonical content that the request hash covers, so
/// amounts must serialise canonically (`1.0` and `1.00` alike).
pub trait Command: serde::Serialize + Clone + Send + Sync + 'static {
    /// Its name in the inbox and in logs, such as `place_hold`.
    fn name(&self) -> &'static str;
    /// A pivot refuses to be compensated once it is done.
    fn is_pivot(&self) -> bool;
    /// Which lane does it, when there are several: equal numbers meet in one batch. Speed only.
    fn affinity(&self) -> u64;
}

/// One service's rows and rules.
pub trait Books: Send + Sync + 'static {
    /// Everything that can be commanded.
    type Command: Command;
    /// Every row that a batch may touch, and what has changed.
    type World: Send + Sync;
    /// Rows that a lane saw last, for [`Self::recall`]: so many at most that they need little memory.
    type Recollection: Default + Send + 'static;

    /// Locks, in the one global order and `FOR NO KEY UPDATE`, and loads every row that these commands may touch.
    fn load(
        &self,
        tx: &mut PgConnection,
        commands: &[&Self::Command],
    ) -> impl Future<Output = Result<Self::World, sqlx::Error>> + Send;

    /// Decides, and applies the decision to the world. A rejection must leave the world as it was.
    ///
    /// # Errors
    /// The business rule that refuses; it is remembered. A reason of class `Internal` is a fault instead: nothing is
    /// kept of it.
    fn execute(&self, world: &mut Self::World, at: &At, command: &Self::Command) -> Result<Done, Rejection>;

    /// Applies the inverse of a command that is done, from its stored effect. Has no business reason to refuse.
    ///
    /// # Errors
    /// Only when the effect or a row is broken.
    fn compensate(
        &self,
        world: &mut Self::World,
        at: &At,
        command: &Self::Command,
        undo: Undo<'_>,
    ) -> Result<(), Fault>;

    /// Notes that the command can never run, if the domain wants to know.
    ///
    /// # Errors
    /// Only when a row is broken.
    fn tombstone(
        &self,
        world: &mut Self::World,
        at: &At,
        command: &Self::Command,
        reason: Reason,
    ) -> Result<(), Fault>;

    /// How many events the world has noted so far. [`Self::events`] takes them in the same order.
    fn noted(&self, world: &Self::World) -> usize;

    /// Takes the events of the changes out of the world, one each. Comes before it is saved.
    fn events(&self, world: &mut Self::World) -> Vec<Event>;

    /// Writes what has changed.
    fn save(
        &self,
        tx: &mut PgConnection,
        world: &Self::World,
    ) -> impl Future<Output = Result<(), SaveError>> + Send;

    /// Whether the command may go the short way ([`super::optimistic`]): it is frequent, and touches few rows.
    fn is_optimistic(&self, wish: Wish<'_, Self::Command>) -> bool {
        let _ = wish;
        false
    }

    /// Reads with a [`glance!`](crate::glance), and without locks, what is asked of the inbox and every row that these
    /// commands need, all of which may go the short way. `None`: this batch must be loaded after all.
    fn glance(
        &self,
        connection: &mut PgConnection,
        asked: &Asked,
        wishes: &[Wish<'_, Self::Command>],
    ) -> impl Future<Output = Result<Option<(Glimpse, Self::World)>, sqlx::Error>> + Send {
        let _ = (connection, asked, wishes);
        std::future::ready(Ok(None))
    }

    /// The same from memory, if these commands shall be done and everything that they need was remembered.
    /// What is assumed to be absent must make [`Self::save_unchanged`] fail if it is there.
    fn recall(
        &self,
        recollection: &mut Self::Recollection,
        wishes: &[Wish<'_, Self::Command>],
    ) -> Option<Self::World> {
        let _ = (recollection, wishes);
        None
    }

    /// Keeps rows of this world, which are now in the database as it has them.
    fn remember(&self, recollection: &mut Self::Recollection, world: Self::World) {
        let _ = (recollection, world);
    }

    /// Writes a world that came from a glance or from memory, and these verdicts, with one [`decided!`](crate::decided)
    /// that fails as a whole when a row that it changes is not as it was read, a verdict or row that it adds is there, or
    /// `mistakes` is not empty. It waits for no row's lock, or only before it has any other, and in the order of
    /// [`Self::load`].
    ///
    /// What was read and is not written must be looked at again, for it may have been read long ago, and decides as of
    /// the statement. Where that is not enough, whoever changes such a row must change the version of a row that is
    /// written as well.
    fn save_unchanged(
        &self,
        connection: &mut PgConnection,
        world: &Self::World,
        verdicts: &Verdicts,
    ) -> impl Future<Output = Result<(), SaveError>> + Send {
        let _ = (connection, world, verdicts);
        std::future::ready(Err(SaveError::Conflict))
    }
}

/// A command, and whether it shall be done or taken back.
#[derive(Debug)]
pub struct Wish<'a, C> {
    /// The command.
    pub command: &'a C,
    /// It shall be taken back, or never be done.
    pub is_undo: bool,
}

impl<C> Clone for Wish<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Wish<'_, C> {}

/// Where and when a command is decided.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// The saga, or the derived id of a one-service command.
    pub saga_id: Uuid,
    /// The step within it.
    pub step: i16,
    /// The database's clock at the start of the batch.
    pub now: DateTime<Utc>,
}

/// What remains of a command that was done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Done {
    /// What the inverse needs to know; null if nothing.
    pub effect: serde_json::Value,
    /// The answer to give again to whoever repeats a one-service command; empty for saga steps.
    pub answer: Vec<u8>,
}

/// What a compensation starts from.
#[derive(Debug, Clone, Copy)]
pub struct Undo<'a> {
    /// What the command left in [`Done::effect`].
    pub effect: &'a serde_json::Value,
    /// Why the saga gives up.
    pub reason: Reason,
}

/// A business refusal. It is remembered, so every repetition gets it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, of the catalogue.
    pub reason: Reason,
    /// One sentence for people, with the numbers that decided.
    pub message: String,
}

impl Rejection {
    /// A refusal with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// One change of one aggregate, as the outbox keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What kind of thing changed: lower case, singular, such as `order`.
    pub aggregate: &'static str,
    /// Which one.
    pub aggregate_id: String,
    /// Counts that one's events from 1.
    pub seq: i64,
    /// What happened, in the past tense, such as `OrderMatched`.
    pub kind: &'static str,
    /// The content.
    pub payload: serde_json::Value,
}

/// Why a save did not work.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A row was not as it was loaded, or appeared meanwhile: run the batch again.
    #[error("a row changed under the batch")]
    Conflict,
    /// The database said no.
    #[error("database")]
    Database(#[source] sqlx::Error),
    /// Ours.
    #[error("{0}")]
    Broken(String),
}

impl From<SaveError> for LaneError {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Conflict => LaneError::Conflict,
            SaveError::Database(error) => LaneError::Database(error),
            SaveError::Broken(what) => LaneError::Fault(what),
        }
    }
}

impl From<sqlx::Error> for SaveError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            // So says `all_or_nothing`; and so does the index of a row that is there already.
            Some("40001" | "23505") => SaveError::Conflict,
            _ => SaveError::Database(error),
        }
    }
}
