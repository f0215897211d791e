//! Stands between the engine and the participants and does to one step what a case says.

use std::sync::{Arc, Mutex};

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, Utc};
use saga_orchestrator::engine::control::Control;
use saga_orchestrator::engine::definition::{Role, StepNo};
use saga_orchestrator::engine::reply::{
    Answer, Direction, Participants, Reply, Request, Trouble, TroubleKind,
};
use saga_orchestrator::sagas::command::Command;

use super::fault::{Fault, altered};
use super::world::World;

/// Which step it is after, and how.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Which step.
    pub step: StepNo,
    /// What that is to its saga.
    pub role: Role,
    /// What happens to it.
    pub fault: Fault,
}

/// A message that was delivered.
struct Sent {
    step: StepNo,
    direction: Direction,
    command: Command,
    not_after: DateTime<Utc>,
}

/// See the file's head.
pub struct Saboteur {
    world: Arc<World>,
    target: Option<Target>,
    control: Arc<Control>,
    strikes: Mutex<u32>,
    sent: Mutex<Vec<Sent>>,
    /// Steps of one stage are sent together; what one changes is told apart by delivering them one after the other.
    turn: tokio::sync::Mutex<()>,
}

impl Saboteur {
    /// Without a target it only delivers. `control` is the ear of the saga's driver.
    pub fn new(world: Arc<World>, target: Option<Target>, control: Arc<Control>) -> Self {
        let turn = tokio::sync::Mutex::default();
        Self { world, target, control, strikes: Mutex::default(), sent: Mutex::default(), turn }
    }

    /// How often the fault happened.
    pub fn strikes(&self) -> u32 {
        *self.strikes.lock().unwrap()
    }

    /// Whether a compensation of the step was delivered.
    pub fn was_asked_to_undo(&self, step: StepNo) -> bool {
        self.sent.lock().unwrap().iter().any(|sent| sent.step == step && sent.direction.is_undo())
    }

    /// Delivers everything once more, in order and backwards: a network may keep messages for as long as it likes.
    pub async fn deliver_all_again(&self, saga_id: SagaId) -> usize {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        for late in sent.iter().chain(sent.iter().rev()) {
            let request = Request {
                saga_id,
                step: late.step,
                direction: late.direction,
                command: &late.command,
                epoch: 1,
                not_after: late.not_after,
                attempt: 9,
                intent: &[],
            };
            self.world.grpc.send(&request).await;
        }
        2 * sent.len()
    }

    fn strike(&self) {
        *self.strikes.lock().unwrap() += 1;
    }

    async fn deliver(&self, request: &Request<'_>) -> Answer {
        let sent = Sent {
            step: request.step,
            direction: request.direction,
            command: request.command.clone(),
            not_after: request.not_after,
        };
        self.sent.lock().unwrap().push(sent);
        self.world.grpc.send(request).await
    }

    /// Delivers a message that must change nothing.
    async fn deliver_in_vain(&self, request: &Request<'_>) -> Reply {
        let before = self.world.snapshot().await;
        let answer = self.deliver(request).await;
        let claim = format!("{:?}: {:?} came in vain", self.target, request.direction);
        self.world.snapshot().await.assert_same(&before, &claim);
        answer.reply
    }

    async fn repeat(&self, request: &Request<'_>) -> Answer {
        let first = self.deliver(request).await;
        let second = self.deliver_in_vain(request).await;
        assert_eq!(second, first.reply, "{:?}: the same message, another answer", self.target);
        self.strike();
        first
    }

    async fn lose(&self, request: &Request<'_>, is_delivered: bool, is_given_up: bool) -> Answer {
        if is_delivered {
            self.deliver(request).await;
        }
        if is_given_up {
            self.control.abort();
        }
        self.strike();
        nothing_heard()
    }

    /// Lets the driver turn round at this step, so that it will be compensated.
    async fn turn_round(&self, request: &Request<'_>, role: Role) -> Answer {
        match role {
            // Done first: there shall be something to take back.
            Role::Compensatable => {
                let answer = self.deliver(request).await;
                assert_eq!(answer.reply, Reply::Done, "{:?}", self.target);
                self.control.abort();
                answer
            }
            // Once a pivot has run nobody can turn round.
            Role::Pivot => {
                self.control.abort();
                nothing_heard()
            }
            Role::Check | Role::Retriable => self.undo_in_vain(request, role).await,
        }
    }

    /// What nothing takes back is not taken back, not even when asked to, twice.
    async fn undo_in_vain(&self, request: &Request<'_>, role: Role) -> Answer {
        let answer = self.deliver(request).await;
        let undo = Request { direction: Direction::Undo(Reason::GaveUp), ..request.clone() };
        for _ in 0..2 {
            let reply = self.deliver_in_vain(&undo).await;
            let is_known = match role {
                Role::Retriable | Role::Check => matches!(reply, Reply::Poison(_)),
                Role::Compensatable | Role::Pivot => false,
            };
            assert!(is_known, "{:?}: its compensation was answered {reply:?}", self.target);
        }
        assert_eq!(self.deliver_in_vain(request).await, answer.reply, "{:?}", self.target);
        self.strike();
        answer
    }

    async fn compensate_before_do(&self, request: &Request<'_>, role: Role) -> Answer {
        match role {
            Role::Compensatable | Role::Pivot => {
                let undo = Request { direction: Direction::Undo(Reason::GaveUp), ..request.clone() };
                let gone = Reply::Undone(Reason::GaveUp);
                assert_eq!(self.deliver(&undo).await.reply, gone, "{:?}", self.target);
                let late = self.deliver_in_vain(request).await;
                assert_eq!(late, Reply::Tombstone(Reason::GaveUp), "{:?}", self.target);
                self.strike();
                Answer { reply: late, database_time: None }
            }
            Role::Check => self.undo_in_vain(request, role).await,
            // No driver ever asks for it: not even one that wants to give up right now.
            Role::Retriable => {
                self.control.abort();
                self.strike();
                self.deliver(request).await
            }
        }
    }

    async fn do_after_compensate(&self, undo: &Request<'_>) -> Answer {
        let answer = self.deliver(undo).await;
        assert!(matches!(answer.reply, Reply::Undone(_)), "{:?}: {answer:?}", self.target);
        let again = Request { direction: Direction::Do, ..undo.clone() };
        let late = self.deliver_in_vain(&again).await;
        assert!(matches!(late, Reply::Tombstone(_)), "{:?}: {late:?}", self.target);
        self.strike();
        answer
    }

    async fn alter(&self, request: &Request<'_>, role: Role, direction: Direction) -> Answer {
        let answer = self.deliver(request).await;
        let other = altered(request.command);
        assert_ne!(&other, request.command, "{:?}", self.target);
        let reply = self.deliver_in_vain(&Request { command: &other, direction, ..request.clone() }).await;
        // A check keeps no key: it says of the other order what it knows, which is nothing.
        let is_right = matches!(reply, Reply::Poison(_))
            || (role == Role::Check && direction == Direction::Do && reply == Reply::NotNow);
        assert!(is_right, "{:?}: other content was answered {reply:?}", self.target);
        self.strike();
        answer
    }
}

impl Participants for Saboteur {
    async fn send(&self, request: &Request<'_>) -> Answer {
        let _turn = self.turn.lock().await;
        let Some(Target { step, role, fault }) = self.target else { return self.deliver(request).await };
        if request.step != step || self.strikes() > 0 {
            return self.deliver(request).await;
        }
        match (fault, request.direction) {
            (Fault::Repeat, Direction::Do) => self.repeat(request).await,
            (Fault::LoseRequest, Direction::Do) => self.lose(request, false, false).await,
            (Fault::LoseRequestAndGiveUp, Direction::Do) => self.lose(request, false, true).await,
            (Fault::LoseReply, Direction::Do) => self.lose(request, true, false).await,
            (Fault::LoseReplyAndGiveUp, Direction::Do) => self.lose(request, true, true).await,
            (Fault::CompensateTwice | Fault::DoAfterCompensate, Direction::Do) => {
                self.turn_round(request, role).await
            }
            (Fault::CompensateTwice, Direction::Undo(_)) => self.repeat(request).await,
            (Fault::DoAfterCompensate, Direction::Undo(_)) => self.do_after_compensate(request).await,
            (Fault::CompensateBeforeDo, Direction::Do) => self.compensate_before_do(request, role).await,
            (Fault::AlterCommand, Direction::Do) => self.alter(request, role, Direction::Do).await,
            (Fault::AlterCompensation, Direction::Do) => {
                self.alter(request, role, Direction::Undo(Reason::GaveUp)).await
            }
            (
                Fault::Repeat
                | Fault::LoseRequest
                | Fault::LoseRequestAndGiveUp
                | Fault::LoseReply
                | Fault::LoseReplyAndGiveUp
                | Fault::CompensateBeforeDo
                | Fault::AlterCommand
                | Fault::AlterCompensation,
                Direction::Undo(_),
            ) => self.deliver(request).await,
        }
    }
}

fn nothing_heard() -> Answer {
    let trouble = Trouble { kind: TroubleKind::NoAnswer, detail: "lost on purpose".to_owned() };
    Answer { reply: Reply::Unknown(trouble), database_time: None }
}
