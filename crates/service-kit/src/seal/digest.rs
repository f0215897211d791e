//! A SHA-256 hash, and how two rows are chained by it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::defect;

/// A SHA-256 hash. Shown and read as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// What was read is not a SHA-256 hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 32 bytes, or 64 hexadecimal digits")]
pub struct NotADigest;

impl Digest {
    /// What comes before the first row.
    pub const GENESIS: Self = Self([0; 32]);

    /// The hash of a row that follows `self`.
    #[must_use]
    pub fn then(&self, content: &[u8]) -> Self {
        let previous = if defect::is_seeded("seal_unchained") { Self::GENESIS.0 } else { self.0 };
        Self(Sha256::new().chain_update(previous).chain_update(content).finalize().into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = NotADigest;

    fn try_from(bytes: &[u8]) -> Result<Self, NotADigest> {
        bytes.try_into().map(Self).map_err(|_| NotADigest)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| NotADigest)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_link_is_the_hash_of_32_zero_bytes_and_the_content() {
        // `(head -c 32 /dev/zero; printf '3:t/1,') | sha256sum`
        let expected = "4978eceb59ee175906d324abcabc9703f7b7d7bd9a6c43e6e955f46d18dbe536";
        let first = Digest::GENESIS.then(b"3:t/1,");
        assert_eq!(first.to_string(), expected);
        assert_ne!(first.then(b"3:t/1,"), first);
    }

    #[test]
    fn a_hash_is_read_as_it_is_shown_and_nothing_else_is() {
        let hash = Digest::GENESIS.then(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(Digest::try_from(hash.as_bytes().as_slice()), Ok(hash));
        for text in ["", "00", "+0".repeat(32).as_str(), "ğ".repeat(32).as_str()] {
            assert_eq!(text.parse::<Digest>(), Err(NotADigest), "{text}");
        }
        assert_eq!(Digest::try_from([0; 31].as_slice()), Err(NotADigest));
    }
}
