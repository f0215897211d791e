//! How far back the inbox remembers. A step of an older saga may have been done and forgotten: it is refused.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// Refused this much before it is forgotten, so that an attempt under way cannot outlive its month.
const MARGIN: TimeDelta = TimeDelta::days(1);

/// What the inbox remembers. Nothing is forgotten unless settings say so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// After so many days of a saga's own age; `None`: never.
    pub days: Option<u32>,
}

impl Memory {
    /// Whether everything that was ever decided about this saga is still known. `now` is the clock of the database,
    /// which forgets by it.
    pub fn reaches(self, saga_id: Uuid, now: DateTime<Utc>) -> bool {
        self.days.is_none_or(|days| is_known(saga_id, days, now))
    }
}

/// A number that does not begin with its time is never forgotten.
fn is_known(saga_id: Uuid, days: u32, now: DateTime<Utc>) -> bool {
    if saga_id.get_version_num() != 7 {
        return true;
    }
    let Some((seconds, _)) = saga_id.get_timestamp().map(|made| made.to_unix()) else { return true };
    let oldest = now - TimeDelta::days(days.into()) + MARGIN;
    i64::try_from(seconds).is_ok_and(|made| made >= oldest.timestamp())
}

#[cfg(test)]
mod tests {
    use uuid::{NoContext, Timestamp};

    use super::*;

    #[test]
    fn a_saga_is_known_until_a_day_before_it_may_be_forgotten() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let made = |age: TimeDelta| {
            let seconds = u64::try_from((now - age).timestamp()).unwrap_or_default();
            Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0))
        };
        let second = TimeDelta::seconds(1);
        for (age, known) in [
            (TimeDelta::zero(), true),
            (-TimeDelta::days(400), true),
            (TimeDelta::days(29), true),
            (TimeDelta::days(29) + second, false),
            (TimeDelta::days(400), false),
        ] {
            assert_eq!(is_known(made(age), 30, now), known, "{age}");
        }
        assert!(is_known(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"a deposit"), 30, now));
    }
}
