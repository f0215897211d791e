//! The outbox as a stream that can be resumed: kill the consumer anywhere, and what it has seen and what it sees next
//! are the log, without a gap.
//!
//! Positions are given out when events are written, and transactions end in any order: a position may become visible
//! after a higher one. `settled` decides up to where nothing can appear any more, `tail` finds that out, one task per
//! process that rests while nobody listens; `follow` sends one consumer what lies between its cursor and there.
//!
//! Everything is read from the primary: what is settled there may be unknown to a replica. Writers notice nothing.

mod cursor;
mod follow;
mod lag;
mod rows;
mod settled;
mod tail;

use std::pin::Pin;
use std::sync::Arc;

use brokerage_proto::common::v1::{SubscribeRequest, SubscribeResponse};
use brokerage_types::Reason;
use futures::{Stream, StreamExt};
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::database;
use crate::fault::{ApiResult, Fault, Refusal};
use crate::run::Kit;
use cursor::Cursor;
use follow::Follower;
use lag::Lags;
use tail::{Bell, Tail};

/// So many consumers at once in one process.
const CONSUMERS_MAX: usize = 64;
/// So many messages wait for a consumer that reads more slowly than we do.
const MESSAGES_WAITING_MAX: usize = 256;
/// Connections for what all consumers read.
const CONNECTIONS: u32 = 3;
/// So many aggregate types may be asked for.
const TYPES_MAX: usize = 20;
const TYPE_LENGTH_MAX: usize = 255;
/// A consumer hears at least this often, before scaling.
const HEARTBEAT_MS: u64 = 5_000;
/// A consumer that takes nothing for so long loses its place, before scaling.
const PATIENCE_MS: u64 = 30_000;

/// What a consumer gets.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

/// The events of one service. Clones share one tail.
#[derive(Clone)]
pub struct EventLog {
    kit: Kit,
    pool: PgPool,
    bell: Bell,
    lags: Lags,
    room: Arc<Semaphore>,
}

impl EventLog {
    /// The log of this service's outbox. Reads nothing while nobody subscribes.
    ///
    /// # Errors
    /// A database URL that cannot be read.
    pub fn start(kit: &Kit) -> Result<Self, sqlx::Error> {
        let bell = Bell::new();
        kit.tasks.spawn(Tail::new(kit, bell.clone()).run());
        let pool = database::primary_pool(&kit.settings.database, "events", CONNECTIONS)?;
        let (lags, room) = (Lags::shown_in(&kit.metrics), Arc::new(Semaphore::new(CONSUMERS_MAX)));
        Ok(Self { kit: kit.clone(), pool, bell, lags, room })
    }

    /// Every event behind the cursor, then new ones as they settle.
    ///
    /// # Errors
    /// `FIELD_INVALID`; `CURSOR_UNKNOWN` if the log does not hold the cursor's event; `OVERLOADED` if there are too
    /// many consumers; a database that cannot be asked.
    pub async fn subscribe(&self, request: SubscribeRequest) -> ApiResult<EventStream> {
        let types = types(request.aggregate_types)?;
        let given = match request.cursor.as_str() {
            "" => None,
            text => Some(Cursor::read(text).ok_or_else(|| {
                Refusal::field("cursor", Reason::FieldInvalid, "is not one of an earlier answer")
            })?),
        };
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            let message = format!("{CONSUMERS_MAX} consumers are being served already");
            return Err(Refusal::new(Reason::Overloaded, message).into());
        };
        let (sender, messages) = mpsc::channel(MESSAGES_WAITING_MAX + 1);
        // Kept for the last word, so that a consumer that does not read can still be told why its stream ended.
        let last_word =
            sender.clone().reserve_owned().await.map_err(|error| Fault::internal("open a stream", error))?;
        let follower = Follower {
            pool: self.pool.clone(),
            told: self.bell.told.subscribe(),
            looks: self.bell.looks.subscribe(),
            types,
            sender,
            lag: self.lags.consumer(),
            heartbeat: self.kit.settings.scaled(HEARTBEAT_MS),
            patience: self.kit.settings.scaled(PATIENCE_MS),
            shutdown: self.kit.shutdown.clone(),
        };
        self.bell.woken.notify_one();
        let from_end = request.from_end;
        self.kit.tasks.spawn(async move {
            let why = follower.run(given, from_end).await;
            if let Some(error) = why {
                last_word.send(Err(error.into()));
            }
            drop(room);
        });
        Ok(ReceiverStream::new(messages).boxed())
    }
}

fn types(asked: Vec<String>) -> ApiResult<Option<Vec<String>>> {
    // A type is a word; a zero byte would not even reach the database.
    let is_none =
        |text: &String| text.is_empty() || text.len() > TYPE_LENGTH_MAX || text.chars().any(char::is_control);
    if asked.len() > TYPES_MAX || asked.iter().any(is_none) {
        let description =
            format!("at most {TYPES_MAX}, of 1 to {TYPE_LENGTH_MAX} bytes each, without control characters");
        return Err(Refusal::field("aggregate_types", Reason::FieldInvalid, description).into());
    }
    Ok((!asked.is_empty()).then_some(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_no_event_can_have_are_refused() {
        let asked = |types: &[&str]| self::types(types.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(asked(&[]).ok(), Some(None));
        assert!(matches!(asked(&["order", "hold"]), Ok(Some(types)) if types.len() == 2));
        for wrong in ["", "a\0b", "a\nb", &"x".repeat(TYPE_LENGTH_MAX + 1)] {
            assert!(asked(&["order", wrong]).is_err(), "{wrong:?}");
        }
        assert!(asked(&["order"; TYPES_MAX + 1]).is_err());
    }
}
