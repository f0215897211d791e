//! Tamper evidence: rows of an append-only table get a gap-free number and the hash of everything before them.
//!
//! `hash = SHA-256(prev_hash ‖ canonical content)`, where the first `prev_hash` is 32 zero bytes. Whoever edits,
//! deletes, inserts or reorders a sealed row breaks the chain from there on; whoever cuts its tail leaves the head in
//! `seal_heads` behind; and whoever computes the whole chain anew contradicts every head that was written down
//! elsewhere. Hashes have no key, so only a head that is kept elsewhere proves anything against a superuser.
//!
//! Sealing is off the write path. Writers insert rows with no number. Once a second, or up to ten times a second where
//! many rows come, one sealer per chain, the one that holds the head's row lock, takes the rows that are visible and
//! have no number yet, and gives them the next ones. A transaction that commits later than its neighbours gets later
//! numbers; nothing is skipped, because rows are found by having no number, and not by a position.
//!
//! A table joins with three steps:
//! - its migration gives it nullable columns `book_seq bigint`, `prev_hash bytea` and `hash bytea`; a unique index on
//!   `book_seq` where that is not null; an index on its time where `book_seq` is null; the trigger `sealed_once()`; and
//!   a row in `seal_heads` (see asset-svc's `1004_seal.sql`);
//! - a [`Chain`] says where it is, and what is in a row;
//! - the service calls [`Sealers::start`].
//!
//! Not here: who checks a chain. `brokerctl audit verify` does, with [`rows`] and the same [`Chain`].

mod canonical;
mod digest;
mod meters;
mod pace;
mod round;
pub mod rows;
mod sealers;

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

pub use canonical::Canonical;
pub use digest::{Digest, NotADigest};
pub use round::{Round, SealError, seal_batch, seal_waiting};
pub use sealers::Sealers;

/// Where a chain's rows are. The names become part of SQL, which is why they are fixed in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainTable {
    /// The chain's name in `seal_heads`, metrics and anchors.
    pub chain: &'static str,
    /// The table.
    pub table: &'static str,
    /// Its primary key, one uuid.
    pub key: &'static str,
    /// When a row was written, which orders the rows that are sealed together.
    pub written_at: &'static str,
}

/// A table whose rows are chained.
pub trait Chain: Send + Sync + 'static {
    /// Where the rows are.
    const TABLE: ChainTable;

    /// What is in these rows, and in all that belongs to them, except for the sealer's three columns. The same for
    /// the same row for ever: a new column needs a new version in the content's tag, and the old version stays right
    /// for rows that do not have the column. Rows that do not exist are left out.
    fn contents(
        connection: &mut PgConnection,
        keys: &[Uuid],
    ) -> impl Future<Output = Result<HashMap<Uuid, Vec<u8>>, sqlx::Error>> + Send;
}
