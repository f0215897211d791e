//! The driver's patience: pauses, budgets, giving up, parking, and coming back.
//!
//! Correctness needs none of it; `engine/pace.rs` has the numbers.

use std::time::Duration;

use brokerage_types::Reason;

use super::super::decide::{self, Next, Status};
use super::super::definition::{Patience, Role, StepNo};
use super::super::log::Event;
use super::super::record::{Recorder, Standing};
use super::super::reply::{Direction, Participants};
use super::{Drive, Round};
use crate::sagas::command::Participant;

impl<P: Participants, R: Recorder> Drive<'_, P, R> {
    /// Pauses, or gives up, after an attempt that came to nothing. `is_held`: nobody was asked, which is no failure.
    pub(super) async fn after_failure(&mut self, steps: &[StepNo], direction: Direction, is_held: bool) {
        if (!self.round.was_probe && !is_held) || self.round.is_trial {
            self.round.failures = self.round.failures.saturating_add(1);
        }
        let pace = &self.engine.pace;
        let waited = self.round.since.elapsed();
        let may_give_up = self.may_give_up(steps, direction);
        let budgeted = may_give_up && steps.iter().any(|&step| self.patience(step) == Patience::Budget);
        let spent = budgeted && waited >= pace.budget;
        let stuck = !may_give_up && (self.round.failures >= pace.park_failures || waited >= pace.park_after);
        if spent || stuck {
            let reason = if spent { Reason::GaveUp } else { Reason::ParticipantUnavailable };
            self.give_up_or_park(steps, direction, reason);
            return;
        }
        let mut pause = pace.backoff(self.round.failures.max(1), may_give_up);
        if let Some(held) = self.round.held {
            pause = pause.max(held.pause);
        }
        if budgeted {
            pause = pause.min(pace.budget.saturating_sub(waited));
        }
        self.pause(pause, steps).await;
    }

    /// Before the pivot has run and while going forward, giving up is possible; it begins at the pivot.
    pub(super) fn may_give_up(&self, steps: &[StepNo], direction: Direction) -> bool {
        let after_pivot =
            steps.iter().any(|&step| self.saga.script.shape.role(step) == Some(Role::Retriable));
        !direction.is_undo() && !after_pivot
    }

    pub(super) fn give_up_or_park(&mut self, steps: &[StepNo], direction: Direction, reason: Reason) {
        let gave_up = self.may_give_up(steps, direction)
            && self.log.record(&self.saga.script.shape, Event::GaveUp(Reason::GaveUp)).is_ok();
        let trouble = self.trouble.as_deref().unwrap_or("nothing came back");
        let saga_id = self.saga.saga_id;
        if gave_up {
            tracing::warn!(%saga_id, "saga {saga_id} is given up: {trouble}");
        } else if self.log.record(&self.saga.script.shape, Event::Parked(reason)).is_ok() {
            tracing::error!(%saga_id, "saga {saga_id} is parked: {trouble}");
        }
    }

    fn patience(&self, step: StepNo) -> Patience {
        self.saga.script.shape.steps.get(step).map_or(Patience::Endless, |step| step.patience)
    }

    /// Waits, unless somebody rings or a participant that has not answered is back.
    pub(super) async fn pause(&mut self, pause: Duration, steps: &[StepNo]) {
        self.recorder.pausing(pause);
        let open = self.next_steps().map_or_else(|| steps.to_vec(), |(steps, _)| steps);
        let [order, asset] = self.asked_of(&open);
        let links = &self.engine.links;
        self.round.was_probe = tokio::select! {
            // In order, so that a simulated run is the same every time.
            biased;
            () = tokio::time::sleep(pause) => false,
            () = self.saga.control.rung() => false,
            () = links.to(Participant::Order).woken(), if order => true,
            () = links.to(Participant::Asset).woken(), if asset => true,
        };
    }

    /// Whether these steps need order-svc, and whether asset-svc.
    fn asked_of(&self, steps: &[StepNo]) -> [bool; 2] {
        let shape = &self.saga.script.shape;
        Participant::ALL.map(|participant| {
            steps
                .iter()
                .any(|&step| shape.steps.get(step).is_some_and(|step| step.participant == participant))
        })
    }

    /// Parks the saga because an operator wants it, whatever it was parked for before.
    pub(super) fn park_as_asked(&mut self) {
        let shape = &self.saga.script.shape;
        let _ = self.log.record(shape, Event::Resumed);
        let _ = self.log.record(shape, Event::Parked(Reason::PausedByOperator));
        // Nothing went wrong, and what did before explains nothing now.
        self.trouble = None;
        self.shown = Status::Running;
    }

    /// Waits until an operator lets the saga go on; time does not. False: leave it.
    async fn wait_paused(&mut self) -> bool {
        self.recorder.pausing(Duration::MAX);
        while !self.saga.control.is_stopped() {
            if self.saga.control.take_resume() {
                let _ = self.log.record(&self.saga.script.shape, Event::Resumed);
                self.round = Round::new(None);
                return true;
            }
            self.saga.control.rung().await;
        }
        false
    }

    /// Waits until a parked saga is to be tried again. False: leave it.
    pub(super) async fn wait_parked(&mut self) -> bool {
        if self.log.parked() == Some(Reason::PausedByOperator) {
            return self.wait_paused().await;
        }
        let retry = self.engine.pace.parked_retry;
        self.recorder.pausing(retry);
        // A saga that only waits for a participant is tried as soon as that is back; poison is not.
        let waits = self.log.parked() == Some(Reason::ParticipantUnavailable);
        let open = self.next_steps().filter(|_| waits).map(|(steps, _)| steps).unwrap_or_default();
        let [order, asset] = self.asked_of(&open);
        let links = &self.engine.links;
        tokio::select! {
            biased;
            () = tokio::time::sleep(retry) => {}
            () = self.saga.control.rung() => {}
            () = links.to(Participant::Order).back(), if order => {}
            () = links.to(Participant::Asset).back(), if asset => {}
        }
        if self.saga.control.is_stopped() {
            return false;
        }
        let asked = self.saga.control.take_resume();
        let _ = self.log.record(&self.saga.script.shape, Event::Resumed);
        // One more failure parks it again, unless an operator asked: then it gets a fresh start.
        self.round = Round::new(None);
        if !asked {
            self.round.what = self.next_round();
            self.round.failures = self.engine.pace.park_failures.saturating_sub(1);
            self.round.is_trial = true;
        }
        true
    }

    pub(super) fn next_round(&self) -> Option<(bool, usize)> {
        let (steps, is_undo) = self.next_steps()?;
        let stage = self.saga.script.shape.steps.get(*steps.first()?)?.stage;
        Some((is_undo, stage))
    }

    /// What would be done if the saga were not parked.
    fn next_steps(&self) -> Option<(Vec<StepNo>, bool)> {
        let shape = &self.saga.script.shape;
        let mut resumed = self.log.clone();
        let _ = resumed.record(shape, Event::Resumed);
        match decide::next(shape, &resumed) {
            Next::Call(steps) => Some((steps, false)),
            Next::Compensate(steps) => Some((steps, true)),
            Next::Completed | Next::RolledBack(..) | Next::Parked(_) => None,
        }
    }

    /// Tells operators when the saga turns round, parks or goes on.
    pub(super) fn show_standing(&mut self) {
        let shape = &self.saga.script.shape;
        let status = decide::status(shape, &self.log);
        if status == self.shown || status.has_ended() {
            return;
        }
        self.shown = status;
        let reason = match status {
            Status::Parked => self.log.parked(),
            Status::Compensating => Some(decide::cause(shape, &self.log)),
            Status::Running | Status::Completed | Status::RolledBack => None,
        };
        let detail = if status == Status::Parked { self.trouble.clone() } else { None };
        self.recorder.stands(Standing { status, reason, detail });
    }
}
