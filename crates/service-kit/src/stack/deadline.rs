//! Bounds each call by its deadline, and says DEADLINE_EXCEEDED when it passes.
//!
//! tonic has a timer of its own that answers CANCELLED, which hides deadline misses from everybody. Ours fires
//! slightly earlier. The deadline covers a call until the head of its answer: a stream may then go on.

use std::time::Duration;

use brokerage_types::Reason;
use tokio::time::Instant;
use tonic::Status;

use super::{Around, Next, Request, Response};
use crate::fault::Refusal;

/// How much earlier than the caller's own deadline ours fires, at most.
const SLACK_MAX: Duration = Duration::from_millis(5);

/// When the caller stops waiting; in the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// How much time this request has left. Zero when it has none.
    #[must_use]
    pub fn remaining<T>(request: &tonic::Request<T>) -> Option<Duration> {
        let deadline = request.extensions().get::<Self>()?;
        Some(deadline.0.saturating_duration_since(Instant::now()))
    }

    /// How much time the caller gives a call, if he says so.
    #[must_use]
    pub(crate) fn given(headers: &http::HeaderMap) -> Option<Duration> {
        parse(headers.get("grpc-timeout")?.to_str().ok()?)
    }
}

/// The layer.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// For a call that brings no deadline.
    pub default: Duration,
    /// No deadline is longer.
    pub max: Duration,
}

impl Around for Bound {
    async fn around<N: Next>(self, mut request: Request, next: N) -> Response {
        let asked = Deadline::given(request.headers());
        let bound = asked.map_or(self.default, |asked| asked - SLACK_MAX.min(asked / 2)).min(self.max);
        request.extensions_mut().insert(Deadline(Instant::now() + bound));
        match tokio::time::timeout(bound, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let message = "the deadline has passed; the outcome is not known";
                let waited_ms = bound.as_millis().to_string();
                let refusal = Refusal::new(Reason::DeadlineExceeded, message).with("waited_ms", waited_ms);
                Status::from(refusal).into_http()
            }
        }
    }
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::reason_of;

    struct Silent;

    impl Next for Silent {
        async fn run(self, _request: Request) -> Response {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn the_shorter_of_the_callers_and_our_deadline_counts() {
        let long = Duration::from_secs(3600);
        let short = Duration::from_millis(1);
        for (given, default, max) in [
            (Some("1m"), long, long),
            (None, short, long),
            (Some("1H"), long, short),
            (Some("soon"), short, long),
        ] {
            let mut request = Request::default();
            if let Some(given) = given {
                request.headers_mut().insert("grpc-timeout", given.parse().unwrap());
            }
            let response = Bound { default, max }.around(request, Silent).await;
            let status = Status::from_header_map(response.headers()).unwrap();
            assert_eq!(reason_of(&status), Some(Reason::DeadlineExceeded), "{given:?}");
        }
    }

    #[test]
    fn timeouts_are_read_as_the_specification_writes_them() {
        let table = [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("40m", Some(Duration::from_millis(40))),
            ("50u", Some(Duration::from_micros(50))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000n", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("-1S", None),
            ("1s", None),
            ("1İ", None),
        ];
        for (text, wanted) in table {
            assert_eq!(parse(text), wanted, "{text:?}");
        }
    }
}
