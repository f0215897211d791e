//! ExplainSaga: gathers what the database and, if it is here, the driver know of a saga; `advice` finds the words.

use brokerage_proto::saga::v1 as wire;
use brokerage_types::{Reason, SagaId};
use service_kit::fault::ApiResult;

use super::advice::{self, Awaited, Situation};
use super::{Desk, operate, show};
use crate::engine::decide::{self, Next, Status};
use crate::engine::definition::{Shape, StepNo};
use crate::engine::log::{Event, Log};
use crate::sagas::{self, Input};
use crate::shell::Live;
use crate::store::{ActionFilter, Entry, SagaRow};

/// So many of the operators' last actions are shown.
const ACTIONS_SHOWN: i64 = 5;

impl Desk {
    pub(super) async fn explain(&self, saga_id: &str) -> ApiResult<wire::SagaExplanation> {
        let row = self.row(saga_id).await?;
        let status = row.standing()?;
        let saga_id = SagaId::from(row.saga_id);
        let live = self.drivers.running(saga_id).map(|running| running.live());
        let noted = self.store.entries(saga_id).await?;
        let input = sagas::read(&row.kind, row.version, &row.input).ok();
        let shape = input.as_ref().map(|input| input.script().shape);
        let awaited = match &shape {
            Some(shape) if !status.has_ended() => self.awaited(shape, &row, live.as_ref(), &noted),
            Some(_) | None => Vec::new(),
        };
        let driver = if status.has_ended() { None } else { Some(self.driver(&row).await?) };
        let filter = ActionFilter { saga_id: Some(row.saga_id), actor: None };
        let situation = Situation {
            saga_id,
            status,
            reason: row.reason.as_ref().map(|_| row.reason()),
            awaited,
            driver_lives: driver.as_ref().is_none_or(|driver| driver.is_alive),
            trouble: trouble(&row, status, live.as_ref()),
            blockers: self.blockers(saga_id, input.as_ref(), status).await?,
        };
        let next_attempt_at = live.as_ref().and_then(Live::next_attempt_at).map(show::timestamp);
        Ok(wire::SagaExplanation {
            saga: Some(show::saga(&row)?),
            summary: advice::summary(&situation),
            waits_for: situation.awaited.iter().map(awaited_step).collect(),
            driver,
            is_live: live.is_some(),
            next_attempt_at,
            trouble: situation.trouble.clone(),
            waits_for_sagas: situation.blockers.iter().map(ToString::to_string).collect(),
            advice: advice::advice(&situation),
            actions: self
                .store
                .actions(filter, None, ACTIONS_SHOWN)
                .await?
                .iter()
                .map(operate::action)
                .collect(),
        })
    }

    /// The steps it waits for: what its driver asks for now, or else what follows from what was noted.
    fn awaited(&self, shape: &Shape, row: &SagaRow, live: Option<&Live>, noted: &[Entry]) -> Vec<Awaited> {
        let (steps, undo) = live.and_then(Live::asking).unwrap_or_else(|| next_steps(shape, row, noted));
        let answers = live.map_or(noted, |live| &live.answers);
        let of_step = |step: StepNo| {
            let known = shape.steps.get(step)?;
            let number = u32::try_from(step).ok()?;
            let last = answers.iter().rev().find(|entry| entry.step == number && entry.undo == undo);
            Some(Awaited {
                step: number,
                name: known.name,
                participant: known.participant.as_str(),
                role: known.role,
                undo,
                attempts: last.map_or(0, |entry| entry.attempt),
                last_reply: last.map_or_else(String::new, |entry| entry.reply.clone()),
                last_reason: last.map_or_else(String::new, |entry| entry.reason.clone()),
                last_at: last.map(|entry| entry.at),
                breaker: self.drivers.engine().links.to(known.participant).seen().breaker,
            })
        };
        steps.into_iter().filter_map(of_step).collect()
    }

    async fn driver(&self, row: &SagaRow) -> ApiResult<wire::SagaDriver> {
        let beat = self.store.beat_of(row.owner, self.drivers.engine().pace.lease).await?;
        Ok(wire::SagaDriver {
            owner: row.owner.to_string(),
            is_alive: beat.is_some_and(|(_, is_alive)| is_alive),
            beat_at: beat.map(|(at, _)| show::timestamp(at)),
            is_here: row.owner == self.drivers.me,
        })
    }

    /// A cancel waits for everything that is under way on its order.
    async fn blockers(
        &self,
        saga_id: SagaId,
        input: Option<&Input>,
        status: Status,
    ) -> ApiResult<Vec<SagaId>> {
        match input {
            Some(Input::CancelOrder(input)) if !status.has_ended() => {
                Ok(self.store.under_way(input.order_id.into(), saga_id).await?)
            }
            Some(Input::CancelOrder(_) | Input::CreateOrder(_) | Input::MatchOrders(_)) | None => {
                Ok(Vec::new())
            }
        }
    }
}

fn trouble(row: &SagaRow, status: Status, live: Option<&Live>) -> String {
    // That a step was compensated, and why, is no trouble.
    let is_trouble = |entry: &&Entry| entry.reply != "DONE" && !entry.reason.is_empty();
    let last = live.and_then(|live| live.answers.iter().rev().find(is_trouble));
    match (status, last) {
        (Status::Completed | Status::RolledBack, _) => String::new(),
        (Status::Running | Status::Compensating | Status::Parked, Some(entry)) => entry.reason.clone(),
        (Status::Running | Status::Compensating | Status::Parked, None) => {
            row.detail.clone().unwrap_or_default()
        }
    }
}

/// What follows from the notes: the same decision that a driver would come to.
fn next_steps(shape: &Shape, row: &SagaRow, noted: &[Entry]) -> (Vec<StepNo>, bool) {
    let mut log = Log::new(shape);
    for event in noted.iter().filter_map(event) {
        // What contradicts the rest is left out: notes may be lost.
        let _ = log.record(shape, event);
    }
    if row.standing().is_ok_and(|status| status == Status::Compensating) {
        let _ = log.record(shape, Event::GaveUp(row.reason()));
    }
    match decide::next(shape, &log) {
        Next::Call(steps) => (steps, false),
        Next::Compensate(steps) => (steps, true),
        Next::Completed | Next::RolledBack(..) | Next::Parked(_) => (Vec::new(), false),
    }
}

fn event(entry: &Entry) -> Option<Event> {
    let step = usize::try_from(entry.step).ok()?;
    let reason = entry.reason.parse().unwrap_or(Reason::GaveUp);
    match (entry.reply.as_str(), entry.undo) {
        ("DONE", false) => Some(Event::Done(step)),
        ("DONE" | "TOMBSTONE", true) => Some(Event::Undone(step, reason)),
        ("REJECTED", false) => Some(Event::Rejected(step, reason)),
        ("TOMBSTONE", false) => Some(Event::Tombstone(step, reason)),
        ("REFUSED", true) => Some(Event::Refused(step)),
        _no_knowledge => None,
    }
}

fn awaited_step(step: &Awaited) -> wire::AwaitedStep {
    wire::AwaitedStep {
        step: step.step,
        name: step.name.to_owned(),
        participant: step.participant.to_owned(),
        kind: show::kind(step.role).into(),
        compensation: step.undo,
        attempts: step.attempts,
        last_reply: step.last_reply.clone(),
        last_reason: step.last_reason.clone(),
        last_at: step.last_at.map(show::timestamp),
        breaker: step.breaker.as_str().to_owned(),
    }
}
