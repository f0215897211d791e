//! What one measurement yields, and the median of several.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies in microseconds, up to a minute, three digits exact.
pub fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("make a histogram")
}

/// One measurement.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// Sagas a second.
    pub rate: f64,
    /// Median latency, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// 99.9th percentile, in milliseconds.
    pub p999_ms: f64,
    /// Commands that were refused or got no answer.
    pub errors: u64,
    /// CPU microseconds a saga, by whom.
    pub cpu_us: BTreeMap<String, f64>,
}

impl Sample {
    /// From every latency of a window.
    pub fn of(latencies: &Histogram<u64>, window: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a printed figure needs no more than 52 bits")]
        let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let count = latencies.len() as f64;
        Self {
            rate: count / window.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            errors: 0,
            cpu_us: BTreeMap::new(),
        }
    }

    /// The median of each figure; all the errors.
    pub fn median(samples: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(samples.iter().map(figure).collect());
        let names = samples.iter().flat_map(|sample| sample.cpu_us.keys().cloned());
        let cpu = |name: &String| {
            median(
                samples.iter().map(|sample| sample.cpu_us.get(name).copied().unwrap_or_default()).collect(),
            )
        };
        Self {
            rate: of(|s| s.rate),
            p50_ms: of(|s| s.p50_ms),
            p99_ms: of(|s| s.p99_ms),
            p999_ms: of(|s| s.p999_ms),
            errors: samples.iter().map(|sample| sample.errors).sum(),
            cpu_us: names.map(|name| (name.clone(), cpu(&name))).collect(),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", self.rate, self.p50_ms, self.p99_ms)
    }
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        n if n % 2 == 1 => figures[n / 2],
        n => f64::midpoint(figures[n / 2 - 1], figures[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_each_figure() {
        for (figures, expected) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 2.0], 3.0)]
        {
            assert!((median(figures.clone()) - expected).abs() < 1e-9, "{figures:?}");
        }
    }

    #[test]
    fn a_sample_counts_what_ended_within_its_window() -> Result<()> {
        let mut latencies = histogram()?;
        for _ in 0..200 {
            latencies.record(2_000)?;
        }
        let sample = Sample::of(&latencies, Duration::from_secs(2));
        assert!((sample.rate - 100.0).abs() < 1e-9);
        assert!((sample.p50_ms - 2.0).abs() < 0.01);
        Ok(())
    }
}
