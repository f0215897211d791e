//! P7: from every state, on a network that works, every saga ends; and what is then at rest is in order.
//!
//! Checked for drivers that know nothing, and for each driver as it is, because when faults cease nobody crashes it.
//! A promise of safety that breaks on the way is no dead end: the exploration will come to it by a way of its own.

use saga_orchestrator::engine::log::Log;
use saga_orchestrator::engine::reply::Reply;

use super::memory::Memory;
use super::plan::Plan;
use super::state::{Driver, Latch, NOBODY, SAGAS_MAX, State};
use crate::floor::Floor;
use crate::mutant::Mutant;

/// No saga needs more rounds.
const ROUNDS_MAX: u32 = 60;

/// One driver a saga, on a network that works.
type Node = (u32, [u16; SAGAS_MAX], [Latch; SAGAS_MAX]);

impl<F: Floor> Memory<'_, F> {
    /// Every saga can end from here.
    ///
    /// # Errors
    /// Why not.
    pub fn check_finish(&mut self, state: &State) -> Result<(), String> {
        let mut fresh = [NOBODY; SAGAS_MAX];
        let is_fenced = self.scenario.rules.is(Mutant::EpochBumpLost);
        let epoch = if is_fenced { self.scenario.epochs } else { 1 };
        for (saga, place) in fresh.iter_mut().enumerate().take(self.scenario.casts.len()) {
            *place = self.fresh(saga, epoch);
        }
        self.settle((state.floor, fresh, state.latches), 0)?;
        if is_fenced {
            // Whoever is fenced off stops, and is not expected to finish.
            return Ok(());
        }
        for place in 0..self.places.len() {
            let mut drivers = fresh;
            drivers[self.places[place]] = state.drivers[place];
            self.settle((state.floor, drivers, state.latches), 0)?;
        }
        Ok(())
    }

    fn settle(&mut self, node: Node, round: u32) -> Result<(), String> {
        if self.finishable.contains(&node) {
            return Ok(());
        }
        if round > ROUNDS_MAX {
            return Err("P7: it goes on for ever".to_owned());
        }
        let sagas = self.scenario.casts.len();
        let (floor, drivers, latches) = node;
        if (0..sagas).all(|saga| self.plan(drivers[saga], latches[saga]).has_ended()) {
            self.check_rest(floor)?;
        } else {
            let mut after = vec![node];
            for saga in 0..sagas {
                let mut next = Vec::with_capacity(after.len());
                for node in after {
                    if self.step(node, saga, &mut next).is_err() {
                        return Ok(());
                    }
                }
                after = next;
            }
            if after.iter().all(|next| *next == node) {
                return Err("P7: a dead end: nobody can do anything that changes anything".to_owned());
            }
            for next in after.into_iter().filter(|next| *next != node) {
                self.settle(next, round + 1)?;
            }
        }
        self.finishable.insert(node);
        Ok(())
    }

    /// The saga's driver does what it wants to do, and hears the answers.
    fn step(&mut self, node: Node, saga: usize, found: &mut Vec<Node>) -> Result<(), String> {
        let (floor, drivers, mut latches) = node;
        let driver = drivers[saga];
        let plan = self.plan(driver, latches[saga]);
        let with = |floor, driver| {
            let mut drivers = drivers;
            drivers[saga] = driver;
            (floor, drivers, latches)
        };
        match &*plan {
            Plan::Ask(steps, direction) => {
                let mut after = vec![(floor, driver)];
                for message in self.messages_of(driver, steps, *direction) {
                    let mut next = Vec::new();
                    for (floor, driver) in after {
                        let ways = self.deliver(floor, message)?;
                        // Whoever can answer does so in the end.
                        let only = ways.len() == 1;
                        for &(changed, reply) in ways.iter().filter(|way| only || way.0 != floor) {
                            next.push((changed, self.patient(driver, message, reply)?));
                        }
                    }
                    after = next;
                }
                found.extend(after.into_iter().map(|(floor, driver)| with(floor, driver)));
            }
            &Plan::Latch(latch) => {
                latches[saga] = latch;
                found.push((floor, drivers, latches));
            }
            Plan::Forget => {
                let epoch = self.drivers[usize::from(driver)].epoch;
                let log = Log::new(&self.scenario.casts[saga].script.shape);
                let fresh = self.driver(Driver { saga, log, epoch });
                found.push(with(floor, fresh));
            }
            Plan::Completed | Plan::RolledBack(_) | Plan::Stuck => found.push(node),
        }
        Ok(())
    }

    /// As told; but a driver that is told *not now* for long starts over, as the engine does.
    fn patient(&mut self, driver: u16, message: u8, reply: u8) -> Result<u16, String> {
        if self.replies[usize::from(reply)] == Reply::NotNow {
            let Driver { saga, epoch, .. } = self.drivers[usize::from(driver)];
            return Ok(self.fresh(saga, epoch));
        }
        self.told(driver, message, reply)
    }

    fn check_rest(&mut self, floor: u32) -> Result<(), String> {
        if self.rested.insert(floor) {
            self.floors[floor as usize].check_at_rest()?;
        }
        Ok(())
    }
}
