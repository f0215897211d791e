//! Names that are text, each with its own alphabet and length.
//!
//! They are shared, not copied: cloning one counts a reference. Comparison is by bytes and case matters; nothing
//! is trimmed or folded, because two spellings of one name are two names to whoever stored the first.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Reason;

/// The text breaks the rule of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {rule}")]
pub struct InvalidText {
    rule: &'static str,
    empty: bool,
}

impl InvalidText {
    /// What to tell the caller: an empty text is a missing one.
    pub const fn reason(&self) -> Reason {
        if self.empty { Reason::FieldRequired } else { Reason::FieldInvalid }
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

const fn is_code_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
}

const fn is_printable_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn follows(text: &str, length_max: usize, allowed: fn(u8) -> bool) -> bool {
    !text.is_empty()
        && text.len() <= length_max
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && text.bytes().all(allowed)
}

macro_rules! text_names {
    ($($(#[$doc:meta])* $name:ident: $length_max:literal of $allowed:ident, $rule:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("Takes the text as it is if it is ", $rule, ".")]
            pub fn parse(text: &str) -> Result<Self, InvalidText> {
                if follows(text, $length_max, $allowed) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidText { rule: $rule, empty: text.is_empty() })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                String::from(&*name.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )+};
}

text_names! {
    /// A customer.
    CustomerId: 64 of is_name_byte, "1 to 64 of A–Z, a–z, 0–9, '.', '_' and '-'";
    /// An instrument, such as `THYAO`.
    Symbol: 32 of is_code_byte, "1 to 32 of A–Z, 0–9, '.' and '-'";
    /// An asset, such as `TRY` or `THYAO`.
    AssetCode: 16 of is_code_byte, "1 to 16 of A–Z, 0–9, '.' and '-'";
    /// The label a client gives an order.
    ClientOrderId: 128 of is_printable_byte, "1 to 128 printable ASCII characters without a space at either end";
    /// Who did something, for the record.
    Actor: 128 of is_printable_byte, "1 to 128 printable ASCII characters without a space at either end";
}

#[cfg(test)]
mod tests {
    use super::{Actor, AssetCode, ClientOrderId, CustomerId, Symbol};
    use crate::Reason;

    #[test]
    fn each_name_has_its_alphabet() {
        // text, customer, symbol and asset, label and actor
        let table = [
            ("customer-a", true, false, true),
            ("A.b_C-1", true, false, true),
            ("BRK.B", true, true, true),
            ("BTC-TRY", true, true, true),
            ("A_B", true, false, true),
            ("two words", false, false, true),
            ("a/b:c#~", false, false, true),
            ("", false, false, false),
            (" A", false, false, false),
            ("A ", false, false, false),
            (" ", false, false, false),
            ("A\n", false, false, false),
            ("A\0", false, false, false),
            ("A\u{7f}", false, false, false),
            ("İST", false, false, false),
            ("\u{ff21}", false, false, false),
        ];
        for (text, customer, code, printable) in table {
            assert_eq!(CustomerId::parse(text).is_ok(), customer, "{text:?}");
            assert_eq!(Symbol::parse(text).is_ok(), code, "{text:?}");
            assert_eq!(AssetCode::parse(text).is_ok(), code, "{text:?}");
            assert_eq!(ClientOrderId::parse(text).is_ok(), printable, "{text:?}");
            assert_eq!(Actor::parse(text).is_ok(), printable, "{text:?}");
        }
    }

    #[test]
    fn each_name_has_its_greatest_length() {
        let takes = |length: usize| {
            let text = "A".repeat(length);
            [
                CustomerId::parse(&text).is_ok(),
                Symbol::parse(&text).is_ok(),
                AssetCode::parse(&text).is_ok(),
                ClientOrderId::parse(&text).is_ok(),
                Actor::parse(&text).is_ok(),
            ]
        };
        assert_eq!(takes(16), [true, true, true, true, true]);
        assert_eq!(takes(17), [true, true, false, true, true]);
        assert_eq!(takes(32), [true, true, false, true, true]);
        assert_eq!(takes(33), [true, false, false, true, true]);
        assert_eq!(takes(65), [false, false, false, true, true]);
        assert_eq!(takes(129), [false; 5]);
    }

    #[test]
    fn an_empty_name_is_a_missing_one() {
        assert_eq!(Symbol::parse("").unwrap_err().reason(), Reason::FieldRequired);
        assert_eq!(Symbol::parse("thyao").unwrap_err().reason(), Reason::FieldInvalid);
    }

    #[test]
    fn names_survive_json_and_bad_ones_do_not_enter_by_it() {
        let symbol = Symbol::parse("THYAO").unwrap();
        assert_eq!(serde_json::to_value(&symbol).unwrap(), "THYAO");
        assert_eq!(serde_json::from_str::<Symbol>(r#""THYAO""#).unwrap(), symbol);
        assert!(serde_json::from_str::<Symbol>(r#""thyao""#).is_err());
    }
}
