//! What goes wrong, and what callers are told: the only place that chooses gRPC codes.
//!
//! A [`Refusal`] is a business answer with a [`Reason`]. A [`Fault`] is ours: callers get no detail, the log gets the
//! whole chain, once, where the fault becomes a status. Every error status carries exactly one
//! `google.rpc.ErrorInfo` with domain [`DOMAIN`], and a `BadRequest` when fields are at fault.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use brokerage_types::{Class, FieldViolation, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every reason, in `ErrorInfo`.
pub const DOMAIN: &str = "brokerage";

/// How many field violations one status lists. More would not fit into the peers' header limits.
const VIOLATIONS_MAX: usize = 50;

/// A business answer: no, and why. The same question gets the same answer until something changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people: brief, English, no secrets.
    pub message: String,
    /// Which fields are at fault.
    pub violations: Vec<FieldViolation>,
    /// Every variable part of the message again, for machines.
    pub metadata: Vec<(String, String)>,
}

impl Refusal {
    /// A refusal without further detail.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), violations: Vec::new(), metadata: Vec::new() }
    }

    /// A refusal of one field.
    pub fn field(field: &str, reason: Reason, description: impl Into<String>) -> Self {
        let description = description.into();
        let violation = FieldViolation::new(field, reason, description.clone());
        Self::new(reason, format!("{field}: {description}")).violations(vec![violation])
    }

    /// Adds a variable part of the message.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Names the fields at fault.
    #[must_use]
    pub fn violations(mut self, violations: Vec<FieldViolation>) -> Self {
        self.violations = violations;
        self
    }
}

/// Whose fault a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The database answered with an error that trying again does not mend.
    Database,
    /// Something cannot be reached, or is too busy; trying again may help. The outcome is unknown.
    Unavailable,
    /// More waits already than can be done in time. Nothing was done.
    Overloaded,
    /// A broken promise of our own.
    Internal,
}

/// Something that must not happen, or that the caller cannot help. Never a business answer.
#[derive(Debug)]
pub struct Fault {
    /// What we were trying to do.
    pub context: String,
    /// What went wrong.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// Whose fault it is.
    pub kind: FaultKind,
}

impl Fault {
    /// A broken promise of our own.
    pub fn internal(context: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { context: context.into(), source: Some(source.into()), kind: FaultKind::Internal }
    }

    /// Something cannot be reached or is too busy; nothing more is known.
    pub fn unavailable(context: impl Into<String>) -> Self {
        Self { context: context.into(), source: None, kind: FaultKind::Unavailable }
    }

    /// Something cannot be reached or is too busy.
    pub fn unavailable_because(
        context: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { context: context.into(), source: Some(source.into()), kind: FaultKind::Unavailable }
    }

    /// More waits already than can be done in time; nothing was done.
    pub fn overloaded(context: impl Into<String>) -> Self {
        Self { context: context.into(), source: None, kind: FaultKind::Overloaded }
    }

    /// Whether a pool had no connection to give in time.
    #[must_use]
    pub(crate) fn is_pool_timeout(&self) -> bool {
        let cause = self.source.as_deref().and_then(|source| source.downcast_ref::<sqlx::Error>());
        matches!(cause, Some(sqlx::Error::PoolTimedOut))
    }

    /// The context and every cause below it, outermost first.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.context.is_empty() { "use the database" } else { &self.context })
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let kind = if is_transient(&error) { FaultKind::Unavailable } else { FaultKind::Database };
        Self { context: String::new(), source: Some(Box::new(error)), kind }
    }
}

/// Whether the database may answer otherwise if asked again: it is away, restarting, overloaded, or a lock was in
/// the way. Such an error says nothing about the business, so it must never become a refusal.
#[must_use]
pub fn is_transient(error: &sqlx::Error) -> bool {
    if let Some(code) = error.as_database_error().and_then(|error| error.code()) {
        // 25006: read-only, as during a failover. 53: out of resources. 57014: our own statement timeout.
        return matches!(code.as_ref(), "40001" | "40P01" | "55P03" | "57014" | "25006")
            || ["08", "53", "57P"].iter().any(|class| code.starts_with(class));
    }
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}

/// Says what we were trying to do when something failed.
pub trait FaultContext<T> {
    /// Wraps the error as a fault of "`what`", keeping its cause and kind.
    ///
    /// # Errors
    /// The wrapped error, if there was one.
    fn context(self, what: impl Into<String>) -> Result<T, Fault>;
}

impl<T, E: Into<Fault>> FaultContext<T> for Result<T, E> {
    fn context(self, what: impl Into<String>) -> Result<T, Fault> {
        self.map_err(|error| {
            let fault = error.into();
            if fault.context.is_empty() {
                return Fault { context: what.into(), ..fault };
            }
            Fault { context: what.into(), kind: fault.kind, source: Some(Box::new(fault)) }
        })
    }
}

/// Why an RPC does not answer what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A business answer.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// What the body of an RPC handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Refusal(refusal) => refusal.into(),
            ApiError::Fault(fault) => fault.into(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::new();
        let metadata: HashMap<String, String> = refusal.metadata.into_iter().collect();
        details.set_error_info(refusal.reason.as_str(), DOMAIN, metadata);
        for violation in refusal.violations.into_iter().take(VIOLATIONS_MAX) {
            let description = format!("{}: {}", violation.reason.as_str(), violation.description);
            details.add_bad_request_violation(violation.field, description);
        }
        Status::with_error_details(code(refusal.reason.class()), refusal.message, details)
    }
}

impl From<Fault> for Status {
    /// Logs the fault: this is where it stops travelling.
    fn from(fault: Fault) -> Self {
        let chain = fault.chain();
        let (reason, message) = match fault.kind {
            FaultKind::Unavailable => {
                tracing::warn!(kind = ?fault.kind, "{chain}");
                (Reason::DatabaseUnavailable, "temporarily unavailable, try again")
            }
            // Counted as a call's status; a log line for each would make it worse.
            FaultKind::Overloaded => {
                tracing::debug!(kind = ?fault.kind, "{chain}");
                (Reason::Overloaded, "too much waits already, try later")
            }
            FaultKind::Database | FaultKind::Internal => {
                tracing::error!(kind = ?fault.kind, "{chain}");
                (Reason::InternalFault, "internal error")
            }
        };
        Refusal::new(reason, message).into()
    }
}

/// The gRPC code of each class of reasons.
fn code(class: Class) -> Code {
    match class {
        Class::InvalidArgument => Code::InvalidArgument,
        Class::NotFound => Code::NotFound,
        Class::AlreadyExists => Code::AlreadyExists,
        Class::FailedPrecondition => Code::FailedPrecondition,
        Class::Aborted => Code::Aborted,
        Class::Unauthenticated => Code::Unauthenticated,
        Class::PermissionDenied => Code::PermissionDenied,
        Class::ResourceExhausted => Code::ResourceExhausted,
        Class::OutOfRange => Code::OutOfRange,
        Class::Unavailable => Code::Unavailable,
        Class::DeadlineExceeded => Code::DeadlineExceeded,
        Class::Internal => Code::Internal,
    }
}

/// The reason that a status of ours carries. `None` for a status that somebody else made.
#[must_use]
pub fn reason_of(status: &Status) -> Option<Reason> {
    status.get_details_error_info().filter(|info| info.domain == DOMAIN)?.reason.parse().ok()
}

/// Nothing is served under this path.
#[must_use]
pub fn unknown_method() -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("METHOD_UNKNOWN", DOMAIN, HashMap::new());
    Status::with_error_details(Code::Unimplemented, "there is no such method here", details)
}

/// Gives an `ErrorInfo` to a status that tonic made by itself, before any handler ran. `None` if it has details, or
/// if nothing is wrong.
///
/// tonic calls a message that it cannot decode INTERNAL; that is the caller's mistake, and is said so.
#[must_use]
pub fn explained(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    match status.code() {
        Code::Ok => None,
        Code::OutOfRange => Some(Refusal::new(Reason::MessageTooLarge, status.message()).into()),
        Code::Internal => {
            let message = format!("the message cannot be read: {}", status.message());
            Some(Refusal::new(Reason::FieldInvalid, message).into())
        }
        Code::Unimplemented if status.message().is_empty() => Some(unknown_method()),
        code => {
            let mut details = ErrorDetails::new();
            details.set_error_info(code_name(code), DOMAIN, HashMap::new());
            Some(Status::with_error_details(code, status.message(), details))
        }
    }
}

/// The code as the specification spells it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// What the head of an answer says, for telemetry: the status in a word, and whether it is the server's own fault. A
/// good answer's status comes behind its body; there is none in the head.
pub(crate) fn in_head(headers: &http::HeaderMap) -> (&'static str, bool) {
    let code = Status::from_header_map(headers).map_or(Code::Ok, |status| status.code());
    let is_servers = match code {
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => false,
    };
    (code_name(code), is_servers)
}

#[cfg(test)]
mod tests;
