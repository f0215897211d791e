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
            // The histogram grows as needed; it refuses only what no u64 of microseconds can be.
            let _ = histogram.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_shows_in_the_tail_only() {
        let mut latencies = Latencies::default();
        for ms in [2, 2, 2, 900] {
            latencies.record(Verb::Cancel, Duration::from_millis(ms));
        }
        assert_eq!(latencies.count(Verb::Cancel), 4);
        assert_eq!(latencies.count(Verb::Match), 0);
        assert!((latencies.quantile_ms(Verb::Cancel, 0.5) - 2.0).abs() < 0.1);
        assert!((latencies.quantile_ms(Verb::Cancel, 1.0) - 900.0).abs() < 1.0);
    }
}
