//! What others may say to a running driver, and what wakes those that wait for a participant.
//!
//! Nothing here is needed for correctness: a wish that is lost with the process is asked again, or ends in a retry.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use brokerage_types::Reason;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

use crate::sagas::command::Participant;

/// The ear of one driver.
#[derive(Debug, Default)]
pub struct Control {
    abort: AtomicBool,
    resume: AtomicBool,
    stop: AtomicBool,
    bell: Notify,
}

impl Control {
    /// Asks the driver to give the saga up if its pivot has not run.
    pub fn abort(&self) {
        self.abort.store(true, Ordering::Release);
        self.resume();
    }

    /// Asks the driver to try again now, if it is parked or pausing.
    pub fn resume(&self) {
        self.resume.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Asks the driver to leave the saga, at its next pause, to whoever recovers it.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Takes the wish to give up: the reason, once.
    pub(super) fn take_abort(&self) -> Option<Reason> {
        self.abort.swap(false, Ordering::AcqRel).then_some(Reason::AbortedByOperator)
    }

    pub(super) fn take_resume(&self) -> bool {
        self.resume.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// What this process has noticed of one participant.
#[derive(Debug, Default)]
pub struct Link {
    failing: AtomicBool,
    wake: Notify,
    back: Notify,
    clock_ahead_ms: AtomicI64,
}

/// What this process has noticed of both participants.
#[derive(Debug, Default)]
pub struct Links {
    order: Link,
    asset: Link,
}

impl Links {
    /// One of them.
    #[must_use]
    pub fn to(&self, participant: Participant) -> &Link {
        match participant {
            Participant::Order => &self.order,
            Participant::Asset => &self.asset,
        }
    }

    /// Lets one waiting driver of each failing participant try before its pause is over: the first success wakes all.
    pub fn probe(&self) {
        for participant in Participant::ALL {
            let link = self.to(participant);
            if link.is_failing() {
                link.wake.notify_one();
            }
        }
    }
}

impl Link {
    /// Whether the last attempt got no answer.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// An answer came: whoever waits for the participant may try again.
    pub(super) fn answered(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            self.wake.notify_waiters();
            self.back.notify_waiters();
        }
    }

    /// No answer came.
    pub(super) fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
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
}
