//! The span of one driver: in the trace of whoever asked for the saga, also when another process has taken it over.

use brokerage_types::{Reason, SagaId};
use service_kit::names::{self, attribute, event, link};
use service_kit::telemetry::{Kind, Scope, Span, TraceParent, Tracer};

use crate::engine::decide::Status;
use crate::engine::drive::{End, Outcome};

/// Where a driver's span belongs; nowhere if the trace is not recorded.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// The saga was accepted here, in the current scope, and its row says that this will be its driver's span.
    Accepted(Option<TraceParent>),
    /// It was taken over; this was the span of its first driver.
    Adopted(Option<TraceParent>),
}

/// A driver's span, and where the driver works.
pub(super) struct Traced {
    pub span: Span,
    pub scope: Option<Scope>,
}

impl Traced {
    pub fn begin(origin: Origin, tracer: &Tracer, (saga_id, kind, epoch): (SagaId, &str, u64)) -> Self {
        let (mut span, scope) = match origin {
            Origin::Accepted(own) => {
                let scope = Scope::current();
                let span = scope.as_ref().zip(own);
                let span = span.map(|(scope, own)| scope.span_as(own, Kind::Internal, || names::saga(kind)));
                (span.unwrap_or_default(), scope)
            }
            Origin::Adopted(first) => {
                let scope = first.map(|first| tracer.resume(first));
                let span = scope.as_ref().map(|scope| scope.span(Kind::Internal, || names::saga(kind)));
                let mut span = span.unwrap_or_default();
                first.inspect(|first| span.link(*first, link::ADOPTED));
                (span, scope)
            }
        };
        if span.is_recorded() {
            span.set(attribute::SAGA_ID, saga_id.uuid());
            span.set(attribute::SAGA_KIND, kind.to_owned());
            span.set(attribute::SAGA_EPOCH, i64::try_from(epoch).unwrap_or(i64::MAX));
        }
        let scope = scope.map(|scope| span.scope(&scope));
        Self { span, scope }
    }
}

/// Notes where the saga stands now.
pub(super) fn stands(span: &mut Span, status: Status, reason: Option<Reason>) {
    let name = match status {
        Status::Compensating => event::TURNED_ROUND,
        Status::Parked => event::PARKED,
        Status::Running => event::RESUMED,
        Status::Completed | Status::RolledBack => return,
    };
    span.event(name, reason.map(|reason| (attribute::REASON, reason.as_str().into())));
}

/// Notes how the driver ended, and with it its span; a driver that panicked has not.
pub(super) fn ended(mut span: Span, end: Option<&End>) {
    match end {
        Some(End::Ended(Outcome::Completed)) => span.set(attribute::SAGA_OUTCOME, "COMPLETED"),
        Some(End::Ended(Outcome::RolledBack { reason, .. })) => {
            span.set(attribute::SAGA_OUTCOME, "ROLLED_BACK");
            span.set(attribute::REASON, reason.as_str());
        }
        Some(End::Superseded | End::Stopped) => span.set(attribute::SAGA_OUTCOME, "LEFT"),
        None => span.fail("panic"),
    }
}
