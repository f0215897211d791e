//! The trail of a saga: what its driver noted, where it stands, and the terminal mark.
//!
//! Terminal marks are durable; a batch without one commits asynchronously. Losing the rest costs replays.

use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::lane::{LaneError, Way, Work};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::decide::Status;

/// One attempt of one step, as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the saga.
    pub step: u32,
    /// Whether it was a compensation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// Counts the attempts of this step in this direction.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// What came back, in one word.
    pub reply: String,
    /// Why, if it said so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

// Nearly every step is done at its first attempt: what says only that is not stored.

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

/// Some of a saga's trail.
#[derive(Clone, Debug)]
pub struct TrailItem {
    /// Which saga.
    pub saga_id: SagaId,
    /// Whose saga it is, if that matters: that it has not ended is said only by who still has it.
    pub owner: Option<Uuid>,
    /// Under which epoch the driver started.
    pub epoch: i64,
    /// Counts this driver's items.
    pub seq: i32,
    /// What was noted since the last item.
    pub entries: Vec<Entry>,
    /// Where the saga stands now, if that has changed.
    pub mark: Option<Mark>,
}

/// Where a saga stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// All effects are in place.
    Completed,
    /// No effect remains: why, and at which step.
    RolledBack(Reason, Option<String>),
    /// It has not ended: a hint for operators.
    Stands {
        /// Running, compensating or parked.
        status: Status,
        /// Why it is given up or parked.
        reason: Option<Reason>,
        /// What went wrong last.
        detail: Option<String>,
    },
}

impl Mark {
    fn has_ended(&self) -> bool {
        match self {
            Mark::Completed | Mark::RolledBack(..) => true,
            Mark::Stands { .. } => false,
        }
    }
}

pub(super) struct Trail;

impl Work for Trail {
    type Item = TrailItem;
    type Answer = ();
    /// Callers are answered before: the fewer transactions, the more of the machine is theirs.
    const GATHERS: Duration = Duration::from_millis(20);

    /// That sagas are completed, and what was noted of them, as nearly always. It is not looked whether that stands there
    /// already: it does after a commit that nobody heard of, and then the statement fails and is run again.
    fn way(&self, items: &[TrailItem], tried: u32) -> Way {
        let is_usual = |item: &TrailItem| matches!(item.mark, None | Some(Mark::Completed));
        let is_one = items.iter().all(is_usual) && items.iter().any(|item| item.mark.is_some());
        if is_one && tried == 0 { Way::Statements } else { Way::Transaction }
    }

    async fn run(&self, tx: &mut PgConnection, items: &[TrailItem], way: Way) -> Result<Vec<()>, LaneError> {
        if !items.iter().any(|item| item.mark.as_ref().is_some_and(Mark::has_ended)) {
            sqlx::raw_sql("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
        }
        let standings: Vec<Standing> = items.iter().filter_map(Standing::of).collect();
        mark_standings(tx, &standings, false).await?;
        let completed: Vec<Uuid> = items
            .iter()
            .filter(|item| item.mark == Some(Mark::Completed))
            .map(|item| item.saga_id.uuid())
            .collect();
        complete_and_note(tx, &completed, items, way).await?;
        mark_standings(tx, &standings, true).await?;
        Ok(vec![(); items.len()])
    }
}

struct Standing {
    saga_id: Uuid,
    owner: Option<Uuid>,
    status: Status,
    reason: Option<Reason>,
    detail: Option<String>,
}

impl Standing {
    fn of(item: &TrailItem) -> Option<Self> {
        let (saga_id, owner) = (item.saga_id.uuid(), item.owner);
        match item.mark.as_ref()? {
            Mark::Completed => None,
            Mark::RolledBack(reason, step) => {
                let (reason, detail) = (Some(*reason), step.clone());
                Some(Self { saga_id, owner, status: Status::RolledBack, reason, detail })
            }
            Mark::Stands { status, reason, detail } => {
                Some(Self { saga_id, owner, status: *status, reason: *reason, detail: detail.clone() })
            }
        }
    }
}

/// Writes the marks of sagas that have ended, or of those that have not. Of several for one saga the last counts.
async fn mark_standings(tx: &mut PgConnection, all: &[Standing], ended: bool) -> Result<(), LaneError> {
    let mut last: std::collections::BTreeMap<Uuid, &Standing> = std::collections::BTreeMap::new();
    for standing in all.iter().filter(|standing| standing.status.has_ended() == ended) {
        last.insert(standing.saga_id, standing);
    }
    if last.is_empty() {
        return Ok(());
    }
    let saga_ids: Vec<Uuid> = last.keys().copied().collect();
    let statuses: Vec<i16> = last.values().map(|standing| standing.status.code()).collect();
    let reasons: Vec<Option<String>> =
        last.values().map(|standing| standing.reason.map(|reason| reason.as_str().to_owned())).collect();
    let details: Vec<Option<String>> = last.values().map(|standing| standing.detail.clone()).collect();
    // That a saga has ended is true whoever says so.
    let owners: Vec<Option<Uuid>> = last.values().map(|standing| standing.owner.filter(|_| !ended)).collect();
    // `ended_at IS NULL` in other words: with these, a plan from when the table was empty would go through all sagas that
    // have not ended. By `= ANY` it would go through all marks for each saga.
    sqlx::query!(
        "UPDATE sagas s SET status = i.status, reason = i.reason, detail = i.detail, updated_at = clock_timestamp(),
                            ended_at = CASE WHEN $5 THEN clock_timestamp() END
         FROM (SELECT unnest($1::uuid[]) AS saga_id, unnest($2::int2[]) AS status, unnest($3::text[]) AS reason,
                      unnest($4::text[]) AS detail, unnest($6::uuid[]) AS owner) AS i
         WHERE s.saga_id = i.saga_id AND s.status NOT IN (3, 4)
               AND s.owner = coalesce(i.owner, s.owner)",
        &saga_ids,
        &statuses,
        &reasons as &[Option<String>],
        &details as &[Option<String>],
        ended,
        &owners as &[Option<Uuid>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The two writes that nearly every saga has, in one statement: that it is completed, and what its driver noted.
async fn complete_and_note(
    tx: &mut PgConnection,
    completed: &[Uuid],
    items: &[TrailItem],
    way: Way,
) -> Result<(), LaneError> {
    let noted: Vec<&TrailItem> = items.iter().filter(|item| !item.entries.is_empty()).collect();
    if noted.is_empty() && completed.is_empty() {
        return Ok(());
    }
    let saga_ids: Vec<Uuid> = noted.iter().map(|item| item.saga_id.uuid()).collect();
    let epochs: Vec<i64> = noted.iter().map(|item| item.epoch).collect();
    let seqs: Vec<i32> = noted.iter().map(|item| item.seq).collect();
    let mut entries = Vec::with_capacity(noted.len());
    for item in &noted {
        let text =
            serde_json::to_string(&item.entries).map_err(|error| LaneError::Fault(error.to_string()))?;
        entries.push(text);
    }
    macro_rules! complete_and_note {
        ($conflict:literal) => {
            sqlx::query!(
                "WITH noted AS (
                     INSERT INTO saga_log (saga_id, epoch, seq, entries)
                     SELECT unnest($2::uuid[]), unnest($3::int8[]), unnest($4::int4[]), unnest($5::text[])::jsonb "
                    + $conflict
                    + ")
                 UPDATE sagas SET status = 3, reason = NULL, detail = NULL, updated_at = clock_timestamp(),
                                  ended_at = clock_timestamp()
                 WHERE saga_id = ANY($1) AND ended_at IS NULL",
                completed,
                &saga_ids,
                &epochs,
                &seqs,
                &entries,
            )
            .execute(tx)
            .await
        };
    }
    match way {
        Way::Statements => complete_and_note!(""),
        Way::Transaction => complete_and_note!("ON CONFLICT DO NOTHING"),
    }?;
    Ok(())
}
