//! Carries steps to one participant: alone when there is one, together when several wait.
//!
//! While a call is under way, the next steps collect. A call may wait a moment for the other participant's
//! ([`convoy`](super::convoy)). A step that nobody waits for any more is not sent. When a call of several fails in a way
//! that would make its steps poison, that may be the call's own fault (an older participant does not know it, or it was
//! too large), so its steps are unknown and go alone for a while.

use std::sync::Arc;
use std::time::Duration;

use brokerage_proto::common::v1::{StepOutcome, StepReply, step_outcome};
use service_kit::channel::with_deadline;
use service_kit::executor::STEPS_MAX;
use service_kit::names::{self, attribute, link};
use service_kit::telemetry::{self, Kind, Scope, Span};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use super::classify;
use super::convoy::Place;
use crate::engine::reply::{Answer, Reply, Trouble, TroubleKind};

/// How many calls to one participant are under way at most. With one, whatever a lane is given it does in one batch;
/// more would make each batch smaller.
const CALLS_MAX: usize = 1;
/// How many steps may wait; beyond that the participant counts as busy.
const QUEUE_MAX: usize = 16_384;
/// How long steps go alone after a call of several was not understood.
const ALONE_FOR: Duration = Duration::from_secs(30);

/// A participant's two ways of doing steps.
pub(super) trait Target: Clone + Send + Sync + 'static {
    /// A step as the wire has it.
    type Step: Send + 'static;
    /// By the step's own RPC.
    fn one(
        self,
        step: Self::Step,
        deadline: Duration,
    ) -> impl Future<Output = Result<StepReply, Status>> + Send;
    /// All in one call, each with its trace.
    fn many(
        self,
        steps: Vec<(String, Self::Step)>,
        deadline: Duration,
    ) -> impl Future<Output = Result<Vec<StepOutcome>, Status>> + Send;
}

/// A handle to the carrier of one participant's steps. Clones share it.
pub(super) struct Courier<T: Target> {
    queue: mpsc::Sender<Parcel<T::Step>>,
}

impl<T: Target> Clone for Courier<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

struct Parcel<S> {
    step: S,
    scope: Option<Scope>,
    reply: oneshot::Sender<Answer>,
}

impl<T: Target> Courier<T> {
    /// Starts the carrier. Must be called inside a runtime; it ends with its last handle.
    pub fn start(target: T, deadline: Duration, place: Place) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let carrier = Carrier { target, deadline, alone_until: Arc::default() };
        // Not a tracked task: it holds nothing that must be brought to an end.
        tokio::spawn(carrier.run(waiting, place));
        Self { queue }
    }

    /// Sends a step, at once; waits for what comes back. Every saga in flight keeps what this returns, so it is small.
    pub fn send(&self, step: T::Step) -> impl Future<Output = Answer> + use<T> {
        let (reply, answer) = oneshot::channel();
        let is_sent = self.queue.try_send(Parcel { step, scope: Scope::current(), reply }).is_ok();
        async move {
            match answer.await {
                Ok(answer) => answer,
                Err(_) if is_sent => unknown(TroubleKind::NoAnswer, "the call was dropped"),
                Err(_) => unknown(TroubleKind::Busy, "too many steps wait for the participant"),
            }
        }
    }
}

#[derive(Clone)]
struct Carrier<T> {
    target: T,
    deadline: Duration,
    alone_until: Arc<std::sync::Mutex<Option<Instant>>>,
}

impl<T: Target> Carrier<T> {
    async fn run(self, mut waiting: mpsc::Receiver<Parcel<T::Step>>, place: Place) {
        let calls = Arc::new(Semaphore::new(CALLS_MAX));
        while let Some(first) = waiting.recv().await {
            let Ok(call) = Arc::clone(&calls).acquire_owned().await else { return };
            // Those in the queue, and the first.
            place.join(waiting.len() + 1).await;
            let trip = place.leave();
            // Lets drivers that are ready to run send first, so that their steps share this call.
            tokio::task::yield_now().await;
            let most = if self.goes_alone() { 1 } else { STEPS_MAX };
            let mut parcels = vec![first];
            while parcels.len() < most {
                let Ok(parcel) = waiting.try_recv() else { break };
                parcels.push(parcel);
            }
            parcels.retain(|parcel| !parcel.reply.is_closed());
            let carrier = self.clone();
            tokio::spawn(async move {
                carrier.deliver(parcels).await;
                drop((trip, call));
            });
        }
    }

    async fn deliver(self, mut parcels: Vec<Parcel<T::Step>>) {
        if parcels.len() > 1 {
            return self.deliver_together(parcels).await;
        }
        let Some(Parcel { step, scope, reply }) = parcels.pop() else { return };
        let sent = with_deadline(self.target.one(step, self.deadline), self.deadline);
        let sent = telemetry::within(scope, sent).await;
        // The driver may have stopped waiting.
        let _ = reply.send(match sent {
            Ok(known) => classify::reply(&known),
            Err(status) => Answer { reply: classify::status(&status), database_time: None },
        });
    }

    async fn deliver_together(self, parcels: Vec<Parcel<T::Step>>) {
        let (mut steps, mut replies) = (Vec::with_capacity(parcels.len()), Vec::with_capacity(parcels.len()));
        let (_span, scope) = shared(&parcels);
        for parcel in parcels {
            let traceparent = parcel.scope.map(|scope| scope.traceparent().to_string());
            steps.push((traceparent.unwrap_or_default(), parcel.step));
            replies.push(parcel.reply);
        }
        let sent = with_deadline(self.target.clone().many(steps, self.deadline), self.deadline);
        let sent = telemetry::within(scope, sent).await;
        match sent {
            Ok(outcomes) if outcomes.len() == replies.len() => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    let _ = reply.send(known(outcome));
                }
            }
            Ok(_) => self.not_understood(replies, "the call answered another number of steps"),
            Err(status) => match classify::status(&status) {
                Reply::Poison(detail) => self.not_understood(replies, &detail),
                unknown => {
                    for reply in replies {
                        let _ = reply.send(Answer { reply: unknown.clone(), database_time: None });
                    }
                }
            },
        }
    }

    fn not_understood(&self, replies: Vec<oneshot::Sender<Answer>>, detail: &str) {
        tracing::warn!("a call of {} steps was not understood, steps go alone: {detail}", replies.len());
        *self.alone_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(Instant::now() + ALONE_FOR);
        for reply in replies {
            let _ = reply.send(unknown(TroubleKind::NoAnswer, detail));
        }
    }

    fn goes_alone(&self) -> bool {
        let until = *self.alone_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// The trace of a call that many steps share. It belongs to none of them: it points to those that are recorded.
fn shared<S>(parcels: &[Parcel<S>]) -> (Span, Option<Scope>) {
    let scopes = || parcels.iter().filter_map(|parcel| parcel.scope.as_ref());
    let Some(tracer) = scopes().next().map(Scope::tracer) else { return (Span::none(), None) };
    let shared = tracer.begin(scopes().any(Scope::is_recorded));
    let mut span = shared.span(Kind::Internal, || names::DELIVER.into());
    span.set(attribute::STEPS, parcels.len());
    for scope in scopes().filter(|scope| scope.is_recorded()) {
        span.link(scope.traceparent(), link::SERVES);
    }
    let scope = span.scope(&shared);
    (span, Some(scope))
}

fn known(outcome: StepOutcome) -> Answer {
    match outcome.kind {
        Some(step_outcome::Kind::Reply(reply)) => classify::reply(&reply),
        Some(step_outcome::Kind::Fault(fault)) => {
            let status = Status::new(Code::from_i32(fault.code), fault.message);
            match status.code() {
                // Said by the participant of one step: it is there, whatever is wrong with the step.
                Code::Internal => unknown(TroubleKind::Faulted, &format!("Internal: {}", status.message())),
                _other => Answer { reply: classify::status(&status), database_time: None },
            }
        }
        None => unknown(TroubleKind::NoAnswer, "a step without an outcome"),
    }
}

fn unknown(kind: TroubleKind, detail: &str) -> Answer {
    Answer { reply: Reply::Unknown(Trouble { kind, detail: detail.to_owned() }), database_time: None }
}

/// A wire request with a deadline.
pub(super) fn stamped<M>(message: M, deadline: Duration) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use brokerage_proto::common::v1::{StepFault, Verdict};
    use futures::future::join_all;

    use super::super::convoy;
    use super::*;

    /// Keeps the sizes of its calls; step 13 is refused, and it may not know calls of several.
    #[derive(Clone, Default)]
    struct Listed {
        calls: Arc<Mutex<Vec<usize>>>,
        is_old: bool,
    }

    fn done() -> StepReply {
        StepReply { verdict: Verdict::Done.into(), ..StepReply::default() }
    }

    impl Target for Listed {
        type Step = u32;

        async fn one(self, _step: u32, _deadline: Duration) -> Result<StepReply, Status> {
            self.calls.lock().unwrap().push(1);
            Ok(done())
        }

        async fn many(
            self,
            steps: Vec<(String, u32)>,
            _deadline: Duration,
        ) -> Result<Vec<StepOutcome>, Status> {
            self.calls.lock().unwrap().push(steps.len());
            if self.is_old {
                return Err(Status::unimplemented("what is that?"));
            }
            let outcome = |(_, step): &(String, u32)| StepOutcome {
                kind: Some(if *step == 13 {
                    let code = Code::InvalidArgument.into();
                    step_outcome::Kind::Fault(StepFault { code, message: "no".to_owned() })
                } else {
                    step_outcome::Kind::Reply(done())
                }),
            };
            Ok(steps.iter().map(outcome).collect())
        }
    }

    #[tokio::test]
    async fn a_lone_step_uses_its_own_rpc_and_several_share_a_call() {
        let target = Listed::default();
        let courier = Courier::start(target.clone(), Duration::from_secs(1), convoy::pair().0);
        assert_eq!(courier.send(1).await.reply, Reply::Done);
        let answers = join_all((10..20).map(|step| courier.send(step))).await;
        for (step, answer) in (10..20).zip(answers) {
            assert_eq!(matches!(answer.reply, Reply::Poison(_)), step == 13, "{step}");
        }
        assert_eq!(*target.calls.lock().unwrap(), [1, 10]);
    }

    #[tokio::test]
    async fn a_call_that_is_not_understood_makes_no_step_poison() {
        let target = Listed { is_old: true, ..Listed::default() };
        let courier = Courier::start(target.clone(), Duration::from_secs(1), convoy::pair().0);
        for answer in join_all((0..3).map(|step| courier.send(step))).await {
            assert!(matches!(answer.reply, Reply::Unknown(_)), "{answer:?}");
        }
        for answer in join_all((0..3).map(|step| courier.send(step))).await {
            assert_eq!(answer.reply, Reply::Done);
        }
        assert_eq!(*target.calls.lock().unwrap(), [3, 1, 1, 1]);
    }
}
