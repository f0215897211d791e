//! A10, its second half: the chain of a table is whole from its first row to its head, and is the one that the
//! anchors remember.
//!
//! Every row is read again from the raw tables and hashed again. After a finding the walk goes on from what is
//! stored, so that one damage is told once, where it is.

use anyhow::{Context, Result};
use service_kit::seal::rows::{self, Head, Sealed};
use service_kit::seal::{Chain, Digest};
use sqlx::PgConnection;
use uuid::Uuid;

use super::PAGE;
use super::anchor::Anchor;
use super::findings::{Claim, Findings};

/// A row that is older than this has been sealed.
const UNSEALED_SECONDS_MAX: i64 = 60;

/// A walk along one chain.
struct Walk<'a> {
    chain: &'static str,
    table: &'static str,
    /// The number and hash of the row before.
    before: (i64, Vec<u8>),
    anchors: Vec<&'a Anchor>,
    findings: &'a mut Findings,
}

/// Walks the chain; says where its head is.
pub async fn check<C: Chain>(
    connection: &mut PgConnection,
    anchors: &[Anchor],
    findings: &mut Findings,
) -> Result<Option<Head>> {
    let (chain, table) = (C::TABLE.chain, C::TABLE.table);
    let head = rows::head::<C>(connection).await.context("A10")?;
    let mine = anchors.iter().filter(|anchor| anchor.chain == chain).collect();
    let genesis = Digest::GENESIS.as_bytes().to_vec();
    let mut walk = Walk { chain, table, before: (0, genesis), anchors: mine, findings };
    walk.anchored(0, Digest::GENESIS.as_bytes());
    let mut after = (i64::MIN, Uuid::nil());
    loop {
        let page = rows::sealed::<C>(connection, after, PAGE).await.context("A10")?;
        let Some(last) = page.last() else { break };
        after = (last.book_seq, last.key);
        for row in page {
            walk.row(row);
        }
    }
    walk.end(head.as_ref());
    let late = rows::waiting::<C>(connection, Some(UNSEALED_SECONDS_MAX)).await.context("A10")?;
    if late.rows > 0 {
        let (rows, seconds) = (late.rows, late.oldest_seconds);
        findings.broken(
            Claim::A10,
            format!(
                "{rows} rows of {table} are not sealed, the oldest for {seconds} s: is a sealer running?"
            ),
        );
    }
    Ok(head)
}

impl Walk<'_> {
    fn broken(&mut self, what: impl AsRef<str>) {
        self.findings.broken(Claim::A10, format!("the chain {}: {}", self.chain, what.as_ref()));
    }

    fn row(&mut self, row: Sealed) {
        let Sealed { key, book_seq, prev_hash, hash, content } = row;
        let (before, before_hash) = std::mem::take(&mut self.before);
        self.findings.examined(Claim::A10, 1);
        let table = self.table;
        if book_seq <= before {
            self.broken(format!("number {book_seq} is given twice or below 1; once to {table} {key}"));
        } else if book_seq > before + 1 {
            let (first, last) = (before + 1, book_seq - 1);
            self.broken(format!("numbers {first} to {last} are gone: rows of {table} were deleted or moved"));
        } else if prev_hash != before_hash {
            self.broken(format!("{table} {key}, number {book_seq}, does not follow the row before it"));
        }
        let follows = Digest::try_from(prev_hash.as_slice()).map(|prev| prev.then(&content));
        if follows.map_or(true, |digest| hash != digest.as_bytes()) {
            self.broken(format!("{table} {key}, number {book_seq}, is not what was sealed"));
        }
        self.anchored(book_seq, &hash);
        self.before = (book_seq, hash);
    }

    /// Compares with what was written down elsewhere about this number.
    fn anchored(&mut self, book_seq: i64, hash: &[u8]) {
        let (here, rest): (Vec<&Anchor>, Vec<&Anchor>) =
            self.anchors.iter().partition(|anchor| anchor.book_seq == book_seq);
        self.anchors = rest;
        for anchor in here {
            self.findings.examined(Claim::A10, 1);
            if anchor.hash.as_bytes() != hash {
                self.broken(format!(
                    "number {book_seq} is not the one of the anchor {anchor}: it was rewritten"
                ));
            }
        }
    }

    fn end(&mut self, head: Option<&Head>) {
        let (last, hash) = std::mem::take(&mut self.before);
        self.findings.examined(Claim::A10, 1);
        match head {
            None => self.broken("its head in seal_heads is gone"),
            Some(head) if head.book_seq > last => {
                self.broken(format!(
                    "it is sealed up to {}, its last row is {last}: the tail is cut",
                    head.book_seq
                ));
            }
            Some(head) if head.book_seq < last => {
                self.broken(format!("its last row is {last}, the head knows only {}", head.book_seq));
            }
            Some(head) if head.hash != hash => self.broken(format!("its last row {last} is not the head's")),
            Some(_) => {}
        }
        for anchor in std::mem::take(&mut self.anchors) {
            self.findings.examined(Claim::A10, 1);
            self.broken(format!(
                "there is no number {} as in the anchor {anchor}: it was cut",
                anchor.book_seq
            ));
        }
    }
}
