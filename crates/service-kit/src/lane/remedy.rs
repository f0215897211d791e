//! Why a batch fails, and what can be done about it.

/// Why a batch was not kept.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// Another transaction decided first; the batch must be run again to see it.
    #[error("another transaction decided first")]
    Conflict,
    /// The database said no, or said nothing.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// Ours: a broken row, a panic, a programming error.
    #[error("{0}")]
    Fault(String),
}

/// What to do about a failed batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    RunAgain,
    RunAgainFewTimes,
    Reconnect,
    /// The database cannot do it now: it is out of room or of time. Its caller decides when to ask again.
    Later,
    GiveUp,
}

impl Remedy {
    /// Why a batch is run again, in numbers.
    pub fn word(&self) -> &'static str {
        match self {
            Remedy::RunAgain => "conflict",
            Remedy::RunAgainFewTimes => "transient",
            Remedy::Reconnect => "reconnect",
            Remedy::Later | Remedy::GiveUp => "none",
        }
    }
}

impl LaneError {
    pub(super) fn remedy(&self) -> Remedy {
        let error = match self {
            LaneError::Conflict => return Remedy::RunAgain,
            LaneError::Fault(_) => return Remedy::GiveUp,
            LaneError::Database(error) => error,
        };
        let Some(code) = error.as_database_error().and_then(|e| e.code()) else {
            return match error {
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => Remedy::Reconnect,
                _ => Remedy::GiveUp,
            };
        };
        match code.as_ref() {
            // A unique key that another transaction has just taken: its verdict is readable now.
            "23505" => Remedy::RunAgain,
            "40001" | "40P01" | "55P03" => Remedy::RunAgainFewTimes,
            // All connections are taken.
            "53300" => Remedy::Reconnect,
            code if code.starts_with("57P") || code.starts_with("08") || code == "25006" => Remedy::Reconnect,
            code if code == "57014" || code.starts_with("53") => Remedy::Later,
            _ => Remedy::GiveUp,
        }
    }
}
