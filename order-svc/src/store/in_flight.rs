//! Which matches are in flight, and for how long: reserved, and neither applied nor released.
//!
//! There is no index for it, because it would cost every match. Match ids grow with time, so each look reads the matches
//! that are new since the last one, and again those of them that were in flight. A process that has just started reads
//! the table once, in parts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::IntGaugeVec;
use service_kit::database::Reads;
use service_kit::fault::Fault;
use service_kit::metrics::Metrics;
use service_kit::names::metric;
use service_kit::run::Look;
use uuid::{NoContext, Timestamp, Uuid};

/// Matches that one look takes.
const BATCH: i64 = 20_000;
/// A match may be reserved so long after its id was made, and is still seen.
const LATE: Duration = Duration::from_secs(60);
/// Those that are in flight for long are followed, up to so many.
const FOLLOWED_MAX: usize = 10_000;
const NO_LABELS: &[&str] = &[];

/// What is in flight as of the last look.
pub struct InFlight {
    reads: Reads,
    count: IntGaugeVec,
    oldest: IntGaugeVec,
    /// Everything up to here has been read.
    after: Uuid,
    followed: Vec<Uuid>,
}

struct Part {
    last: Option<Uuid>,
    size: i64,
    followed: Vec<Uuid>,
    oldest: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl InFlight {
    /// Nothing yet.
    ///
    /// # Errors
    /// When called twice for one service: the metrics exist already.
    pub fn new(reads: Reads, metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            reads,
            count: metrics.gauge(&metric::MATCHES_IN_FLIGHT)?,
            oldest: metrics.gauge(&metric::MATCHES_IN_FLIGHT_OLDEST)?,
            after: Uuid::nil(),
            followed: Vec::new(),
        })
    }

    async fn next(&self) -> Result<Part, Fault> {
        let (after, followed) = (self.after, self.followed.clone());
        let read = move |pool| async move {
            let part = sqlx::query_as!(
                Part,
                r#"WITH part AS (
                       SELECT trade_id, state, created_at FROM matches WHERE trade_id > $1 ORDER BY trade_id LIMIT $2
                   ), reserved AS (
                       SELECT trade_id, created_at FROM part WHERE state = 'RESERVED'
                       UNION
                       SELECT trade_id, created_at FROM matches WHERE trade_id = ANY($3) AND state = 'RESERVED'
                   )
                   SELECT (SELECT trade_id FROM part ORDER BY trade_id DESC LIMIT 1) AS last,
                          (SELECT count(*) FROM part) AS "size!",
                          ARRAY(SELECT trade_id FROM reserved ORDER BY trade_id) AS "followed!",
                          (SELECT min(created_at) FROM reserved) AS oldest,
                          clock_timestamp() AS "now!""#,
                after,
                BATCH,
                &followed
            );
            Ok(part.fetch_one(&pool).await?)
        };
        self.reads.run("look for matches in flight", read).await
    }
}

impl Look for InFlight {
    async fn look(&mut self) -> Result<(), Fault> {
        let part = self.next().await?;
        let count = i64::try_from(part.followed.len()).unwrap_or(i64::MAX);
        let age = part.oldest.map_or(0, |oldest| (part.now - oldest).num_seconds().max(0));
        self.count.with_label_values(NO_LABELS).set(count);
        self.oldest.with_label_values(NO_LABELS).set(age);
        self.followed = part.followed;
        self.followed.truncate(FOLLOWED_MAX);
        // Up to date: those that are late are read again.
        self.after = if part.size < BATCH { just_before(part.now) } else { part.last.unwrap_or(self.after) };
        Ok(())
    }
}

/// No id that is made later than so long before this moment is smaller.
fn just_before(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default().saturating_sub(LATE.as_secs());
    let made = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0));
    // Keeps the time, and nothing of what makes the id unique.
    Uuid::from_u128(made.as_u128() & !((1 << 80) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_last_minute_are_behind_the_mark() {
        let mark = just_before(Utc::now());
        assert!(mark < Uuid::now_v7());
        let older = Timestamp::from_unix(NoContext, u64::try_from(Utc::now().timestamp()).unwrap() - 120, 0);
        assert!(Uuid::new_v7(older) < mark);
    }
}
