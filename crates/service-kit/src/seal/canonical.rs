//! The canonical bytes of a row: simple enough to be computed again by any program in any language.
//!
//! A row is a list of fields. A field is the length of its UTF-8 text in bytes, in decimal, then `:`, the text and
//! `,` (a netstring); NULL is `~,`. The first field is the tag: the table and the version of this layout, such as
//! `ledger_tx/1`. No two different lists have the same bytes.

/// Collects the fields of one row.
#[derive(Clone, Debug)]
pub struct Canonical(Vec<u8>);

impl Canonical {
    /// A row that starts with this tag.
    #[must_use]
    pub fn tagged(tag: &str) -> Self {
        let mut row = Self(Vec::with_capacity(256));
        row.text(tag);
        row
    }

    /// Adds a field.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.len().to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b',');
        self
    }

    /// Adds a field that may be NULL.
    pub fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => {
                self.0.extend_from_slice(b"~,");
                self
            }
        }
    }

    /// Adds a number in decimal.
    pub fn number(&mut self, number: i64) -> &mut Self {
        self.text(&number.to_string())
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(fields: &[Option<&str>]) -> Vec<u8> {
        let mut row = Canonical::tagged("t/1");
        for field in fields {
            row.optional(*field);
        }
        row.into_bytes()
    }

    #[test]
    fn fields_are_netstrings_and_null_is_not_empty() {
        let mut row = Canonical::tagged("ledger_tx/1");
        row.text("ğ").optional(None).text("").number(-7);
        assert_eq!(row.into_bytes(), "11:ledger_tx/1,2:ğ,~,0:,2:-7,".as_bytes());
    }

    #[test]
    fn no_text_can_pretend_to_be_two_fields() {
        let rows = [
            bytes(&[Some("a"), Some("b")]),
            bytes(&[Some("a,1:b")]),
            bytes(&[Some("a"), Some("b"), None]),
            bytes(&[Some("a"), Some("b"), Some("")]),
            bytes(&[Some("~,")]),
            bytes(&[None]),
        ];
        for (place, row) in rows.iter().enumerate() {
            assert!(!rows[..place].contains(row), "{}", String::from_utf8_lossy(row));
        }
    }
}
