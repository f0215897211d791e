//! What others may say to a running driver.
//!
//! Nothing here is needed for correctness: a wish that is lost with the process is asked again, or ends in a retry.

use std::sync::atomic::{AtomicBool, Ordering};

use brokerage_types::Reason;
use tokio::sync::Notify;

pub use super::links::{Link, Links};

/// The ear of one driver.
#[derive(Debug, Default)]
pub struct Control {
    abort: AtomicBool,
    resume: AtomicBool,
    pause: AtomicBool,
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
        self.pause.store(false, Ordering::Release);
        self.resume.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Asks the driver to park the saga before its next attempt, until somebody resumes or aborts it.
    pub fn pause(&self) {
        self.resume.store(false, Ordering::Release);
        self.pause.store(true, Ordering::Release);
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

    pub(super) fn take_pause(&self) -> bool {
        self.pause.swap(false, Ordering::AcqRel)
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
