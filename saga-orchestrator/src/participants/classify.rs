//! What an answer of the wire means: one table for verdicts, one for statuses.
//!
//! What a participant knows travels in an OK reply. Every other status is unknown, because tonic invents them too;
//! some only say that asking again is pointless.

use brokerage_proto::common::v1::{StepReply, Verdict};
use brokerage_types::Reason;
use service_kit::{defect, fault};
use tonic::{Code, Status};

use super::wire;
use crate::engine::reply::{Answer, Reply, Trouble, TroubleKind};

/// Reads an OK reply.
pub(super) fn reply(reply: &StepReply) -> Answer {
    let known = match Verdict::try_from(reply.verdict) {
        Ok(Verdict::Done) if reply.reason.is_empty() => Reply::Done,
        // Only compensations have one.
        Ok(Verdict::Done) => Reply::Undone(reason(&reply.reason)),
        Ok(Verdict::Rejected) => Reply::Rejected(reason(&reply.reason)),
        Ok(Verdict::Tombstone) => Reply::Tombstone(reason(&reply.reason)),
        Ok(Verdict::Refused) => Reply::Refused,
        Ok(Verdict::NotNow) => Reply::NotNow,
        Ok(Verdict::Expired) => Reply::Expired,
        Ok(Verdict::StaleEpoch) => Reply::StaleEpoch(reply.highest_epoch),
        Ok(Verdict::Mismatch) => Reply::Poison("the same key came with another command".to_owned()),
        Ok(Verdict::TooOld) => {
            Reply::Poison("the saga is older than what the participant remembers".to_owned())
        }
        // A newer participant may say what this version does not know.
        Ok(Verdict::Unspecified) | Err(_) => {
            Reply::Poison(format!("verdict {} has no meaning here", reply.verdict))
        }
    };
    Answer { reply: known, database_time: reply.database_time.as_ref().and_then(wire::instant) }
}

/// A reason of the catalogue. A newer participant may know more of them; the verdict counts, not its reason.
fn reason(text: &str) -> Reason {
    text.parse().unwrap_or_else(|_| {
        tracing::warn!(reason = text, "a participant gave the unknown reason {text:?}");
        Reason::GaveUp
    })
}

/// Reads any other status.
pub(super) fn status(status: &Status) -> Reply {
    let detail = format!("{:?}: {}", status.code(), status.message());
    let unknown = |kind| Reply::Unknown(Trouble { kind, detail: detail.clone() });
    match status.code() {
        Code::OutOfRange | Code::InvalidArgument | Code::Unimplemented | Code::FailedPrecondition => {
            Reply::Poison(detail)
        }
        Code::Unavailable if defect::is_seeded("unavailable_means_rejected") => {
            Reply::Rejected(Reason::GaveUp)
        }
        Code::DeadlineExceeded if defect::is_seeded("timeout_means_done") => Reply::Done,
        Code::ResourceExhausted => unknown(TroubleKind::Busy),
        Code::Unauthenticated | Code::PermissionDenied => unknown(TroubleKind::Forbidden),
        // With our reason it comes from the service itself, not from what is between us.
        Code::Internal if fault::reason_of(status) == Some(Reason::InternalFault) => {
            unknown(TroubleKind::Faulted)
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => unknown(TroubleKind::NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ok_reply_is_knowledge() {
        let say = |verdict: Verdict, text: &str| {
            let wire = StepReply {
                verdict: verdict.into(),
                reason: text.to_owned(),
                database_time: None,
                highest_epoch: 7,
            };
            reply(&wire).reply
        };
        assert_eq!(say(Verdict::Done, ""), Reply::Done);
        assert_eq!(say(Verdict::Done, "GAVE_UP"), Reply::Undone(Reason::GaveUp));
        assert_eq!(
            say(Verdict::Rejected, "INSUFFICIENT_USABLE"),
            Reply::Rejected(Reason::InsufficientUsable)
        );
        assert_eq!(say(Verdict::Rejected, "OF_THE_FUTURE"), Reply::Rejected(Reason::GaveUp));
        assert_eq!(say(Verdict::Tombstone, "GAVE_UP"), Reply::Tombstone(Reason::GaveUp));
        assert_eq!(say(Verdict::Refused, ""), Reply::Refused);
        assert_eq!(say(Verdict::NotNow, ""), Reply::NotNow);
        assert_eq!(say(Verdict::Expired, ""), Reply::Expired);
        assert_eq!(say(Verdict::StaleEpoch, ""), Reply::StaleEpoch(7));
        for poison in [Verdict::Mismatch, Verdict::TooOld, Verdict::Unspecified] {
            assert!(matches!(say(poison, ""), Reply::Poison(_)), "{poison:?}");
        }
    }

    #[test]
    fn statuses_are_unknown_or_poison_and_never_a_refusal() {
        let retried = [
            (Code::Unavailable, TroubleKind::NoAnswer),
            (Code::Cancelled, TroubleKind::NoAnswer),
            (Code::DeadlineExceeded, TroubleKind::NoAnswer),
            (Code::Unknown, TroubleKind::NoAnswer),
            (Code::Internal, TroubleKind::NoAnswer),
            (Code::Aborted, TroubleKind::NoAnswer),
            (Code::DataLoss, TroubleKind::NoAnswer),
            (Code::NotFound, TroubleKind::NoAnswer),
            (Code::ResourceExhausted, TroubleKind::Busy),
            (Code::Unauthenticated, TroubleKind::Forbidden),
            (Code::PermissionDenied, TroubleKind::Forbidden),
        ];
        for (code, expected) in retried {
            let Reply::Unknown(trouble) = status(&Status::new(code, "x")) else { panic!("{code:?}") };
            assert_eq!(trouble.kind, expected, "{code:?}");
        }
        let ours = Status::from(fault::Refusal::new(Reason::InternalFault, "a command that panics"));
        let Reply::Unknown(trouble) = status(&ours) else { panic!("{ours:?}") };
        assert_eq!(trouble.kind, TroubleKind::Faulted, "the service is there");
        for code in [Code::OutOfRange, Code::InvalidArgument, Code::Unimplemented, Code::FailedPrecondition] {
            assert!(matches!(status(&Status::new(code, "x")), Reply::Poison(_)), "{code:?}");
        }
    }
}
