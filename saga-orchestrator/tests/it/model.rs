//! Participants that keep to the rules of the inbox, in memory, with faults at chosen attempts.

use std::collections::HashMap;
use std::sync::Mutex;

use brokerage_types::Reason;
use saga_orchestrator::engine::definition::{Role, Shape, StepNo};
use saga_orchestrator::engine::reply::{Answer, Participants, Reply, Request, Trouble, TroubleKind};

/// What happens to one attempt instead of the usual.
#[derive(Clone, Copy, Debug)]
pub enum Twist {
    /// It never arrives.
    RequestLost,
    /// It is done, but nobody hears so.
    ReplyLost,
    /// A business rule refuses it.
    Refused(Reason),
    /// A business rule refuses it, but nobody hears so.
    RefusedUnheard(Reason),
    /// The check asks for patience.
    NotNow,
    /// The check asks for patience, while another driver's late message takes back the first step.
    NotNowAndUndoneBehind,
    /// It came too late by the participant's clock.
    Expired,
    /// Another driver has a higher epoch.
    Stale(u64),
    /// It cannot be answered.
    Poison,
}

/// Which attempts: (step, is a compensation, first attempt, last attempt).
pub type When = (&'static str, bool, u32, u32);

/// For ever.
pub const ALWAYS: u32 = u32::MAX;

/// A verdict that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    Done,
    Rejected(Reason),
    Compensated(Reason),
    Tombstone(Reason),
}

/// Both participants of one saga.
pub struct Model {
    shape: Shape,
    twists: Vec<(When, Twist)>,
    inbox: Mutex<HashMap<StepNo, Row>>,
}

impl Model {
    pub fn new(shape: Shape, twists: Vec<(When, Twist)>) -> Self {
        Self { shape, twists, inbox: Mutex::new(HashMap::new()) }
    }

    /// Whatever was in the way is gone.
    pub fn heal(&mut self) {
        self.twists.clear();
    }

    pub fn row(&self, step: StepNo) -> Option<Row> {
        self.inbox.lock().unwrap().get(&step).copied()
    }

    /// A message arrives, perhaps long after anybody waited for it.
    pub fn arrives(&self, step: StepNo, undo: Option<Reason>, refusal: Option<Reason>) -> Reply {
        let mut inbox = self.inbox.lock().unwrap();
        let role = self.shape.role(step).unwrap();
        let known = inbox.get(&step).copied();
        if let Some(reason) = undo {
            return match known {
                Some(Row::Done) if role == Role::Pivot => Reply::Refused,
                Some(Row::Done) => {
                    inbox.insert(step, Row::Compensated(reason));
                    Reply::Undone(reason)
                }
                Some(Row::Rejected(stored) | Row::Compensated(stored) | Row::Tombstone(stored)) => {
                    Reply::Undone(stored)
                }
                None => {
                    inbox.insert(step, Row::Tombstone(reason));
                    Reply::Undone(reason)
                }
            };
        }
        match known {
            Some(Row::Done) => Reply::Done,
            Some(Row::Rejected(reason)) => Reply::Rejected(reason),
            Some(Row::Compensated(reason) | Row::Tombstone(reason)) => Reply::Tombstone(reason),
            None => {
                let row = refusal.map_or(Row::Done, Row::Rejected);
                // A check keeps nothing.
                if role != Role::Check {
                    inbox.insert(step, row);
                }
                refusal.map_or(Reply::Done, Reply::Rejected)
            }
        }
    }

    fn twist(&self, request: &Request<'_>) -> Option<Twist> {
        let name = self.shape.steps[request.step].name;
        let is_undo = request.direction.is_undo();
        let hit = |((step, undo, first, last), _): &&(When, Twist)| {
            *step == name && *undo == is_undo && (*first..=*last).contains(&request.attempt)
        };
        self.twists.iter().find(hit).map(|(_, twist)| *twist)
    }
}

fn no_answer() -> Reply {
    Reply::Unknown(Trouble { kind: TroubleKind::NoAnswer, detail: "no answer".to_owned() })
}

impl Participants for Model {
    async fn send(&self, request: &Request<'_>) -> Answer {
        use saga_orchestrator::engine::reply::Direction;
        let undo = match request.direction {
            Direction::Do => None,
            Direction::Undo(reason) => Some(reason),
        };
        let reply = match self.twist(request) {
            None => self.arrives(request.step, undo, None),
            Some(Twist::RequestLost) => no_answer(),
            Some(Twist::ReplyLost) => {
                self.arrives(request.step, undo, None);
                no_answer()
            }
            Some(Twist::Refused(reason)) => self.arrives(request.step, undo, Some(reason)),
            Some(Twist::RefusedUnheard(reason)) => {
                self.arrives(request.step, undo, Some(reason));
                no_answer()
            }
            Some(Twist::NotNow) => Reply::NotNow,
            Some(Twist::NotNowAndUndoneBehind) => {
                self.arrives(0, Some(Reason::GaveUp), None);
                Reply::NotNow
            }
            Some(Twist::Expired) => Reply::Expired,
            Some(Twist::Stale(highest)) if request.epoch < highest => Reply::StaleEpoch(highest),
            Some(Twist::Stale(_)) => self.arrives(request.step, undo, None),
            Some(Twist::Poison) => Reply::Poison("the command cannot be read".to_owned()),
        };
        Answer { reply, database_time: None }
    }
}
