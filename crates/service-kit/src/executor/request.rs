//! What is asked of a batch and what is answered, one command at a time.

use brokerage_types::Reason;
use chrono::{DateTime, Utc};

use super::books::{At, Command, Wish};
use super::inbox::{Inbox, Key, Row};
use super::rule::{self, Asked, Due, Standing, Stored, Verdict};
use crate::defect;
use crate::telemetry::TraceParent;

/// Do a step, or undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Do,
    Compensate(Reason),
}

/// What a handler submits.
pub(super) struct Request<C> {
    pub key: Key,
    pub epoch: i64,
    pub not_after: Option<DateTime<Utc>>,
    pub operation: Operation,
    pub command: C,
    pub hash: Vec<u8>,
    pub intent: Option<Vec<u8>>,
    pub trace: Option<TraceParent>,
}

/// What is known afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Done {
        answer: Vec<u8>,
        replayed: bool,
    },
    Rejected {
        reason: Reason,
        message: String,
        replayed: bool,
    },
    Tombstone {
        reason: Reason,
    },
    /// To undo: nothing of it remains, and it can never run. Why is what its row says, and that never changes.
    Undone {
        reason: Reason,
        replayed: bool,
    },
    Refused,
    Expired,
    StaleEpoch {
        highest: i64,
    },
    Mismatch,
    /// Not decided as far as is known, but what was decided about so old a saga may be forgotten.
    TooOld,
}

impl Reply {
    /// For telemetry: the verdict in a word, its reason, and whether it was known before.
    pub fn told(&self) -> (&'static str, Option<Reason>, bool) {
        match self {
            Reply::Done { replayed, .. } => ("DONE", None, *replayed),
            Reply::Rejected { reason, replayed, .. } => ("REJECTED", Some(*reason), *replayed),
            Reply::Tombstone { reason } => ("TOMBSTONE", Some(*reason), true),
            Reply::Undone { reason, replayed } => ("DONE", Some(*reason), *replayed),
            Reply::Refused => ("REFUSED", None, true),
            Reply::Expired => ("EXPIRED", None, false),
            Reply::StaleEpoch { .. } => ("STALE_EPOCH", None, false),
            Reply::Mismatch => ("MISMATCH", None, true),
            Reply::TooOld => ("TOO_OLD", None, false),
        }
    }
}

/// A reply with the database's time.
#[derive(Debug)]
pub(super) struct Decided {
    pub reply: Reply,
    pub database_time: DateTime<Utc>,
}

impl<C: Command> Request<C> {
    /// What the books shall do.
    pub fn wish(&self) -> Wish<'_, C> {
        Wish { command: &self.command, is_undo: matches!(self.operation, Operation::Compensate(_)) }
    }

    /// What the rule of the inbox says about it.
    pub fn due(&self, inbox: &Inbox) -> Due {
        let stored = inbox.row(self.key).map(|row| Stored {
            verdict: row.verdict,
            same_command: row.hash == self.hash || defect::is_seeded("request_hash_ignored"),
        });
        let asked = Asked {
            operation: match self.operation {
                Operation::Do => rule::Operation::Do,
                Operation::Compensate(_) => rule::Operation::Compensate,
            },
            is_pivot: self.command.is_pivot(),
            epoch: self.epoch,
            is_void: self.not_after.is_some_and(|not_after| not_after < inbox.now),
        };
        rule::due(stored, &asked, inbox.highest_epoch(self.key.saga_id))
    }

    /// An answer that stands, with what its row remembers.
    pub fn answer(&self, inbox: &Inbox, standing: Standing) -> Reply {
        let row = inbox.row(self.key);
        let reason = row.and_then(|row| row.reason).unwrap_or(Reason::GaveUp);
        match standing {
            Standing::Done => {
                let answer = row.map(|row| row.answer.clone()).unwrap_or_default();
                Reply::Done { answer, replayed: true }
            }
            Standing::Undone => {
                let asked = self.reason();
                let is_told = !defect::is_seeded("stored_reason_untold");
                Reply::Undone { reason: if is_told { reason } else { asked }, replayed: true }
            }
            Standing::Rejected => {
                let message = row.map(|row| row.detail.clone()).unwrap_or_default();
                Reply::Rejected { reason, message, replayed: true }
            }
            Standing::Tombstone => Reply::Tombstone { reason },
            Standing::Refused => Reply::Refused,
            Standing::Expired => Reply::Expired,
            Standing::StaleEpoch(highest) => Reply::StaleEpoch { highest },
            Standing::Mismatch => Reply::Mismatch,
        }
    }

    /// Why it is undone.
    pub fn reason(&self) -> Reason {
        match self.operation {
            Operation::Do => Reason::GaveUp,
            Operation::Compensate(reason) => reason,
        }
    }

    pub fn at(&self, inbox: &Inbox) -> At {
        At { saga_id: self.key.saga_id, step: self.key.step, now: inbox.now }
    }

    pub fn row(&self, verdict: Verdict) -> Row {
        Row {
            verdict,
            reason: None,
            detail: String::new(),
            hash: self.hash.clone(),
            epoch: self.epoch,
            command: self.command.name(),
            effect: serde_json::Value::Null,
            answer: Vec::new(),
            intent: None,
            // Only where it leads somewhere.
            trace: self.trace.filter(|trace| trace.is_sampled()),
        }
    }
}
