//! Floors, drivers, messages and replies by number, and what the services' functions have said about them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saga_orchestrator::engine::definition::{Role, StepNo};
use saga_orchestrator::engine::log::{Event, Log};
use saga_orchestrator::engine::reply::{Direction, Reply};

use super::Scenario;
use super::plan::{Plan, plan};
use super::state::{Action, DRIVERS_MAX, Driver, Latch, NOBODY, SAGAS_MAX, State, Told};
use crate::floor::{Floor, Message};
use crate::mutant::Mutant;

type Ways = Rc<[(u32, u8)]>;

/// What has been asked of the services' functions so far.
pub struct Memory<'s, F> {
    pub(super) scenario: &'s Scenario<F>,
    pub(super) floors: Vec<F>,
    floor_numbers: HashMap<String, u32>,
    /// Of each floor: the sagas with all effects, and those with any.
    effects: Vec<(u8, u8)>,
    pub(super) drivers: Vec<Driver>,
    driver_numbers: HashMap<Driver, u16>,
    pub(super) messages: Vec<Message>,
    message_numbers: HashMap<Message, u8>,
    pub(super) replies: Vec<Reply>,
    delivered: HashMap<(u32, u8), Ways>,
    plans: HashMap<(u16, Latch), Rc<Plan>>,
    told: HashMap<(u16, u8, u8), u16>,
    /// Which saga each driver's place belongs to.
    pub(super) places: Vec<usize>,
    pub(super) finishable: HashSet<(u32, [u16; SAGAS_MAX], [Latch; SAGAS_MAX])>,
    pub(super) rested: HashSet<u32>,
}

impl<'s, F: Floor> Memory<'s, F> {
    /// Nothing asked yet.
    pub fn new(scenario: &'s Scenario<F>) -> Self {
        let casts = scenario.casts.iter().enumerate();
        let places = casts.flat_map(|(saga, cast)| std::iter::repeat_n(saga, cast.drivers)).collect();
        Self {
            scenario,
            floors: Vec::new(),
            floor_numbers: HashMap::new(),
            effects: Vec::new(),
            drivers: Vec::new(),
            driver_numbers: HashMap::new(),
            messages: Vec::new(),
            message_numbers: HashMap::new(),
            replies: Vec::new(),
            delivered: HashMap::new(),
            plans: HashMap::new(),
            told: HashMap::new(),
            places,
            finishable: HashSet::new(),
            rested: HashSet::new(),
        }
    }

    /// How many different floors were met.
    pub fn floors(&self) -> usize {
        self.floors.len()
    }

    /// Before anything has happened.
    pub fn first(&mut self) -> Result<State, String> {
        let scenario = self.scenario;
        if self.places.len() > DRIVERS_MAX || scenario.casts.len() > SAGAS_MAX {
            return Err("the scenario is too large for a state".to_owned());
        }
        let floor = self.floor(scenario.floor.clone())?;
        let mut drivers = [NOBODY; DRIVERS_MAX];
        for (place, saga) in self.places.clone().into_iter().enumerate() {
            drivers[place] = self.fresh(saga, 1);
        }
        Ok(State { sent: 0, floor, drivers, answers: [None; SAGAS_MAX], latches: [Latch::Open; SAGAS_MAX] })
    }

    /// A driver that knows nothing.
    pub fn fresh(&mut self, saga: usize, epoch: u64) -> u16 {
        let log = Log::new(&self.scenario.casts[saga].script.shape);
        self.driver(Driver { saga, log, epoch })
    }

    /// The driver's number.
    pub fn driver(&mut self, driver: Driver) -> u16 {
        if let Some(&number) = self.driver_numbers.get(&driver) {
            return number;
        }
        let number = u16::try_from(self.drivers.len()).unwrap_or(NOBODY);
        self.drivers.push(driver.clone());
        self.driver_numbers.insert(driver, number);
        number
    }

    /// The message's number.
    pub fn message(&mut self, message: Message) -> u8 {
        if let Some(&number) = self.message_numbers.get(&message) {
            return number;
        }
        let number = u8::try_from(self.messages.len()).unwrap_or(u8::MAX);
        debug_assert!(u32::from(number) < u128::BITS, "more messages than bits");
        self.messages.push(message);
        self.message_numbers.insert(message, number);
        number
    }

    fn reply(&mut self, reply: Reply) -> u8 {
        let known = self.replies.iter().position(|known| *known == reply);
        let number = known.unwrap_or_else(|| {
            self.replies.push(reply);
            self.replies.len() - 1
        });
        u8::try_from(number).unwrap_or(u8::MAX)
    }

    fn floor(&mut self, floor: F) -> Result<u32, String> {
        let key = floor.key();
        if let Some(&number) = self.floor_numbers.get(&key) {
            return Ok(number);
        }
        floor.check()?;
        let (mut all, mut any) = (0, 0);
        let casts = &self.scenario.casts;
        for (saga, cast) in casts.iter().enumerate() {
            let with_effect = cast.script.shape.steps.iter().enumerate();
            let mut counts = with_effect
                .filter(|(_, step)| step.role != Role::Check)
                .map(|(step, _)| floor.effects(casts, saga, step));
            let counts: Vec<i8> = counts.by_ref().collect();
            all |= u8::from(counts.iter().all(|&count| count == 1)) << saga;
            any |= u8::from(counts.iter().any(|&count| count != 0)) << saga;
        }
        let number = u32::try_from(self.floors.len()).unwrap_or(u32::MAX);
        self.floors.push(floor);
        self.effects.push((all, any));
        self.floor_numbers.insert(key, number);
        Ok(number)
    }

    /// The sagas whose effects are all in force, and those of which any is.
    pub fn effects(&self, floor: u32) -> (u8, u8) {
        self.effects[floor as usize]
    }

    /// Every floor and reply that may follow when the message arrives.
    pub fn deliver(&mut self, floor: u32, message: u8) -> Result<Ways, String> {
        if let Some(ways) = self.delivered.get(&(floor, message)) {
            return Ok(Rc::clone(ways));
        }
        let scenario = self.scenario;
        let asked = self.messages[usize::from(message)];
        let found = self.floors[floor as usize].deliver(&scenario.casts, scenario.rules, &asked)?;
        let mut ways = Vec::with_capacity(found.len());
        for (next, reply) in found {
            ways.push((self.floor(next)?, self.reply(reply)));
        }
        let ways: Ways = ways.into();
        self.delivered.insert((floor, message), Rc::clone(&ways));
        Ok(ways)
    }

    /// What the driver does next.
    pub fn plan(&mut self, driver: u16, latch: Latch) -> Rc<Plan> {
        if let Some(plan) = self.plans.get(&(driver, latch)) {
            return Rc::clone(plan);
        }
        let known = &self.drivers[usize::from(driver)];
        let shape = &self.scenario.casts[known.saga].script.shape;
        let plan = Rc::new(plan(self.scenario.rules, shape, &known.log, latch));
        self.plans.insert((driver, latch), Rc::clone(&plan));
        plan
    }

    /// The messages that the driver sends for these steps.
    pub fn messages_of(&mut self, driver: u16, steps: &[StepNo], direction: Direction) -> Vec<u8> {
        let Driver { saga, epoch, .. } = self.drivers[usize::from(driver)];
        let message = |&step| self.message(Message { saga, step, direction, epoch });
        steps.iter().map(message).collect()
    }

    /// The driver after it has heard the reply.
    pub fn told(&mut self, driver: u16, message: u8, reply: u8) -> Result<u16, String> {
        if let Some(&next) = self.told.get(&(driver, message, reply)) {
            return Ok(next);
        }
        let asked = self.messages[usize::from(message)];
        let mut next = self.drivers[usize::from(driver)].clone();
        let heard = self.replies[usize::from(reply)].clone();
        let step = asked.step;
        let event = match (heard, asked.direction) {
            (Reply::Done, Direction::Do) => Some(Event::Done(step)),
            (Reply::Undone(reason), Direction::Undo(_)) | (Reply::Done, Direction::Undo(reason)) => {
                Some(Event::Undone(step, reason))
            }
            (Reply::Rejected(reason), Direction::Do) => Some(Event::Rejected(step, reason)),
            (Reply::Tombstone(reason), Direction::Do) => Some(Event::Tombstone(step, reason)),
            (Reply::Refused, Direction::Undo(_)) => Some(Event::Refused(step)),
            (Reply::NotNow, Direction::Do) => Some(Event::NotNow(step)),
            (Reply::StaleEpoch(highest), _) => {
                next.epoch = self.raised(next.epoch, highest);
                None
            }
            (Reply::Expired | Reply::Unknown(_), _) => None,
            (
                reply @ (Reply::Refused
                | Reply::Poison(_)
                | Reply::Rejected(_)
                | Reply::Tombstone(_)
                | Reply::Undone(_)
                | Reply::NotNow),
                _,
            ) => {
                return Err(format!("P6: an answer that must not be: {}", reply.word()));
            }
        };
        if let Some(event) = event {
            let shape = &self.scenario.casts[asked.saga].script.shape;
            next.log
                .record(shape, event)
                .map_err(|impossible| format!("P6: answers contradict each other: {impossible}"))?;
        }
        let next = self.driver(next);
        self.told.insert((driver, message, reply), next);
        Ok(next)
    }

    /// The engine jumps above the highest epoch. At the model's bound it takes the highest, which is enough.
    fn raised(&self, epoch: u64, highest: u64) -> u64 {
        let rules = self.scenario.rules;
        if rules.is(Mutant::StaleEpochIsFinal) || rules.is(Mutant::EpochBumpLost) {
            return epoch;
        }
        (highest.max(epoch) + 1).min(self.scenario.epochs)
    }

    /// One action in words.
    pub fn tell(&self, action: Action) -> String {
        let who = |driver: u8, saga: usize| {
            format!("driver {driver} of {}", self.scenario.casts[saga].script.shape.kind)
        };
        let what = |message: u8| {
            let Message { saga, step, direction, epoch } = self.messages[usize::from(message)];
            let verb = if direction.is_undo() { "undo" } else { "do" };
            let shape = &self.scenario.casts[saga].script.shape;
            (saga, format!("{verb} {} (epoch {epoch})", shape.steps[step].name))
        };
        let word = |reply: u8| self.replies[usize::from(reply)].word();
        match action {
            Action::Late { message, reply } => {
                format!("a copy of {} arrives: {}", what(message).1, word(reply))
            }
            Action::Forgets { driver, epoch, saga } => {
                format!("{} forgets everything, goes on with epoch {epoch}", who(driver, usize::from(saga)))
            }
            Action::GivesUp { driver, saga } => format!("{} gives up", who(driver, usize::from(saga))),
            Action::Sends { driver, message } => {
                let (saga, message) = what(message);
                format!("{} sends {message}, hears nothing", who(driver, saga))
            }
            Action::Hears { driver, message, reply } => {
                let (saga, message) = what(message);
                format!("{} sends {message}, hears {}", who(driver, saga), word(reply))
            }
            Action::Answers { driver, saga, told } => {
                let outcome = match told {
                    Told::Completed => "COMPLETED".to_owned(),
                    Told::RolledBack(reason) => format!("ROLLED_BACK, {}", reason.as_str()),
                };
                format!("{} answers {outcome}", who(driver, usize::from(saga)))
            }
            Action::Latches { driver, saga, latch } => {
                format!("{} sets the latch to {latch:?}", who(driver, usize::from(saga)))
            }
        }
    }
}
