//! What a refused caller is told, as the wire has it.

use std::fmt::Debug;

use brokerage_types::Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A refusal, decoded from `google.rpc` details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// `ErrorInfo.reason`.
    pub reason: String,
    /// `BadRequest`: field and description of each violation.
    pub violations: Vec<(String, String)>,
    /// `ErrorInfo.metadata`, sorted.
    pub metadata: Vec<(String, String)>,
}

impl Refusal {
    /// Reads a status of ours.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let reported = details.error_info();
        let reported = reported.unwrap_or_else(|| panic!("there is no ErrorInfo in {status:?}"));
        assert_eq!(reported.domain, "brokerage", "{status:?}");
        let mut metadata: Vec<_> = reported.metadata.clone().into_iter().collect();
        metadata.sort();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        let violations = violations.into_iter().map(|one| (one.field, one.description)).collect();
        Self { code: status.code(), reason: reported.reason.clone(), violations, metadata }
    }

    /// The fields at fault.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        self.violations.iter().map(|(field, _)| field.as_str()).collect()
    }

    /// One of the message's variable parts.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Fails unless these fields, and no others, are at fault.
    pub fn blames(&self, fields: &[&str]) {
        assert_eq!(self.fields(), fields, "{self:?}");
    }
}

/// The refusal that an answer must be, for this reason.
#[track_caller]
pub fn expect_refusal<T: Debug>(answer: Result<T, Status>, reason: Reason) -> Refusal {
    let status = match answer {
        Ok(answer) => panic!("{reason} was expected, and it was answered: {answer:?}"),
        Err(status) => status,
    };
    let refusal = Refusal::of(&status);
    assert_eq!(refusal.reason, reason.as_str(), "{status:?}");
    refusal
}
