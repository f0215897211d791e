//! How far consumers of the outbox are behind, by their logical replication slots.
//!
//! A slot tells up to where its consumer has everything, as a position of the write-ahead log. Which position an event
//! has nobody says; so each look notes the position of the look before it when there were new events: whoever has not
//! got past that lacks some of them. Subscribers without a slot are seen in [`crate::events`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::database;
use crate::metrics::Metrics;
use crate::run::Kit;
use crate::settings::DatabaseSettings;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many looks with news are remembered: a consumer that is further behind is at least so far behind.
const LOOKS_MAX: usize = 17_280;

/// Shows the lag of each consumer until the service ends.
pub(super) fn watch(kit: &Kit) {
    let (settings, metrics, stop) = (kit.settings.clone(), kit.metrics.clone(), kit.shutdown.clone());
    kit.tasks.spawn(async move {
        let (mut connection, mut past) = (None, Past::default());
        while tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_err() {
            match look(&settings.database, &mut connection).await {
                Ok(seen) => past.show(&seen, &metrics),
                Err(error) => tracing::debug!(%error, "cannot see how far consumers of the outbox are"),
            }
        }
    });
}

/// One look at the database.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// The end of the write-ahead log.
    end: i64,
    /// The newest event.
    newest: Option<i64>,
    /// Each consumer, and up to where it has everything.
    consumers: Vec<(String, i64)>,
}

async fn look(settings: &DatabaseSettings, kept: &mut Option<PgConnection>) -> Result<Seen, sqlx::Error> {
    // Its own: the pool may read from a replica, which knows no slots. It is kept only after a good look.
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => database::connect_probe(settings).await?,
    };
    let looking = async {
        let consumers = sqlx::query!(
            r#"SELECT slot_name AS "name!", (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint AS "confirmed!"
               FROM pg_replication_slots
               WHERE slot_type = 'logical' AND database = current_database() AND confirmed_flush_lsn IS NOT NULL"#
        )
        .fetch_all(&mut connection)
        .await?;
        if consumers.is_empty() {
            return Ok::<_, sqlx::Error>(Seen::default());
        }
        let now = sqlx::query!(
            r#"SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS "end!",
                      (SELECT position FROM outbox ORDER BY position DESC LIMIT 1) AS newest"#
        )
        .fetch_one(&mut connection)
        .await?;
        let consumers = consumers.into_iter().map(|row| (row.name, row.confirmed)).collect();
        Ok(Seen { end: now.end, newest: now.newest, consumers })
    };
    let seen = match tokio::time::timeout(INTERVAL, looking).await {
        Ok(seen) => seen?,
        Err(_) => return Err(database::timed_out()),
    };
    *kept = Some(connection);
    Ok(seen)
}

/// What earlier looks saw.
#[derive(Debug, Default)]
struct Past {
    last: Option<(i64, Option<i64>)>,
    /// When there was news, and a position that it lies behind.
    news: VecDeque<(Instant, i64)>,
    shown: Vec<String>,
}

impl Past {
    fn show(&mut self, seen: &Seen, metrics: &Metrics) {
        let lags = self.lags(seen, Instant::now());
        // A consumer whose slot is gone is not behind any more.
        for gone in self.shown.iter().filter(|name| !lags.iter().any(|(known, ..)| known == *name)) {
            metrics.no_outbox_lag(gone);
            let _ = metrics.kit.outbox_lag_bytes.remove_label_values(&[gone]);
        }
        self.shown = lags.iter().map(|(name, ..)| name.clone()).collect();
        for (name, seconds, bytes) in lags {
            metrics.outbox_lag(&name, seconds);
            metrics.kit.outbox_lag_bytes.with_label_values(&[name.as_str()]).set(bytes);
        }
    }

    /// Each consumer's lag in seconds and in bytes.
    fn lags(&mut self, seen: &Seen, now: Instant) -> Vec<(String, i64, i64)> {
        match self.last {
            Some((end, newest)) if newest != seen.newest => self.news.push_back((now, end)),
            Some(_) | None => {}
        }
        self.last = (!seen.consumers.is_empty()).then_some((seen.end, seen.newest));
        let slowest = seen.consumers.iter().map(|(_, confirmed)| *confirmed).min().unwrap_or(i64::MAX);
        while self.news.front().is_some_and(|(_, behind)| *behind < slowest) || self.news.len() > LOOKS_MAX {
            self.news.pop_front();
        }
        let lag = |(name, confirmed): &(String, i64)| {
            let oldest = self.news.iter().find(|(_, behind)| confirmed <= behind);
            let seconds = oldest.map_or(0, |(at, _)| now.saturating_duration_since(*at).as_secs());
            // Seen for the first time just now: something is missing, for less than a second perhaps.
            let seconds = if oldest.is_some() { seconds.max(1) } else { 0 };
            (name.clone(), i64::try_from(seconds).unwrap_or(i64::MAX), (seen.end - confirmed).max(0))
        };
        seen.consumers.iter().map(lag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_behind_from_the_first_event_that_it_lacks() {
        let (mut past, begun) = (Past::default(), Instant::now());
        let mut seconds = |after: u64, end: i64, newest: i64, confirmed: i64| {
            let seen =
                Seen { end, newest: Some(newest), consumers: vec![("debezium".to_owned(), confirmed)] };
            past.lags(&seen, begun + Duration::from_secs(after))[0].1
        };
        assert_eq!(seconds(0, 100, 1, 50), 0, "what was there before the first look is not known");
        assert_eq!(seconds(5, 200, 2, 100), 1, "an event behind 100, and the consumer is at 100");
        assert_eq!(seconds(10, 200, 2, 100), 5);
        assert_eq!(seconds(15, 300, 3, 150), 1, "it has the first and lacks the second");
        assert_eq!(seconds(20, 400, 3, 250), 0, "the log grows without events");
        assert_eq!(seconds(60, 900, 3, 250), 0);
    }
}
