//! The SQL over a chain's table and its head. Reading is for auditors too; only a sealer writes.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::{Chain, ChainTable, Digest, NotADigest, SealError};

/// How many waiting rows are counted.
const COUNTED_MAX: i64 = 10_000;

/// How far a chain is sealed.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Head {
    /// Which chain.
    pub chain: String,
    /// The last number given out; 0 before the first.
    pub book_seq: i64,
    /// Of the row with that number.
    pub hash: Vec<u8>,
    /// When, by the database's clock.
    pub sealed_at: DateTime<Utc>,
}

/// A row that has a number, as stored: nothing about it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its primary key.
    pub key: Uuid,
    /// Its number.
    pub book_seq: i64,
    /// What it says the row before has.
    pub prev_hash: Vec<u8>,
    /// What it says to be its hash.
    pub hash: Vec<u8>,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Rows that have no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many, 10,000 at most.
    pub rows: i64,
    /// The age of the oldest one.
    pub oldest_seconds: i64,
}

/// A number and two hashes for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub key: Uuid,
    pub book_seq: i64,
    pub prev_hash: Digest,
    pub hash: Digest,
}

impl Head {
    /// The hash, if it is one.
    ///
    /// # Errors
    /// The column was tampered with.
    pub fn digest(&self) -> Result<Digest, NotADigest> {
        Digest::try_from(self.hash.as_slice())
    }
}

/// Every chain of this database, by name.
///
/// # Errors
/// The database cannot be read.
pub async fn heads(connection: &mut PgConnection) -> Result<Vec<Head>, sqlx::Error> {
    sqlx::query_as("SELECT chain, book_seq, hash, sealed_at FROM seal_heads ORDER BY chain")
        .fetch_all(connection)
        .await
}

/// How far a chain is sealed. `None`: its head is gone, or its table is not chained in this database.
///
/// # Errors
/// The database cannot be read.
pub async fn head<C: Chain>(connection: &mut PgConnection) -> Result<Option<Head>, sqlx::Error> {
    sqlx::query_as("SELECT chain, book_seq, hash, sealed_at FROM seal_heads WHERE chain = $1")
        .bind(C::TABLE.chain)
        .fetch_optional(connection)
        .await
}

/// The head, locked until the end of the transaction. `None`: another sealer has it, or it is gone.
pub(super) async fn lock_head<C: Chain>(tx: &mut PgConnection) -> Result<Option<Head>, sqlx::Error> {
    sqlx::query_as(
        "SELECT chain, book_seq, hash, sealed_at FROM seal_heads WHERE chain = $1 FOR UPDATE SKIP LOCKED",
    )
    .bind(C::TABLE.chain)
    .fetch_optional(tx)
    .await
}

/// What is not sealed; with `older_than`, only rows that are more than so many seconds old by the database's
/// clock. In a transaction that is their age when it began: an audit of millions of rows takes minutes, and what it sees
/// has not waited for it.
///
/// # Errors
/// The database cannot be read.
pub async fn waiting<C: Chain>(
    connection: &mut PgConnection,
    older_than: Option<i64>,
) -> Result<Waiting, sqlx::Error> {
    let ChainTable { table, written_at, .. } = C::TABLE;
    let sql = format!(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min({written_at})), 0)::bigint
         FROM (SELECT {written_at} FROM {table}
               WHERE book_seq IS NULL
                 AND ($1::bigint IS NULL OR {written_at} < now() - make_interval(secs => $1::bigint))
               ORDER BY {written_at} LIMIT {COUNTED_MAX}) w"
    );
    let (rows, oldest_seconds) =
        sqlx::query_as(AssertSqlSafe(sql)).bind(older_than).fetch_one(connection).await?;
    Ok(Waiting { rows, oldest_seconds })
}

/// Sealed rows after this number and key, in order. Start at `(i64::MIN, Uuid::nil())`.
///
/// # Errors
/// The database cannot be read.
pub async fn sealed<C: Chain>(
    connection: &mut PgConnection,
    after: (i64, Uuid),
    limit: i64,
) -> Result<Vec<Sealed>, sqlx::Error> {
    let ChainTable { table, key, .. } = C::TABLE;
    let sql = format!(
        "SELECT {key}, book_seq, coalesce(prev_hash, ''), coalesce(hash, '') FROM {table}
         WHERE book_seq IS NOT NULL AND book_seq >= $1 AND (book_seq, {key}) > ($1, $2)
         ORDER BY book_seq, {key} LIMIT $3"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let keys: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut contents = C::contents(connection, &keys).await?;
    rows.iter()
        .map(|row| {
            let key = row.try_get(0)?;
            Ok(Sealed {
                key,
                book_seq: row.try_get(1)?,
                prev_hash: row.try_get(2)?,
                hash: row.try_get(3)?,
                content: contents.remove(&key).unwrap_or_default(),
            })
        })
        .collect()
}

/// Rows that have no number, oldest first, with their contents.
pub(super) async fn unsealed<C: Chain>(
    tx: &mut PgConnection,
    limit: i64,
) -> Result<Vec<(Uuid, Vec<u8>)>, SealError> {
    let ChainTable { chain, table, key, written_at } = C::TABLE;
    // Limited in the order of the index: sorting by the key as well would sort everything that waits.
    let sql = format!(
        "SELECT {key} FROM (SELECT {key}, {written_at} FROM {table} WHERE book_seq IS NULL
                            ORDER BY {written_at} LIMIT $1) waiting
         ORDER BY {written_at}, {key}"
    );
    let keys: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(limit).fetch_all(&mut *tx).await?;
    let mut contents = C::contents(tx, &keys).await?;
    keys.into_iter()
        .map(|key| {
            let content = contents.remove(&key).ok_or(SealError::NoContent { chain, key })?;
            Ok((key, content))
        })
        .collect()
}

/// Writes the links, and moves the head to the last one.
pub(super) async fn link<C: Chain>(tx: &mut PgConnection, links: &[Link]) -> Result<(), SealError> {
    let ChainTable { chain, table, key, .. } = C::TABLE;
    let Some(last) = links.last() else { return Ok(()) };
    let keys: Vec<Uuid> = links.iter().map(|link| link.key).collect();
    let seqs: Vec<i64> = links.iter().map(|link| link.book_seq).collect();
    let prevs: Vec<&[u8]> = links.iter().map(|link| link.prev_hash.as_bytes().as_slice()).collect();
    let hashes: Vec<&[u8]> = links.iter().map(|link| link.hash.as_bytes().as_slice()).collect();
    // `book_seq IS NULL` in other words: with these, a plan from when the table was empty would go through all rows
    // that wait, for each link.
    let sql = format!(
        "UPDATE {table} t SET book_seq = l.book_seq, prev_hash = l.prev_hash, hash = l.hash
         FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[]) AS l(key, book_seq, prev_hash, hash)
         WHERE t.{key} = l.key AND coalesce(t.book_seq, 0) < 1"
    );
    let written = sqlx::query(AssertSqlSafe(sql))
        .bind(keys)
        .bind(seqs)
        .bind(prevs)
        .bind(hashes)
        .execute(&mut *tx)
        .await?;
    let moved = sqlx::query(
        "UPDATE seal_heads SET book_seq = $2, hash = $3, sealed_at = clock_timestamp() WHERE chain = $1",
    )
    .bind(chain)
    .bind(last.book_seq)
    .bind(last.hash.as_bytes().as_slice())
    .execute(tx)
    .await?;
    if written.rows_affected() == links.len() as u64 && moved.rows_affected() == 1 {
        Ok(())
    } else {
        Err(SealError::Meddled { chain })
    }
}
