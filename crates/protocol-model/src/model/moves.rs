//! What may happen next, and what must not have happened.

use saga_orchestrator::engine::log::Event;

use super::memory::Memory;
use super::plan::Plan;
use super::state::{Action, DRIVERS_MAX, State, Told};
use crate::floor::Floor;
use crate::mutant::Mutant;

/// Where a move leads.
pub type Moves = Vec<(Action, State)>;
/// A move that must not be.
pub type Forbidden = (Action, String);

impl<F: Floor> Memory<'_, F> {
    /// Every state that may follow.
    ///
    /// # Errors
    /// A move that already shows that something is broken.
    pub fn moves(&mut self, state: &State, found: &mut Moves) -> Result<(), Forbidden> {
        self.late(state, found)?;
        for place in 0..self.places.len() {
            // Drivers of one saga are alike: which of two equal ones moves does not matter.
            let is_twin = place > 0
                && self.places[place - 1] == self.places[place]
                && state.drivers[place - 1] == state.drivers[place];
            if !is_twin {
                self.driven(state, place, found)?;
            }
        }
        Ok(())
    }

    /// A message that was sent arrives. Its reply is lost.
    fn late(&mut self, state: &State, found: &mut Moves) -> Result<(), Forbidden> {
        let mut sent = state.sent;
        while sent != 0 {
            let message = u8::try_from(sent.trailing_zeros()).unwrap_or(u8::MAX);
            sent &= sent - 1;
            let ways = self
                .deliver(state.floor, message)
                .map_err(|broken| (Action::Late { message, reply: 0 }, broken))?;
            for &(floor, reply) in ways.iter().filter(|(floor, _)| *floor != state.floor) {
                found.push((Action::Late { message, reply }, State { floor, ..*state }));
            }
        }
        Ok(())
    }

    fn driven(&mut self, state: &State, place: usize, found: &mut Moves) -> Result<(), Forbidden> {
        let saga = self.places[place];
        let driver = state.drivers[place];
        let (who, which) = (u8::try_from(place).unwrap_or(u8::MAX), u8::try_from(saga).unwrap_or(u8::MAX));
        for epoch in 1..=self.scenario.epochs {
            let fresh = self.fresh(saga, epoch);
            found.push((Action::Forgets { driver: who, epoch, saga: which }, self.with(state, place, fresh)));
        }
        for given_up in self.given_up(driver) {
            found.push((Action::GivesUp { driver: who, saga: which }, self.with(state, place, given_up)));
        }
        let plan = self.plan(driver, state.latches[saga]);
        match &*plan {
            Plan::Ask(steps, direction) => {
                let messages = self.messages_of(driver, steps, *direction);
                let sent = messages.iter().fold(state.sent, |sent, &message| sent | 1 << message);
                let sent = State { sent, ..*state };
                if let Some(&message) = messages.first() {
                    found.push((Action::Sends { driver: who, message }, sent));
                }
                for message in messages {
                    self.heard(&sent, place, message, found)?;
                }
            }
            Plan::Completed => found.push(answered(state, place, saga, Told::Completed)?),
            Plan::RolledBack(reason) => {
                found.push(answered(state, place, saga, Told::RolledBack(*reason))?);
            }
            &Plan::Latch(latch) => {
                let mut next = *state;
                next.latches[saga] = latch;
                found.push((Action::Latches { driver: who, saga: which, latch }, next));
            }
            Plan::Forget | Plan::Stuck => {}
        }
        Ok(())
    }

    /// The message arrives, and its reply too.
    fn heard(&mut self, sent: &State, place: usize, message: u8, found: &mut Moves) -> Result<(), Forbidden> {
        let driver = u8::try_from(place).unwrap_or(u8::MAX);
        let ways = self
            .deliver(sent.floor, message)
            .map_err(|broken| (Action::Sends { driver, message }, broken))?;
        for &(floor, reply) in ways.iter() {
            let action = Action::Hears { driver, message, reply };
            let told = self.told(sent.drivers[place], message, reply).map_err(|broken| (action, broken))?;
            found.push((action, self.with(&State { floor, ..*sent }, place, told)));
        }
        Ok(())
    }

    /// The driver after it has given up, if it may.
    fn given_up(&mut self, driver: u16) -> Vec<u16> {
        let known = &self.drivers[usize::from(driver)];
        let shape = &self.scenario.casts[known.saga].script.shape;
        let mut ways = Vec::new();
        for &reason in self.scenario.wishes {
            let mut next = known.clone();
            if next.log.record(shape, Event::GaveUp(reason)).is_err() {
                continue;
            }
            ways.push(next.clone());
            if self.scenario.rules.is(Mutant::EpochBumpLost) {
                next.epoch = (next.epoch + 1).min(self.scenario.epochs);
                ways.push(next);
            }
        }
        ways.into_iter().map(|driver| self.driver(driver)).collect()
    }

    /// The state with another driver in this place. Drivers of one saga are kept in order.
    fn with(&self, state: &State, place: usize, driver: u16) -> State {
        let mut drivers = state.drivers;
        drivers[place] = driver;
        let saga = self.places[place];
        let first = self.places.iter().position(|of| *of == saga).unwrap_or(0);
        let last = self.places.iter().rposition(|of| *of == saga).unwrap_or(DRIVERS_MAX - 1);
        drivers[first..=last].sort_unstable();
        State { drivers, ..*state }
    }

    /// What must hold in every state.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn check(&mut self, state: &State) -> Result<(), String> {
        let (all, any) = self.effects(state.floor);
        for (saga, cast) in self.scenario.casts.iter().enumerate() {
            let kind = cast.script.shape.kind;
            match state.answers[saga] {
                Some(Told::Completed) if all >> saga & 1 == 0 => {
                    return Err(format!("P5: {kind} is COMPLETED, and an effect is missing"));
                }
                Some(Told::RolledBack(_)) if any >> saga & 1 == 1 => {
                    return Err(format!("P5: {kind} is ROLLED_BACK, and an effect is in force"));
                }
                Some(Told::Completed | Told::RolledBack(_)) | None => {}
            }
        }
        self.check_finish(state)
    }
}

/// A client is told how the saga ended: the same as everybody before.
fn answered(state: &State, place: usize, saga: usize, told: Told) -> Result<(Action, State), Forbidden> {
    let driver = u8::try_from(place).unwrap_or(u8::MAX);
    let action = Action::Answers { driver, saga: u8::try_from(saga).unwrap_or(u8::MAX), told };
    if let Some(before) = state.answers[saga].filter(|before| *before != told) {
        return Err((action, format!("P6: one saga was answered {before:?} and {told:?}")));
    }
    let mut next = *state;
    next.answers[saga] = Some(told);
    Ok((action, next))
}
