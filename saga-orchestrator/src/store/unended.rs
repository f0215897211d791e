//! How many sagas have not ended, in the whole database: the numbers that hold when no orchestrator is well.

use service_kit::fault::Fault;
use service_kit::run::Look;

use super::Store;
use crate::engine::decide::Status;
use crate::sagas::Kind;
use crate::shell::Meters;

/// What a saga is that has not ended, and in a word.
const OPEN: [(Status, &str); 3] =
    [(Status::Running, "RUNNING"), (Status::Compensating, "COMPENSATING"), (Status::Parked, "PARKED")];

/// Counts them.
pub struct Unended {
    /// The orchestrator's database.
    pub store: Store,
    /// Where the numbers are shown.
    pub meters: Meters,
}

/// Sagas of one kind and status.
struct Group {
    kind: String,
    status: i16,
    count: i64,
    oldest_seconds: i64,
}

impl Store {
    async fn unended(&self) -> Result<Vec<Group>, Fault> {
        let read = |pool| async move {
            let groups = sqlx::query_as!(
                Group,
                r#"SELECT kind, status, count(*) AS "count!",
                          extract(epoch FROM clock_timestamp() - min(created_at))::bigint AS "oldest_seconds!"
                   FROM sagas WHERE ended_at IS NULL GROUP BY kind, status"#
            );
            Ok(groups.fetch_all(&pool).await?)
        };
        self.reads.run("count sagas that have not ended", read).await
    }
}

impl Look for Unended {
    async fn look(&mut self) -> Result<(), Fault> {
        let groups = self.store.unended().await?;
        for kind in Kind::ALL {
            let kind = kind.as_str();
            let of_kind = || groups.iter().filter(move |group| group.kind == kind);
            for (status, word) in OPEN {
                let count = of_kind().filter(|group| group.status == status.code()).map(|group| group.count);
                self.meters.unended.with_label_values(&[kind, word]).set(count.sum());
            }
            let oldest = of_kind().map(|group| group.oldest_seconds).max().unwrap_or_default();
            self.meters.unended_oldest.with_label_values(&[kind]).set(oldest);
        }
        Ok(())
    }
}
