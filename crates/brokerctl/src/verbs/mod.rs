//! The client's commands. Each calls the public API once (lists: once a page) and prints the answer.

mod actions;
pub mod asset;
pub mod directory;
pub mod events;
pub mod order;
pub mod saga;
mod why;

use uuid::Uuid;

/// The id that makes repeating a command harmless.
#[derive(Clone, Debug, clap::Args)]
pub struct RequestId {
    /// Repeat an earlier command under its id to learn its outcome. Default: a new id.
    #[arg(long)]
    request_id: Option<String>,
}

impl RequestId {
    /// The given id, or a new one.
    #[must_use]
    pub fn get(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string())
    }
}

/// How much of a list is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limit {
    /// Print at most this many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// The most that one page may hold.
const PAGE_SIZE_MAX: usize = 500;

impl Limit {
    /// The size of the next page when `have` were read already.
    fn page_size(self, have: usize) -> i32 {
        i32::try_from(self.limit.saturating_sub(have).min(PAGE_SIZE_MAX)).unwrap_or(i32::MAX)
    }

    /// Whether another page is wanted.
    fn wants_more(self, have: usize, next_page_token: &str) -> bool {
        have < self.limit && !next_page_token.is_empty()
    }
}
