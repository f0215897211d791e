//! Pages of lists: a size, and a token that continues where the last page ended.
//!
//! A token is opaque, is bound to the filters it was made with, and grants nothing: what a caller may see is decided
//! anew for each page.

use brokerage_types::Reason;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::defect;
use crate::fault::{ApiResult, Fault, Refusal};

/// The size of a page if none is asked for.
pub const SIZE_DEFAULT: usize = 50;
/// No page is larger.
pub const SIZE_MAX: usize = 500;
/// How many characters a token may have.
const TOKEN_LENGTH_MAX: usize = 2048;
/// How many bytes of the filters' hash a token carries.
const FILTER_HASH_BYTES: usize = 8;

/// Where a page continues.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor(pub Value);

impl Cursor {
    /// The position as the list wrote it.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID` if it is not such a position.
    pub fn read<T: DeserializeOwned>(&self) -> ApiResult<T> {
        serde_json::from_value(self.0.clone()).map_err(|_| invalid().into())
    }
}

/// Which page is asked for.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// At most so many items.
    pub size: usize,
    /// Continue after this item; from the beginning if there is none.
    pub after: Option<Cursor>,
    filter_hash: String,
}

impl PageRequest {
    /// Reads the fields of a list request. `filter` is everything else that shapes the list, order included.
    ///
    /// # Errors
    /// `PAGE_SIZE_NEGATIVE`; `PAGE_TOKEN_INVALID` for a token of another list or other filters.
    pub fn parse(page_size: i32, page_token: &str, filter: &impl Serialize) -> ApiResult<Self> {
        let size = match usize::try_from(page_size) {
            Ok(0) => SIZE_DEFAULT,
            Ok(size) => size.min(SIZE_MAX),
            Err(_) => {
                return Err(
                    Refusal::field("page_size", Reason::PageSizeNegative, "must not be negative").into()
                );
            }
        };
        let filter =
            serde_json::to_vec(filter).map_err(|error| Fault::internal("hash the filters", error))?;
        let filter_hash = to_hex(&Sha256::digest(&filter)[..FILTER_HASH_BYTES]);
        let after = if page_token.is_empty() { None } else { Some(open(page_token, &filter_hash)?) };
        Ok(Self { size, after, filter_hash })
    }

    /// The number of rows to ask for: one more than fits, to know whether there is a next page.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX - 1) + 1
    }

    /// The token of the page after `cursor`.
    ///
    /// # Errors
    /// A fault if the cursor cannot be written as JSON.
    pub fn next_token(&self, cursor: &impl Serialize) -> ApiResult<String> {
        let cursor = serde_json::to_vec(cursor).map_err(|error| Fault::internal("write a cursor", error))?;
        Ok(format!("{}{}", self.filter_hash, to_hex(&cursor)))
    }

    /// Cuts the rows of a query with [`Self::limit`] to one page, and says with which token the next one comes. The
    /// token is empty at the end.
    ///
    /// # Errors
    /// A fault if the cursor cannot be written as JSON.
    pub fn cut<T, C: Serialize>(
        &self,
        mut rows: Vec<T>,
        cursor: impl Fn(&T) -> C,
    ) -> ApiResult<(Vec<T>, String)> {
        if rows.len() <= self.size {
            return Ok((rows, String::new()));
        }
        rows.truncate(self.size);
        let token = match rows.last() {
            Some(last) => self.next_token(&cursor(last))?,
            None => String::new(),
        };
        Ok((rows, token))
    }
}

fn invalid() -> Refusal {
    let description = "must be the next_page_token of the previous page, with the same filters";
    Refusal::field("page_token", Reason::PageTokenInvalid, description)
}

fn open(token: &str, filter_hash: &str) -> Result<Cursor, Refusal> {
    if token.len() > TOKEN_LENGTH_MAX {
        return Err(invalid());
    }
    let position = match token.strip_prefix(filter_hash) {
        None if defect::is_seeded("page_token_unbound") => token.get(filter_hash.len()..),
        position => position,
    };
    let cursor = position.and_then(from_hex).ok_or_else(invalid)?;
    serde_json::from_slice(&cursor).map(Cursor).map_err(|_| invalid())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit =
        |character: &u8| char::from(*character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(high)? * 16 + digit(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::ApiError;

    fn refused(result: ApiResult<PageRequest>) -> Reason {
        match result {
            Err(ApiError::Refusal(refusal)) => refusal.reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn sizes_have_a_default_and_a_bound() {
        for (asked, given) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
            assert_eq!(PageRequest::parse(asked, "", &()).unwrap().size, given);
        }
        assert_eq!(refused(PageRequest::parse(-1, "", &())), Reason::PageSizeNegative);
    }

    #[test]
    fn a_token_brings_its_cursor_back_to_the_same_filters_only() {
        let page = PageRequest::parse(2, "", &("orders", "THYAO")).unwrap();
        let (rows, token) = page.cut(vec![1, 2, 3], |row| (*row, "id")).unwrap();
        assert_eq!(rows, [1, 2]);
        let next = PageRequest::parse(2, &token, &("orders", "THYAO")).unwrap();
        let cursor: (i32, String) = next.after.as_ref().unwrap().read().unwrap();
        assert_eq!(cursor, (2, "id".to_owned()));
        assert_eq!(refused(PageRequest::parse(2, &token, &("orders", "GARAN"))), Reason::PageTokenInvalid);
        assert!(matches!(next.after.unwrap().read::<bool>(), Err(ApiError::Refusal(_))));
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = PageRequest::parse(2, "", &()).unwrap();
        assert_eq!(page.limit(), 3);
        assert_eq!(page.cut(vec![1, 2], |row| *row).unwrap(), (vec![1, 2], String::new()));
    }

    #[test]
    fn broken_tokens_are_refused() {
        let token = PageRequest::parse(2, "", &()).unwrap().next_token(&7).unwrap();
        for broken in
            ["x", &token[1..], &token[..token.len() - 1], &format!("{token}zz"), "İ", &"0".repeat(5000)]
        {
            assert_eq!(refused(PageRequest::parse(2, broken, &())), Reason::PageTokenInvalid, "{broken}");
        }
    }
}
