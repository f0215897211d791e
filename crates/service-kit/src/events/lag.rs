//! How far the slowest consumer is behind: the age of the oldest event that some consumer lacks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::metrics::Metrics;

/// The consumer's name in the metric: all subscribers together.
const NAME: &str = "stream";

/// What each consumer lacks first. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Lags(Arc<Mutex<Lacking>>);

#[derive(Default)]
struct Lacking {
    next: u64,
    /// By consumer: when the oldest event that it lacks was written; nothing if it has everything.
    since: HashMap<u64, Option<DateTime<Utc>>>,
}

impl Lags {
    /// Shows the slowest consumer whenever the numbers are read; nothing while nobody subscribes.
    pub fn shown_in(metrics: &Metrics) -> Self {
        let lags = Self::default();
        let (seen, shown) = (lags.clone(), metrics.clone());
        metrics.looks_at(move || match seen.seconds(Utc::now()) {
            Some(seconds) => shown.outbox_lag(NAME, seconds),
            None => shown.no_outbox_lag(NAME),
        });
        lags
    }

    /// A consumer that is served.
    pub fn consumer(&self) -> Lag {
        let mut all = self.all();
        let id = all.next;
        all.next += 1;
        all.since.insert(id, None);
        Lag { id, lags: self.clone() }
    }

    fn seconds(&self, now: DateTime<Utc>) -> Option<i64> {
        let age = |since: &Option<DateTime<Utc>>| since.map_or(0, |since| (now - since).num_seconds().max(0));
        self.all().since.values().map(age).max()
    }

    fn all(&self) -> MutexGuard<'_, Lacking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer's place in it, until dropped.
pub(super) struct Lag {
    id: u64,
    lags: Lags,
}

impl Lag {
    /// The oldest event that it lacks was written then; nothing if it has everything.
    pub fn lacks(&self, since: Option<DateTime<Utc>>) {
        self.lags.all().since.insert(self.id, since);
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.lags.all().since.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_consumer_counts_and_the_last_one_takes_the_number_along() {
        let (lags, now) = (Lags::default(), Utc::now());
        assert_eq!(lags.seconds(now), None);
        let (one, other) = (lags.consumer(), lags.consumer());
        assert_eq!(lags.seconds(now), Some(0));
        one.lacks(Some(now - chrono::TimeDelta::seconds(3)));
        other.lacks(Some(now - chrono::TimeDelta::seconds(70)));
        assert_eq!(lags.seconds(now), Some(70));
        drop(other);
        assert_eq!(lags.seconds(now), Some(3));
        one.lacks(None);
        assert_eq!(lags.seconds(now), Some(0));
        drop(one);
        assert_eq!(lags.seconds(now), None);
    }
}
