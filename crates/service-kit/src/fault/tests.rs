//! What callers are told, reason by reason.

use super::*;

#[test]
fn every_reason_arrives_with_its_class_and_itself() {
    for reason in Reason::ALL {
        let status = Status::from(Refusal::new(*reason, "why").with("key", "value"));
        assert_eq!(status.code(), code(reason.class()), "{reason:?}");
        assert_eq!(reason_of(&status), Some(*reason));
        let info = status.get_details_error_info().expect("one ErrorInfo");
        assert_eq!(info.domain, DOMAIN);
        assert_eq!(info.metadata.get("key").map(String::as_str), Some("value"));
        assert!(info.reason.len() <= 63);
    }
}

#[test]
fn a_violation_starts_with_its_own_reason() {
    let status = Status::from(Refusal::field("limit_price", Reason::OffTick, "must be a multiple of 0.01"));
    let bad = status.get_details_bad_request().expect("a BadRequest");
    assert_eq!(bad.field_violations.len(), 1);
    assert_eq!(bad.field_violations[0].field, "limit_price");
    assert_eq!(bad.field_violations[0].description, "OFF_TICK: must be a multiple of 0.01");
}

#[test]
fn a_fault_tells_callers_nothing() {
    let fault = Fault::internal("load order", "secret table is broken");
    assert_eq!(fault.chain(), "load order: secret table is broken");
    let status = Status::from(fault);
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "internal error");
    assert_eq!(reason_of(&status), Some(Reason::InternalFault));
}

#[test]
fn a_database_that_is_away_is_unavailable_and_never_a_refusal() {
    for error in [
        sqlx::Error::PoolTimedOut,
        sqlx::Error::PoolClosed,
        sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into()),
    ] {
        let status = Status::from(ApiError::from(error));
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(reason_of(&status), Some(Reason::DatabaseUnavailable));
    }
    let broken = Status::from(ApiError::from(sqlx::Error::RowNotFound));
    assert_eq!(broken.code(), Code::Internal);
}

#[test]
fn context_keeps_the_cause_and_the_kind() {
    let error: Result<(), sqlx::Error> = Err(sqlx::Error::PoolTimedOut);
    let fault = error.context("load order").context("answer GetOrder").expect_err("it failed");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.chain().starts_with("answer GetOrder: load order: "), "{}", fault.chain());
}

#[test]
fn what_tonic_says_by_itself_is_explained() {
    let told = |status| explained(&status).map(|status| (status.code(), reason_of(&status)));
    let too_large = told(Status::out_of_range("found 70000 bytes"));
    assert_eq!(too_large, Some((Code::OutOfRange, Some(Reason::MessageTooLarge))));
    let unreadable = told(Status::internal("invalid wire type"));
    assert_eq!(unreadable, Some((Code::InvalidArgument, Some(Reason::FieldInvalid))));
    let unknown = explained(&Status::unimplemented("")).expect("explained");
    assert_eq!(unknown.get_details_error_info().expect("with details").reason, "METHOD_UNKNOWN");
    assert_eq!(told(Refusal::new(Reason::InternalFault, "internal error").into()), None);
    assert_eq!(told(Status::ok("")), None);
}
