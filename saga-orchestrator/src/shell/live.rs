//! What a driver in this process is doing right now, for whoever asks why a saga does not end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::engine::definition::StepNo;
use crate::store::Entry;

/// A look at a driver.
#[derive(Clone, Debug, Default)]
pub struct Live {
    steps: Vec<StepNo>,
    undo: bool,
    /// The last answer of each step in each direction, oldest first.
    pub answers: Vec<Entry>,
    next: Option<Instant>,
}

impl Live {
    /// The steps that it asks for, and whether to undo them; `None` before the first.
    #[must_use]
    pub fn asking(&self) -> Option<(Vec<StepNo>, bool)> {
        (!self.steps.is_empty()).then(|| (self.steps.clone(), self.undo))
    }

    /// When it asks again, unless something wakes it before.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        let left = self.next?.saturating_duration_since(Instant::now());
        Utc::now().checked_add_signed(chrono::TimeDelta::from_std(left).ok()?)
    }

    pub(super) fn asks(&mut self, steps: &[StepNo], undo: bool) {
        self.steps.clear();
        self.steps.extend_from_slice(steps);
        (self.undo, self.next) = (undo, None);
    }

    pub(super) fn hears(&mut self, entry: Entry) {
        self.answers.retain(|known| (known.step, known.undo) != (entry.step, entry.undo));
        self.answers.push(entry);
    }

    pub(super) fn pauses(&mut self, pause: Duration) {
        self.next = Instant::now().checked_add(pause);
    }
}
