//! One consumer: sends what lies between its cursor and the settled end of the log, and says where it is.

use std::convert::Infallible;
use std::time::Duration;

use brokerage_proto::common::v1::{Event, SubscribeResponse};
use brokerage_types::Reason;
use prost_types::Timestamp;
use sqlx::PgPool;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::cursor::Cursor;
use super::lag::Lag;
use super::rows::{self, Seen};
use super::tail::Told;
use crate::fault::{ApiError, Refusal};

/// So many rows are read at once.
const PAGE: i64 = 500;

/// What serving one consumer needs.
pub(super) struct Follower {
    pub pool: PgPool,
    pub told: watch::Receiver<Option<Told>>,
    /// How often somebody has looked up to where the log is settled.
    pub looks: watch::Receiver<u64>,
    pub types: Option<Vec<String>>,
    pub sender: mpsc::Sender<Result<SubscribeResponse, Status>>,
    /// Where others see how far the consumer is.
    pub lag: Lag,
    /// The consumer hears at least this often.
    pub heartbeat: Duration,
    /// A consumer that takes nothing for so long is not worth its place.
    pub patience: Duration,
    pub shutdown: CancellationToken,
}

/// Why a consumer is not served any more.
enum End {
    /// It has hung up.
    Gone,
    /// It is to be told.
    Because(ApiError),
}

impl<E: Into<ApiError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Because(error.into())
    }
}

/// How far a consumer is.
struct Place {
    /// What it would resume from.
    cursor: Option<Cursor>,
    /// Positions up to here need not be read again: behind the cursor there may be some that hold nothing.
    passed: i64,
    /// In which life of the database the cursor was seen.
    epoch: Option<u64>,
    /// When it was last told something.
    told_at: Instant,
}

impl Follower {
    /// Serves until the consumer is gone (nothing to say) or cannot be served (why).
    pub async fn run(mut self, given: Option<Cursor>, from_end: bool) -> Option<ApiError> {
        let shutdown = self.shutdown.clone();
        let end = tokio::select! {
            // A read is bounded by the server's timeouts, but a consumer that does not read has time.
            () = shutdown.cancelled() => shutting_down().into(),
            end = self.serve(given, from_end) => end,
        };
        match end {
            End::Gone => None,
            End::Because(error) => Some(error),
        }
    }

    async fn serve(&mut self, given: Option<Cursor>, from_end: bool) -> End {
        match self.try_serve(given, from_end).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn try_serve(&mut self, given: Option<Cursor>, from_end: bool) -> Result<Infallible, End> {
        let passed = given.map_or(0, |cursor| cursor.position);
        let mut place = Place { cursor: given, passed, epoch: None, told_at: Instant::now() };
        // The look that is under way may have begun before something that the consumer knows to be over.
        let fresh = *self.looks.borrow() + 2;
        while *self.looks.borrow_and_update() < fresh {
            self.wait(&mut place, false).await?;
        }
        let mut told = self.settled(&mut place).await?;
        if given.is_none() && from_end {
            place.cursor = rows::last_until(&self.pool, told.settled).await?;
            place.passed = told.settled;
        }
        let seen_first = told.head;
        let mut has_caught_up = false;
        loop {
            self.check(&mut place, told).await?;
            self.catch_up(&mut place, told).await?;
            if !has_caught_up && told.settled >= seen_first {
                self.sign(&mut place, true).await?;
                has_caught_up = true;
            }
            self.wait(&mut place, has_caught_up).await?;
            told = self.settled(&mut place).await?;
        }
    }

    /// Up to where the log is settled, as soon as that is known.
    async fn settled(&mut self, place: &mut Place) -> Result<Told, End> {
        loop {
            let told = *self.told.borrow_and_update();
            if let Some(told) = told {
                return Ok(told);
            }
            self.wait(place, false).await?;
        }
    }

    /// Until there is news of the log, or it is time for a sign of life.
    async fn wait(&mut self, place: &mut Place, caught_up: bool) -> Result<(), End> {
        let is_new = place.epoch.is_none();
        let news = async {
            tokio::select! {
                changed = self.told.changed() => changed.map_err(|_| shutting_down().into()),
                changed = self.looks.changed(), if is_new => changed.map_err(|_| shutting_down().into()),
                () = self.sender.closed() => Err(End::Gone),
            }
        };
        match tokio::time::timeout_at(place.told_at + self.heartbeat, news).await {
            Ok(news) => news,
            Err(_) => self.sign(place, caught_up).await,
        }
    }

    /// Whether the log holds the cursor's event, once for each life of the database.
    async fn check(&self, place: &mut Place, told: Told) -> Result<(), End> {
        if place.epoch != Some(told.epoch) {
            if let Some(cursor) = place.cursor
                && !rows::holds(&self.pool, cursor).await?
            {
                return Err(unknown(cursor).into());
            }
            place.epoch = Some(told.epoch);
        }
        Ok(())
    }

    async fn catch_up(&self, place: &mut Place, told: Told) -> Result<(), End> {
        while place.passed < told.settled {
            let range = (place.passed, told.settled);
            let page = rows::between(&self.pool, range, self.types.as_deref(), PAGE).await?;
            let is_last = i64::try_from(page.len()).is_ok_and(|rows| rows < PAGE);
            for row in page {
                place.cursor = Some(Cursor::of(&row));
                place.passed = row.position;
                self.lag.lacks(Some(row.created_at));
                if let Some(message) = message(row, place.cursor) {
                    self.send(place, message).await?;
                }
            }
            if is_last {
                place.passed = told.settled;
                self.lag.lacks(None);
            } else if place.told_at.elapsed() >= self.heartbeat {
                self.sign(place, false).await?;
            }
        }
        Ok(())
    }

    async fn sign(&self, place: &mut Place, caught_up: bool) -> Result<(), End> {
        let cursor = place.cursor.map(Cursor::write).unwrap_or_default();
        self.send(place, SubscribeResponse { cursor, event: None, caught_up }).await
    }

    async fn send(&self, place: &mut Place, message: SubscribeResponse) -> Result<(), End> {
        use mpsc::error::SendTimeoutError;
        match self.sender.send_timeout(Ok(message), self.patience).await {
            Ok(()) => {
                place.told_at = Instant::now();
                Ok(())
            }
            Err(SendTimeoutError::Closed(_)) => Err(End::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(self.too_slow().into()),
        }
    }

    fn too_slow(&self) -> Refusal {
        let message = "the consumer took nothing for too long; go on from the last cursor";
        Refusal::new(Reason::Overloaded, message).with("waited_ms", self.patience.as_millis().to_string())
    }
}

fn message(row: Seen, cursor: Option<Cursor>) -> Option<SubscribeResponse> {
    let content = row.content?;
    let created_at = Timestamp {
        seconds: row.created_at.timestamp(),
        nanos: i32::try_from(row.created_at.timestamp_subsec_nanos()).unwrap_or_default(),
    };
    let event = Event {
        id: row.id.to_string(),
        aggregate_type: content.aggregate_type,
        aggregate_id: content.aggregate_id,
        seq: content.seq,
        r#type: content.kind,
        payload_json: content.payload,
        created_at: Some(created_at),
        traceparent: content.traceparent.unwrap_or_default(),
    };
    let cursor = cursor.map(Cursor::write).unwrap_or_default();
    Some(SubscribeResponse { cursor, event: Some(event), caught_up: false })
}

fn shutting_down() -> Refusal {
    Refusal::new(Reason::ShuttingDown, "the service ends; go on from the last cursor with another process")
}

fn unknown(cursor: Cursor) -> Refusal {
    let message =
        "the log does not hold the cursor's event: it is from another log, or was truncated or restored";
    Refusal::new(Reason::CursorUnknown, message).with("cursor", cursor.write())
}
