//! What this process has noticed of the participants: who answers, how often to ask, and what wakes those that wait.
//!
//! Nothing here is needed for correctness: it says when to ask, never what an answer is. Not here: the rules
//! (`breaker`, `retries`), which are pure.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Admission, Breaker, Heard, Limits, Position, Turn};
use super::pace::Pace;
use super::retries::{Retries, Urgency};
use crate::sagas::command::Participant;

/// What this process has noticed of both participants.
#[derive(Debug)]
pub struct Links {
    order: Link,
    asset: Link,
}

/// What this process has noticed of one participant.
#[derive(Debug)]
pub struct Link {
    participant: Participant,
    born: Instant,
    probe: Duration,
    state: Mutex<State>,
    wake: Notify,
    back: Notify,
    clock_ahead_ms: AtomicI64,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    retries: Retries,
    /// The last call was not answered.
    is_failing: bool,
    woke_at: Duration,
    seen: Seen,
}

/// What can be told of a link. The numbers count from the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where its breaker stands.
    pub breaker: Position,
    /// How often that opened.
    pub opened: u64,
    /// Calls that waited because it was open.
    pub held_by_breaker: u64,
    /// Repetitions that waited because the budget was spent.
    pub held_by_budget: u64,
    /// Repetitions that are left.
    pub retries_left: u64,
    /// Whether the last call was not answered.
    pub is_failing: bool,
}

/// A call that may go. Give it back with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    admission: Admission,
    is_retry: bool,
}

/// A call that may not go yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Ask again after this.
    pub pause: Duration,
    /// For operators.
    pub why: &'static str,
}

impl Default for Links {
    fn default() -> Self {
        Self::new(&Pace::scaled(1.0))
    }
}

impl Links {
    /// Nothing is noticed yet.
    #[must_use]
    pub fn new(pace: &Pace) -> Self {
        Self { order: Link::new(Participant::Order, pace), asset: Link::new(Participant::Asset, pace) }
    }

    /// One of them.
    #[must_use]
    pub fn to(&self, participant: Participant) -> &Link {
        match participant {
            Participant::Order => &self.order,
            Participant::Asset => &self.asset,
        }
    }

    /// Lets one waiting driver of each failing participant find out whether it is back. Call it often; it keeps to its
    /// own measure.
    pub fn probe(&self) {
        Participant::ALL.into_iter().for_each(|participant| self.to(participant).wake_one());
    }
}

impl Link {
    fn new(participant: Participant, pace: &Pace) -> Self {
        let limits = Limits { window: pace.breaker_window, probe: pace.breaker_probe };
        let state = State {
            breaker: Breaker::new(limits),
            retries: Retries::new(pace.retry_trickle),
            is_failing: false,
            woke_at: Duration::ZERO,
            seen: Seen::default(),
        };
        Self {
            participant,
            born: Instant::now(),
            probe: pace.breaker_probe,
            state: Mutex::new(state),
            wake: Notify::new(),
            back: Notify::new(),
            clock_ahead_ms: AtomicI64::new(0),
        }
    }

    /// What can be told of it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let state = self.state();
        let (breaker, retries_left) = (state.breaker.position(), state.retries.left());
        Seen { breaker, retries_left, is_failing: state.is_failing, ..state.seen }
    }

    /// Whether a call may go now.
    pub(super) fn admit(&self, is_retry: bool, urgency: Urgency) -> Result<Ticket, Held> {
        let now = self.born.elapsed();
        let mut state = self.state();
        let admission = state.breaker.admit(now);
        match admission {
            Admission::Wait(pause) => {
                state.seen.held_by_breaker += 1;
                Err(Held { pause, why: "its circuit breaker is open" })
            }
            // One a second is no burden, and somebody has to find out.
            Admission::Probe => Ok(Ticket { admission, is_retry: false }),
            Admission::Go if !is_retry => Ok(Ticket { admission, is_retry }),
            Admission::Go => match state.retries.take(now, urgency) {
                Ok(()) => Ok(Ticket { admission, is_retry }),
                Err(pause) => {
                    state.seen.held_by_budget += 1;
                    Err(Held { pause, why: "too many calls to it are repetitions already" })
                }
            },
        }
    }

    /// Takes in what came of a call; the first answer after silence wakes everybody who waits.
    pub(super) fn hear(&self, ticket: Ticket, heard: Heard) {
        let now = self.born.elapsed();
        let mut state = self.state();
        let turn = state.breaker.hear(now, heard, ticket.admission);
        state.seen.opened += u64::from(turn == Some(Turn::Opened));
        let answered = heard == Heard::Answer;
        if answered {
            state.retries.answered(ticket.is_retry);
        }
        let was_failing = std::mem::replace(&mut state.is_failing, !answered);
        let is_closed = state.breaker.position() == Position::Closed;
        drop(state);
        let peer = self.participant.as_str();
        match turn {
            Some(Turn::Opened) => {
                tracing::warn!(peer, "{peer} does not answer: calls wait, and one a second finds out");
            }
            Some(Turn::Closed) => tracing::info!(peer, "{peer} answers again"),
            None => {}
        }
        if is_closed && answered && (was_failing || turn == Some(Turn::Closed)) {
            self.wake.notify_waiters();
            self.back.notify_waiters();
        }
    }

    fn wake_one(&self) {
        let now = self.born.elapsed();
        let mut state = self.state();
        let is_due = match state.breaker.position() {
            Position::Closed => state.is_failing && now >= state.woke_at.saturating_add(self.probe),
            Position::Open | Position::HalfOpen => state.breaker.wants_probe(now),
        };
        if is_due {
            state.woke_at = now;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Returns when the participant is back, or when this driver shall find out whether it is.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Returns when the participant is back.
    pub(super) async fn back(&self) {
        self.back.notified().await;
    }

    /// Learns how far the participant's database clock is ahead of ours.
    pub(super) fn saw_clock(&self, theirs: DateTime<Utc>, ours: DateTime<Utc>) {
        self.clock_ahead_ms.store((theirs - ours).num_milliseconds(), Ordering::Relaxed);
    }

    /// When an attempt that starts now is void, on the participant's database clock as far as we know it.
    pub(super) fn void_at(&self, now: DateTime<Utc>, after: Duration) -> DateTime<Utc> {
        let ahead =
            TimeDelta::try_milliseconds(self.clock_ahead_ms.load(Ordering::Relaxed)).unwrap_or_default();
        let after = TimeDelta::from_std(after).unwrap_or_default();
        now.checked_add_signed(ahead).and_then(|then| then.checked_add_signed(after)).unwrap_or(now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
