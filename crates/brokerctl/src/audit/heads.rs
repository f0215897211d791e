//! `audit head`: how far every chain is sealed, to be kept where nobody who changes the databases can change it.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use service_kit::seal::rows;

use super::Urls;
use super::cut::snapshot;
use crate::output::table;

/// The end of one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainHead {
    /// Which chain.
    pub chain: String,
    /// The number of its last row.
    pub book_seq: i64,
    /// That row's hash, in hexadecimal digits.
    pub hash: String,
    /// When that row was sealed, by its database's clock.
    pub sealed_at: DateTime<Utc>,
}

impl From<rows::Head> for ChainHead {
    fn from(head: rows::Head) -> Self {
        let hash = head.digest().map_or_else(|error| error.to_string(), |digest| digest.to_string());
        Self { chain: head.chain, book_seq: head.book_seq, hash, sealed_at: head.sealed_at }
    }
}

/// Every chain of the three databases.
///
/// # Errors
/// A database cannot be reached or read.
pub async fn heads(urls: &Urls) -> Result<Vec<ChainHead>> {
    let mut heads = Vec::new();
    for (url, what) in [
        (&urls.asset, "asset-svc's database"),
        (&urls.order, "order-svc's database"),
        (&urls.orchestrator, "the orchestrator's database"),
    ] {
        let (mut connection, _) = snapshot(url).await.context(what)?;
        heads.extend(rows::heads(&mut connection).await.context(what)?.into_iter().map(ChainHead::from));
    }
    Ok(heads)
}

/// For people.
#[must_use]
pub fn to_table(heads: &[ChainHead]) -> String {
    let mut rows = table(&["chain", "number", "hash", "sealed at"]);
    for head in heads {
        let at = head.sealed_at.format("%F %T%.3fZ").to_string();
        rows.add_row([head.chain.clone(), head.book_seq.to_string(), head.hash.clone(), at]);
    }
    rows.to_string()
}

/// For programs: one line, which `audit verify --anchor` reads.
#[must_use]
pub fn to_json(heads: &[ChainHead]) -> String {
    json!({ "heads": heads }).to_string()
}
