//! A place in the log: an event that was dealt with, by its position and its id.
//!
//! The id tells whether the log at hand is the one that the cursor was made of: after a restore, positions are given
//! out a second time.

use uuid::Uuid;

use super::rows::Seen;

/// Opaque to consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub position: i64,
    pub id: Uuid,
}

impl Cursor {
    pub fn of(row: &Seen) -> Self {
        Self { position: row.position, id: row.id }
    }

    pub fn read(text: &str) -> Option<Self> {
        let (position, id) = text.split_once('-')?;
        // One text per cursor: neither signs nor leading zeros, and ids as we write them.
        let cursor = Self { position: position.parse().ok()?, id: Uuid::try_parse(id).ok()? };
        (cursor.position > 0 && cursor.write() == text).then_some(cursor)
    }

    pub fn write(self) -> String {
        format!("{}-{}", self.position, self.id.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_in_no_other_way() {
        let cursor = Cursor { position: 42, id: Uuid::from_u128(7) };
        assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        let id = cursor.id.simple();
        for wrong in ["", "-", "42", &format!("-1-{id}"), &format!("0-{id}"), &format!("042-{id}"), "42-x"] {
            assert_eq!(Cursor::read(wrong), None, "{wrong:?}");
        }
        assert_eq!(Cursor::read(&format!("42-{}", cursor.id)), None);
    }
}
