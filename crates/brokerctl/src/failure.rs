//! What went wrong, in words, with what to do about it, and the exit code that scripts see.

use std::fmt;

use brokerage_types::Reason;
use serde::Serialize;
use service_kit::fault::code_name;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// How the program ends. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The server refused, or a check found a difference.
    Refused = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The server could not be reached, or did not answer in time: try again.
    Unavailable = 3,
    /// A fault of the server or of this program.
    Internal = 4,
}

/// One wrong field.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// Which field.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Why a command failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The gRPC code, or what kind of local failure it is.
    pub code: &'static str,
    /// A stable reason of the catalogue, if the server gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// One sentence.
    pub message: String,
    /// The fields it is about.
    #[serde(skip_serializing_if = "<[Violation]>::is_empty")]
    pub violations: Box<[Violation]>,
    /// What the server added, by name.
    #[serde(skip_serializing_if = "<[(String, String)]>::is_empty")]
    pub details: Box<[(String, String)]>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
}

impl Failure {
    /// The command line makes no sense.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::local(Exit::Usage, "USAGE", message)
    }

    /// A check ran and did not pass.
    #[must_use]
    pub fn check(message: impl Into<String>) -> Self {
        Self::local(Exit::Refused, "CHECK_FAILED", message)
    }

    fn local(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code,
            reason: None,
            message: message.into(),
            violations: Box::default(),
            details: Box::default(),
            hint: None,
        }
    }

    /// Adds the way back to the outcome of a command whose answer was lost.
    #[must_use]
    pub fn of_request(mut self, request_id: &str) -> Self {
        if matches!(self.exit, Exit::Unavailable | Exit::Internal) {
            let again = format!("the outcome is not known; learn it with `--request-id {request_id}`");
            let all = self.hint.map_or(again.clone(), |hint| format!("{hint}; {again}"));
            self.hint = Some(all.into());
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.code)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        write!(f, ": {}", self.message)?;
        for violation in self.violations.iter() {
            write!(f, "\n  {}: {}", violation.field, violation.description)?;
        }
        for (name, value) in self.details.iter() {
            write!(f, "\n  {name} = {value}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let reason = info.map(|info| info.reason.clone().into_boxed_str());
        let mut metadata: Vec<(String, String)> =
            info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default();
        metadata.sort();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        Self {
            exit: exit_of(status.code()),
            code: code_name(status.code()),
            hint: hint_for(reason.as_deref(), status.code()),
            reason,
            message: status.message().to_owned(),
            violations: violations
                .into_iter()
                .map(|violation| Violation { field: violation.field, description: violation.description })
                .collect(),
            details: metadata.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => match error.downcast::<Status>() {
                Ok(status) => status.into(),
                Err(error) => Self::local(Exit::Internal, "FAILED", format!("{error:#}")),
            },
        }
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Done,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {
            Exit::Unavailable
        }
        Code::Internal | Code::Unknown | Code::DataLoss | Code::Unimplemented => Exit::Internal,
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => Exit::Refused,
    }
}

/// What a person can do about a reason. Reasons that explain themselves have no line.
const HINTS: &[(Reason, &str)] = &[
    (Reason::InsufficientUsable, "see what is free with `brokerctl asset list`; deposit, or order less"),
    (Reason::OffTick, "see the tick bands with `brokerctl instrument list`"),
    (Reason::OffLot, "see the lot with `brokerctl instrument list`"),
    (Reason::TooManyDecimals, "see the scales with `brokerctl instrument list`"),
    (Reason::InstrumentNotFound, "see what trades with `brokerctl instrument list`"),
    (Reason::CustomerNotFound, "see the customers with `brokerctl customer list`"),
    (Reason::OrderNotFound, "see your orders with `brokerctl order list`"),
    (
        Reason::RequestIdReused,
        "this request id was used for another command: leave `--request-id` out for a new one",
    ),
    (Reason::DuplicateClientOrderId, "labels are unique per customer for ever: choose another one"),
    (Reason::TooLateToCancel, "nothing is left to cancel; see `brokerctl order get ID --fills`"),
    (Reason::TokenMissing, "give a token with `--token` or BROKERCTL_TOKEN"),
    (Reason::TokenUnknown, "check `--token` or BROKERCTL_TOKEN"),
    (Reason::TokenExpired, "get a new token"),
    (
        Reason::RoleNotAllowed,
        "this token's role may not do this; administrators' verbs need `token-admin` in development",
    ),
    (Reason::ConflictRetry, "somebody else was faster: try again"),
    (Reason::Overloaded, "the server sheds load: try again later"),
    (
        Reason::StillRunning,
        "the saga goes on: see `brokerctl saga watch`, or repeat with the same request id",
    ),
    (Reason::ShuttingDown, "the server is going down: try again"),
];

fn hint_for(reason: Option<&str>, code: Code) -> Option<Box<str>> {
    let known = reason.and_then(|text| text.parse::<Reason>().ok());
    let by_reason =
        known.and_then(|reason| HINTS.iter().find(|(of, _)| *of == reason)).map(|(_, hint)| *hint);
    let by_code = (code == Code::Unavailable)
        .then_some("is it running? start one with `brokerctl dev`, or name one with `--server`");
    by_reason.or(by_code).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_refusal_shows_code_reason_fields_and_hint() {
        let mut details =
            ErrorDetails::with_error_info("OFF_TICK", "brokerage", [("tick".to_owned(), "0.05".to_owned())]);
        details.add_bad_request_violation("limit_price", "not a multiple of 0.05");
        let status = Status::with_error_details(Code::InvalidArgument, "the price is off the tick", details);
        let failure = Failure::from(status);
        assert_eq!(failure.exit, Exit::Refused);
        let text = failure.to_string();
        for part in [
            "INVALID_ARGUMENT (OFF_TICK)",
            "limit_price: not a multiple",
            "tick = 0.05",
            "hint: see the tick",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn a_lost_answer_says_how_to_learn_the_outcome() {
        let failure = Failure::from(Status::unavailable("gone")).of_request("r-1");
        assert_eq!(failure.exit, Exit::Unavailable);
        assert!(failure.to_string().contains("--request-id r-1"));
    }
}
