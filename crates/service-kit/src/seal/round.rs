//! One transaction of a sealer: the next numbers for the rows that wait.

use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::{self, Link};
use super::{Chain, Digest, NotADigest};

/// How many rows one transaction seals. Small enough to end well within a statement's time.
const BATCH_ROWS_MAX: i64 = 500;

/// What one transaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// So many rows have got a number; none if nothing waited.
    Sealed(usize),
    /// As many rows as one transaction takes: more may wait.
    Full,
    /// Another sealer is at work on this chain.
    Busy,
}

/// Why nothing was sealed. Nothing is half done, and the next round starts over.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The database said no, or said nothing.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// The head is gone. A sealer never makes one: that would hide a cut.
    #[error("the head of the chain {chain} is gone")]
    NoHead {
        /// Which.
        chain: &'static str,
    },
    /// The head is no hash.
    #[error("the head of the chain is broken")]
    Head(#[from] NotADigest),
    /// A row that has no content.
    #[error("row {key} of the chain {chain} cannot be read")]
    NoContent {
        /// In which chain.
        chain: &'static str,
        /// Which row.
        key: Uuid,
    },
    /// Rows or the head changed while the head was locked.
    #[error("somebody else writes to the chain {chain}")]
    Meddled {
        /// Which.
        chain: &'static str,
    },
}

/// Seals up to 500 rows in a transaction of its own. Any number of callers are harmless: one works, the others are
/// told that it is busy. After an error the connection may be inside a transaction, and has to be closed.
///
/// # Errors
/// The database, or a head or row that is not as it should be. Then nothing was sealed, except that a commit whose
/// answer was lost may have been done; the next call finds out.
pub async fn seal_batch<C: Chain>(connection: &mut PgConnection) -> Result<Round, SealError> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    let round = batch::<C>(connection).await?;
    sqlx::raw_sql("COMMIT").execute(connection).await?;
    Ok(round)
}

/// Seals until nothing waits, and says how many rows that were; waits for no other sealer.
///
/// # Errors
/// As for [`seal_batch`].
pub async fn seal_waiting<C: Chain>(connection: &mut PgConnection) -> Result<usize, SealError> {
    let mut count = 0;
    loop {
        match seal_batch::<C>(connection).await? {
            Round::Full => count += usize::try_from(BATCH_ROWS_MAX).unwrap_or_default(),
            Round::Sealed(rows) => return Ok(count + rows),
            Round::Busy => return Ok(count),
        }
    }
}

async fn batch<C: Chain>(tx: &mut PgConnection) -> Result<Round, SealError> {
    let Some(head) = rows::lock_head::<C>(tx).await? else {
        return match rows::head::<C>(tx).await? {
            Some(_) => Ok(Round::Busy),
            None => Err(SealError::NoHead { chain: C::TABLE.chain }),
        };
    };
    let mut prev_hash: Digest = head.digest()?;
    // A new statement, so a new snapshot: it sees what the sealer before has numbered.
    let waiting = rows::unsealed::<C>(tx, BATCH_ROWS_MAX).await?;
    let mut links = Vec::with_capacity(waiting.len());
    for (book_seq, (key, content)) in (head.book_seq + 1..).zip(waiting) {
        let hash = prev_hash.then(&content);
        links.push(Link { key, book_seq, prev_hash, hash });
        prev_hash = hash;
    }
    rows::link::<C>(tx, &links).await?;
    let is_full = i64::try_from(links.len()) == Ok(BATCH_ROWS_MAX);
    Ok(if is_full { Round::Full } else { Round::Sealed(links.len()) })
}
