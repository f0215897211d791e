//! How long commands took, by verb.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A command of the public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// CreateOrder.
    Create,
    /// CancelOrder.
    Cancel,
    /// MatchOrders.
    Match,
}

impl Verb {
    /// Each of them.
    pub const ALL: &[Self] = &[Self::Create, Self::Cancel, Self::Match];

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Cancel => "cancel",
            Self::Match => "match",
        }
    }
}

/// Three significant digits, from a microsecond up.
#[derive(Debug)]
pub struct Latencies {
    /// In microseconds, by [`Verb`]; `None` only if the histogram could not be made.
    by_verb: [Option<Histogram<u64>>; 3],
}

impl Default for Latencies {
    fn default() -> Self {
        Self { by_verb: std::array::from_fn(|_| Histogram::new(3).ok()) }
    }
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, verb: Verb, took: Duration) {
        if let Some(histogram) = &mut self.by_verb[verb as usize] {
            histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    /// How many were added.
    #[must_use]
    pub fn count(&self, verb: Verb) -> u64 {
        self.by_verb[verb as usize].as_ref().map_or(0, Histogram::len)
    }

    /// The time within which this share of the commands ended, in milliseconds.
    #[must_use]
    pub fn quantile_ms(&self, verb: Verb, quantile: f64) -> f64 {
        let micros = self.by_verb[verb as usize].as_ref().map_or(0, |h| h.value_at_quantile(quantile));
        Duration::from_micros(micros).as_secs_f64() * 1_000.0
    }
}
