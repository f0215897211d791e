//! One thing that is wrong with one field of a request.

use serde::{Deserialize, Serialize};

use crate::Reason;

/// Says which field, why, and in words what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldViolation {
    /// The field as the request calls it, such as `tick_bands[1].tick`.
    pub field: String,
    /// Why, for a program.
    pub reason: Reason,
    /// Why, for a person.
    pub description: String,
}

impl FieldViolation {
    /// Builds one.
    pub fn new(field: impl Into<String>, reason: Reason, description: impl Into<String>) -> Self {
        Self { field: field.into(), reason, description: description.into() }
    }
}
