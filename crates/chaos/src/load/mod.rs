//! The load: clients that use the public API and remember every answer.
//!
//! Every client has two customers of its own, a buyer and a seller, and does one thing at a time. So it knows what
//! each of its orders must be at any time, whatever breaks meanwhile; see `book`. A command whose outcome is not
//! known is asked again, under the same request id, until it is answered.

mod book;
mod check;
mod client;
mod command;
mod crowd;

use std::collections::BTreeMap;
use std::time::Duration;

pub use book::{Book, Expected};
pub use check::check;
pub use command::{Command, Verdict, ask, is_final, one_share};
pub use crowd::{Crowd, CrowdPlan};

/// One command of a client, and what it was told.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was asked.
    pub command: Command,
    /// What came back, for good; `None`: nothing, however often it was asked.
    pub verdict: Option<Verdict>,
    /// How many calls gave no answer.
    pub unknown: u64,
    /// From the first call to the answer.
    pub took: Duration,
}

/// The duration that 99 of 100 commands did not exceed; nothing if there were none.
#[must_use]
pub fn p99(histories: &[History]) -> Duration {
    let entries = histories.iter().flat_map(|history| &history.entries);
    let mut took: Vec<Duration> = entries.map(|entry| entry.took).collect();
    took.sort_unstable();
    took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
}

/// Everything one client did, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Whose, in words.
    pub client: String,
    /// What it did.
    pub entries: Vec<Entry>,
    /// What came instead of answers, by gRPC code.
    pub troubles: BTreeMap<String, u64>,
    /// Answers that contradict what was answered before.
    pub surprises: Vec<String>,
}
