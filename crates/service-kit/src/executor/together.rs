//! Many steps in one call: what a participant does with `DoSteps`.
//!
//! A call costs as much as a step. Steps that travel together also meet in one batch of a lane, which costs the
//! database less. Each has its own outcome and its own trace: one that is refused, or broken, disturbs no other.

use brokerage_proto::common::v1::{StepFault, StepOutcome, StepReply, step_outcome};
use brokerage_types::Reason;
use futures::future::join_all;
use tonic::{Response, Status};

use crate::fault::Refusal;
use crate::telemetry::{self, Scope, TraceParent};

/// How many steps one call may carry.
pub const STEPS_MAX: usize = 256;

/// Does all of them, each in its saga's trace, and tells their outcomes in the same order.
///
/// # Errors
/// Too many steps, or none: nothing is done then.
pub async fn do_together<S, Doing>(
    steps: Vec<(String, S)>,
    mut one: impl FnMut(S) -> Doing,
) -> Result<Vec<StepOutcome>, Status>
where
    Doing: Future<Output = Result<Response<StepReply>, Status>>,
{
    if steps.is_empty() || steps.len() > STEPS_MAX {
        let description = format!("must hold 1 to {STEPS_MAX} steps");
        return Err(Refusal::field("steps", Reason::FieldInvalid, description).into());
    }
    let call = Scope::current();
    let doing = steps.into_iter().map(|(traceparent, step)| {
        let own = TraceParent::parse(&traceparent);
        let scope = call.as_ref().zip(own).map(|(call, own)| call.tracer().resume(own));
        telemetry::within(scope, one(step))
    });
    Ok(join_all(doing).await.into_iter().map(outcome).collect())
}

fn outcome(answered: Result<Response<StepReply>, Status>) -> StepOutcome {
    let kind = match answered {
        Ok(reply) => step_outcome::Kind::Reply(reply.into_inner()),
        Err(status) => step_outcome::Kind::Fault(StepFault {
            code: status.code().into(),
            message: status.message().to_owned(),
        }),
    };
    StepOutcome { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use brokerage_proto::common::v1::Verdict;
    use tonic::Code;

    use super::*;

    async fn answered(step: u32) -> Result<Response<StepReply>, Status> {
        if step == 1 {
            return Err(Status::unavailable("not now"));
        }
        Ok(Response::new(StepReply { verdict: Verdict::Done.into(), ..StepReply::default() }))
    }

    #[tokio::test]
    async fn each_step_has_its_own_outcome_in_order() {
        let steps = vec![(String::new(), 0), ("nonsense".to_owned(), 1), (String::new(), 2)];
        let outcomes = do_together(steps, answered).await.unwrap();
        let codes: Vec<Option<i32>> = outcomes
            .iter()
            .map(|outcome| match outcome.kind.as_ref().unwrap() {
                step_outcome::Kind::Reply(_) => None,
                step_outcome::Kind::Fault(fault) => Some(fault.code),
            })
            .collect();
        assert_eq!(codes, [None, Some(Code::Unavailable.into()), None]);
    }

    #[tokio::test]
    async fn no_steps_and_too_many_steps_are_refused() {
        for count in [0, STEPS_MAX + 1] {
            let steps = vec![(String::new(), 0); count];
            assert_eq!(do_together(steps, answered).await.unwrap_err().code(), Code::InvalidArgument);
        }
    }
}
