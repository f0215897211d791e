//! How long, how often, how soon again: numbers, all scaled by one factor.
//!
//! Correctness needs none of them.

use std::time::Duration;

/// The numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// One attempt may take this long.
    pub attempt: Duration,
    /// A stage before or at the pivot is asked for this long.
    pub budget: Duration,
    /// The first pause after a failure is at most this.
    pub backoff_first: Duration,
    /// No pause is longer before the pivot has run.
    pub backoff_max_before_pivot: Duration,
    /// No pause is longer after it, or while undoing.
    pub backoff_max_after_pivot: Duration,
    /// The first pause after *not now* is at most this.
    pub poll_first: Duration,
    /// No pause after *not now* is longer.
    pub poll_max: Duration,
    /// So many failures park a saga that can no longer give up.
    pub park_failures: u32,
    /// So long without success parks it too.
    pub park_after: Duration,
    /// A parked saga is tried again so often.
    pub parked_retry: Duration,
    /// An attempt is void so long after it was stamped.
    pub void_after: Duration,
    /// An owner without a heartbeat for so long has lost its sagas.
    pub lease: Duration,
    /// Owners beat, and look for sagas without a driver, so often.
    pub recovery: Duration,
    /// Sagas that this database has lost are looked for so often, among steps that are at least as old.
    pub anti_entropy: Duration,
    /// A participant's breaker looks at the calls of so long.
    pub breaker_window: Duration,
    /// While it is open, one call in so long finds out whether it may close.
    pub breaker_probe: Duration,
    /// One repetition comes free in so long, whatever became of those before.
    pub retry_trickle: Duration,
    /// Whether pauses are random (full jitter) or always the longest.
    pub jitter: bool,
}

impl Pace {
    /// The initial values, each multiplied by `scale`.
    #[must_use]
    pub fn scaled(scale: f64) -> Self {
        let millis = |ms: u64| Duration::from_millis(ms).mul_f64(scale.max(0.001));
        Self {
            attempt: millis(500),
            budget: millis(3_000),
            backoff_first: millis(10),
            backoff_max_before_pivot: millis(2_000),
            backoff_max_after_pivot: millis(30_000),
            poll_first: millis(2),
            poll_max: millis(250),
            park_failures: 50,
            park_after: millis(15 * 60_000),
            parked_retry: millis(5 * 60_000),
            void_after: millis(60_000),
            lease: millis(5_000),
            recovery: millis(1_000),
            anti_entropy: millis(60_000),
            breaker_window: millis(5_000),
            breaker_probe: millis(1_000),
            retry_trickle: millis(100),
            jitter: true,
        }
    }

    /// The pause after the `failures`-th failure in a row.
    #[must_use]
    pub fn backoff(&self, failures: u32, may_still_give_up: bool) -> Duration {
        let most =
            if may_still_give_up { self.backoff_max_before_pivot } else { self.backoff_max_after_pivot };
        self.jittered(doubled(self.backoff_first, failures.saturating_sub(1), most))
    }

    /// The pause after the `polls`-th *not now* in a row.
    #[must_use]
    pub fn poll(&self, polls: u32) -> Duration {
        self.jittered(doubled(self.poll_first, polls.saturating_sub(1), self.poll_max))
    }

    /// The pause until the next look for sagas without a driver.
    #[must_use]
    pub fn until_next_recovery(&self) -> Duration {
        if self.jitter { self.recovery.mul_f64(0.75 + fastrand::f64() / 2.0) } else { self.recovery }
    }

    fn jittered(&self, most: Duration) -> Duration {
        if self.jitter { most.mul_f64(fastrand::f64()) } else { most }
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(30))).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let pace = Pace { jitter: false, ..Pace::scaled(1.0) };
        let millis = |failures| pace.backoff(failures, true).as_millis();
        assert_eq!([millis(1), millis(2), millis(3), millis(9), millis(60)], [10, 20, 40, 2_000, 2_000]);
        assert_eq!(pace.backoff(60, false).as_millis(), 30_000);
        assert_eq!(
            [pace.poll(1).as_millis(), pace.poll(4).as_millis(), pace.poll(40).as_millis()],
            [2, 16, 250]
        );
    }

    #[test]
    fn one_factor_scales_every_time() {
        let (whole, tenth) = (Pace::scaled(1.0), Pace::scaled(0.1));
        assert_eq!(tenth.budget * 10, whole.budget);
        assert_eq!(tenth.lease * 10, whole.lease);
        assert_eq!(tenth.parked_retry * 10, whole.parked_retry);
    }

    #[test]
    fn budget_is_shorter_than_lease_and_lease_than_void() {
        let pace = Pace::scaled(1.0);
        assert!(pace.attempt < pace.budget && pace.budget < pace.lease && pace.lease < pace.void_after);
    }
}
