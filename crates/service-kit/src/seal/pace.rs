//! When a sealer works again.

use std::time::Duration;

use super::Round;

/// So many rows are sealed together when rows come steadily: enough to share a round's fixed costs, and few enough
/// that writers hardly notice the round.
const ROWS_AIMED_AT: u32 = 200;
/// Rounds follow each other at most so many times faster than when nothing comes.
const TIMES_FASTER_MAX: u32 = 10;

/// How long to wait after a round that began `apart` after the one before it and took `took`.
///
/// Rows are sealed within `interval`. Where many come, rounds come sooner and are smaller: one round a second that
/// seals everything takes a core from the writers for as long as that takes, and their callers see it. Never more than
/// half of the time is spent, so that writers have the other half. `None`: the round failed.
pub(super) fn pause(interval: Duration, round: Option<Round>, apart: Duration, took: Duration) -> Duration {
    let at_least = took.min(interval);
    match round {
        Some(Round::Full) => at_least,
        Some(Round::Sealed(rows)) => {
            let rows = u32::try_from(rows).unwrap_or(u32::MAX).max(1);
            let due = apart.saturating_mul(ROWS_AIMED_AT) / rows;
            due.clamp(interval / TIMES_FASTER_MAX, interval).saturating_sub(took).max(at_least)
        }
        Some(Round::Busy) | None => interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn rounds_come_sooner_where_more_is_written() {
        for (rows, apart, expected) in [
            (0, SECOND, SECOND),
            (200, SECOND, SECOND),
            (400, SECOND, ms(500)),
            (200, ms(500), ms(500)),
            (200, ms(200), ms(200)),
            (400, ms(200), ms(100)),
            (499, ms(100), ms(100)),
            (50, ms(100), ms(400)),
            (0, ms(100), SECOND),
        ] {
            let next = pause(SECOND, Some(Round::Sealed(rows)), apart, Duration::ZERO);
            assert_eq!(next, expected, "{rows} rows, {apart:?} apart");
        }
    }

    #[test]
    fn a_round_is_part_of_its_time() {
        assert_eq!(pause(SECOND, Some(Round::Sealed(400)), SECOND, ms(20)), ms(480));
    }

    #[test]
    fn writers_have_half_of_the_time() {
        assert_eq!(pause(SECOND, Some(Round::Sealed(400)), SECOND, ms(700)), ms(700));
        assert_eq!(pause(SECOND, Some(Round::Sealed(400)), SECOND, SECOND * 9), SECOND);
        assert_eq!(pause(SECOND, Some(Round::Full), ms(40), ms(20)), ms(20));
        assert_eq!(pause(SECOND, Some(Round::Full), ms(40), SECOND * 9), SECOND);
    }

    #[test]
    fn who_could_not_seal_waits() {
        assert_eq!(pause(SECOND, Some(Round::Busy), ms(40), ms(20)), SECOND);
        assert_eq!(pause(SECOND, None, ms(40), ms(20)), SECOND);
    }
}
