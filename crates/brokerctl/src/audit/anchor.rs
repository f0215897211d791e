//! Anchors: heads that were written down elsewhere, where nobody who changes the database can change them too.
//!
//! `[CHAIN=]SEQ:HASH`, as the services log it, or a file of what `brokerctl audit head -o json` printed, any number
//! of times.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use service_kit::seal::Digest;

use crate::failure::Failure;

/// The chain of an anchor that names none.
const LEDGER: &str = "ledger";

/// One head at one time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// Of which chain.
    pub chain: String,
    /// The number of the last row.
    pub book_seq: i64,
    /// Its hash.
    pub hash: Digest,
}

/// Where anchors come from, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorSource {
    /// This one.
    Here(Anchor),
    /// All in this file.
    File(PathBuf),
}

/// One line of the file.
#[derive(Deserialize)]
struct Exported {
    heads: Vec<ExportedHead>,
}

#[derive(Deserialize)]
struct ExportedHead {
    chain: String,
    book_seq: i64,
    hash: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.chain, self.book_seq, self.hash)
    }
}

impl FromStr for AnchorSource {
    type Err = std::convert::Infallible;

    /// What is not an anchor is the name of a file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(anchor(text).map_or_else(|| Self::File(text.into()), Self::Here))
    }
}

fn anchor(text: &str) -> Option<Anchor> {
    let (chain, rest) = text.split_once('=').unwrap_or((LEDGER, text));
    let (seq, hash) = rest.split_once(':')?;
    let book_seq = seq.parse().ok().filter(|seq| *seq >= 0)?;
    Some(Anchor { chain: chain.to_owned(), book_seq, hash: hash.parse().ok()? })
}

impl AnchorSource {
    /// The anchors.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else, or no anchor at all: an anchor that is not compared
    /// would be worse than none.
    pub fn read(&self) -> Result<Vec<Anchor>, Failure> {
        match self {
            Self::Here(anchor) => Ok(vec![anchor.clone()]),
            Self::File(path) => from_file(path)
                .map_err(|why| Failure::usage(format!("{} is no file of anchors: {why}", path.display()))),
        }
    }
}

fn from_file(path: &Path) -> Result<Vec<Anchor>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut anchors = HashSet::new();
    for exported in serde_json::Deserializer::from_str(&text).into_iter::<Exported>() {
        for ExportedHead { chain, book_seq, hash } in exported.map_err(|error| error.to_string())?.heads {
            let hash = hash.parse().map_err(|error| format!("{chain} {book_seq}: {error}"))?;
            anchors.insert(Anchor { chain, book_seq, hash });
        }
    }
    if anchors.is_empty() { Err("it is empty".to_owned()) } else { Ok(anchors.into_iter().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_it_is_shown_and_the_rest_are_files() {
        let hash = Digest::GENESIS.then(b"x");
        let ledger = Anchor { chain: "ledger".to_owned(), book_seq: 7, hash };
        for text in [format!("7:{hash}"), ledger.to_string()] {
            assert_eq!(text.parse(), Ok(AnchorSource::Here(ledger.clone())), "{text}");
        }
        for text in ["heads.jsonl", "7:short", &format!("-7:{hash}"), "heads=1.json"] {
            assert_eq!(text.parse(), Ok(AnchorSource::File(text.into())), "{text}");
        }
    }

    #[test]
    fn what_is_no_file_of_anchors_is_refused() {
        let missing: AnchorSource = "/nowhere/heads.jsonl".parse().unwrap_or_else(|never| match never {});
        assert!(missing.read().is_err());
    }
}
