//! A retry budget for one participant: how many calls may be repetitions, as a pure function of what came back.
//!
//! When a participant fails under load, repetitions make it worse. Each costs a token; every answer earns a tenth, and
//! an answered repetition gets its token back, because it was worth it: so what failed once at the same moment for
//! everybody is repeated at once, and what keeps failing is not. A trickle of tokens comes with time, so that a quiet
//! system can always try again, and compensations may use the last fifth. A refused repetition waits; it is never
//! given up. Time is handed in.

use std::time::Duration;

/// One repetition, in thousandths.
const RETRY: u64 = 1_000;
/// What one answer earns: a tenth of a repetition.
const EARNED: u64 = RETRY / 10;
/// No more than so many repetitions are saved.
const SAVED_MAX: u64 = 100 * RETRY;
/// The last fifth is for what must not be given up: compensations, and steps behind the pivot.
const RESERVED: u64 = SAVED_MAX / 5;

/// Who wants to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A saga that may still give up.
    Usual,
    /// A compensation, or a step behind the pivot.
    Reserved,
}

/// The state of one budget. `now` is always the time since some fixed instant.
#[derive(Clone, Debug)]
pub struct Retries {
    /// One repetition comes free in so long.
    trickle: Duration,
    saved: u64,
    counted_at: Duration,
}

impl Retries {
    /// Full.
    #[must_use]
    pub fn new(trickle: Duration) -> Self {
        Self { trickle, saved: SAVED_MAX, counted_at: Duration::ZERO }
    }

    /// Takes one repetition, if there is one left for such a caller; otherwise says when to ask again.
    ///
    /// # Errors
    /// The time in which the trickle brings one.
    pub fn take(&mut self, now: Duration, urgency: Urgency) -> Result<(), Duration> {
        self.trickle_in(now);
        let kept = match urgency {
            Urgency::Usual => RESERVED,
            Urgency::Reserved => 0,
        };
        let needed = kept.saturating_add(RETRY);
        if self.saved >= needed {
            self.saved -= RETRY;
            return Ok(());
        }
        let missing = u32::try_from((needed - self.saved).div_ceil(RETRY)).unwrap_or(u32::MAX);
        Err(self.trickle.saturating_mul(missing))
    }

    /// A call was answered.
    pub fn answered(&mut self, was_retry: bool) {
        let back = if was_retry { RETRY + EARNED } else { EARNED };
        self.saved = self.saved.saturating_add(back).min(SAVED_MAX);
    }

    /// How many repetitions are left, the reserved ones included.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.saved / RETRY
    }

    fn trickle_in(&mut self, now: Duration) {
        let waited = now.saturating_sub(self.counted_at);
        let thousandth = (self.trickle / u32::try_from(RETRY).unwrap_or(u32::MAX)).as_nanos().max(1);
        let earned = u64::try_from(waited.as_nanos() / thousandth).unwrap_or(u64::MAX);
        self.saved = self.saved.saturating_add(earned).min(SAVED_MAX);
        self.counted_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRICKLE: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn takes(retries: &mut Retries, now: Duration, urgency: Urgency) -> u32 {
        (0..1_000).take_while(|_| retries.take(now, urgency).is_ok()).count() as u32
    }

    #[test]
    fn the_last_fifth_is_for_what_must_not_be_given_up() {
        let mut retries = Retries::new(TRICKLE);
        assert_eq!(takes(&mut retries, at(0), Urgency::Usual), 80);
        assert_eq!(takes(&mut retries, at(0), Urgency::Reserved), 20);
        assert_eq!(retries.take(at(0), Urgency::Reserved), Err(TRICKLE));
    }

    #[test]
    fn a_quiet_system_can_always_try_again() {
        let mut retries = Retries::new(TRICKLE);
        takes(&mut retries, at(0), Urgency::Reserved);
        // (at, how many by then)
        for (ms, expected) in [(99, 0), (200, 2), (1_200, 10), (60_000_000, 100)] {
            assert_eq!(takes(&mut retries, at(ms), Urgency::Reserved), expected, "at {ms} ms");
        }
    }

    #[test]
    fn ten_answers_earn_one_repetition() {
        let mut retries = Retries::new(TRICKLE);
        takes(&mut retries, at(0), Urgency::Reserved);
        for (answers, expected) in [(9, 0), (1, 1), (100, 10), (10_000, 100)] {
            (0..answers).for_each(|_| retries.answered(false));
            assert_eq!(takes(&mut retries, at(0), Urgency::Reserved), expected, "{answers} answers");
        }
    }

    #[test]
    fn an_answered_repetition_costs_nothing_so_what_failed_once_is_repeated_at_once() {
        let mut retries = Retries::new(TRICKLE);
        for number in 0..10_000 {
            assert_eq!(retries.take(at(0), Urgency::Usual), Ok(()), "{number}");
            retries.answered(true);
        }
        assert_eq!(retries.left(), 100);
    }

    #[test]
    fn what_keeps_failing_is_held_back_to_a_tenth_of_the_answers() {
        let mut retries = Retries::new(Duration::from_secs(3_600));
        takes(&mut retries, at(0), Urgency::Usual);
        let mut repeated = 0;
        for _ in 0..1_000 {
            retries.answered(false);
            repeated += u32::from(retries.take(at(0), Urgency::Usual).is_ok());
        }
        assert_eq!(repeated, 100);
    }
}
