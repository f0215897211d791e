//! What is known of one saga: the fold of its events, and the single function that says which event may follow.
//!
//! The log is knowledge, not decision: losing it costs replays, never correctness. Not here: what to do next
//! (`decide`), how the log is written down (`store`).

use brokerage_types::Reason;

use super::definition::{Role, Shape, StepNo};

/// Something that was learnt or decided about one saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A participant recorded that the step is done.
    Done(StepNo),
    /// A participant recorded that a business rule refuses the step.
    Rejected(StepNo, Reason),
    /// The step can never run (again): somebody compensated it.
    Tombstone(StepNo, Reason),
    /// A check asks for patience.
    NotNow(StepNo),
    /// Nothing of the step remains, and it can never run; why, as its participant recorded.
    Undone(StepNo, Reason),
    /// The pivot was to be forestalled, but it has run.
    Refused(StepNo),
    /// The saga shall not go on if its pivot has not run.
    GaveUp(Reason),
    /// Nothing more is tried for now.
    Parked(Reason),
    /// Tried again after parking.
    Resumed,
}

/// What is known of doing a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Forward {
    /// Nothing: it may have run or not, now or later.
    #[default]
    Unknown,
    /// It is done.
    Done,
    /// It is refused, for ever.
    Rejected(Reason),
    /// It can never run (again).
    Tombstone(Reason),
}

/// What is known of undoing a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backward {
    /// Nothing.
    #[default]
    Unknown,
    /// Nothing of it remains, and it can never run; and why.
    Undone(Reason),
    /// Refused: it is a pivot and has run.
    Refused,
}

/// What is known of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StepLog {
    /// Of doing it.
    pub forward: Forward,
    /// Of undoing it.
    pub backward: Backward,
}

/// What is known of one saga.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    steps: Vec<StepLog>,
    giving_up: Option<Reason>,
    parked: Option<Reason>,
}

/// An event that contradicts what is known. Somebody broke the protocol: the saga is poison.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot follow {before:?}")]
pub struct Impossible {
    /// What was to be recorded.
    pub event: Event,
    /// What was known of the step.
    pub before: Option<StepLog>,
}

impl StepLog {
    /// Why the step is not in force and never will be, as its row says for ever; `None` if that is not known.
    #[must_use]
    pub fn barred(&self) -> Option<Reason> {
        match (self.forward, self.backward) {
            (Forward::Rejected(reason) | Forward::Tombstone(reason), _) | (_, Backward::Undone(reason)) => {
                Some(reason)
            }
            (Forward::Unknown | Forward::Done, Backward::Unknown | Backward::Refused) => None,
        }
    }

    /// Whether its compensation has succeeded.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        matches!(self.backward, Backward::Undone(_))
    }
}

impl Log {
    /// Nothing is known.
    #[must_use]
    pub fn new(shape: &Shape) -> Self {
        Self { steps: vec![StepLog::default(); shape.steps.len()], giving_up: None, parked: None }
    }

    /// What is known of a step.
    #[must_use]
    pub fn step(&self, step: StepNo) -> StepLog {
        self.steps.get(step).copied().unwrap_or_default()
    }

    /// Whether, and why, the saga shall not go on.
    #[must_use]
    pub fn giving_up(&self) -> Option<Reason> {
        self.giving_up
    }

    /// Whether, and why, nothing is tried.
    #[must_use]
    pub fn parked(&self) -> Option<Reason> {
        self.parked
    }

    /// The first recorded refusal at or before the pivot. It is deterministic: nobody can get past it.
    #[must_use]
    pub fn refusal(&self, shape: &Shape) -> Option<(StepNo, Reason)> {
        let until_pivot = self.steps.iter().take(shape.pivot + 1).enumerate();
        // A rejection explains more than the tombstone that another driver left because of it.
        let rejected = until_pivot.clone().find_map(|(number, step)| match step.forward {
            Forward::Rejected(reason) => Some((number, reason)),
            Forward::Unknown | Forward::Done | Forward::Tombstone(_) => None,
        });
        rejected.or_else(|| {
            until_pivot.into_iter().find_map(|(number, step)| match step.forward {
                Forward::Tombstone(reason) => Some((number, reason)),
                Forward::Unknown | Forward::Done | Forward::Rejected(_) => None,
            })
        })
    }

    /// Whether the pivot is known to have run.
    #[must_use]
    pub fn pivot_ran(&self, shape: &Shape) -> bool {
        let pivot = self.step(shape.pivot);
        pivot.forward == Forward::Done || pivot.backward == Backward::Refused
    }

    /// Records an event.
    ///
    /// # Errors
    /// [`Impossible`] if it contradicts what is known; nothing is changed then.
    pub fn record(&mut self, shape: &Shape, event: Event) -> Result<(), Impossible> {
        if !may_follow(shape, self, event) {
            return Err(Impossible { event, before: step_of(event).map(|step| self.step(step)) });
        }
        let known = step_of(event).and_then(|step| self.steps.get_mut(step));
        match (event, known) {
            (Event::Done(_), Some(step)) => step.forward = Forward::Done,
            (Event::Rejected(_, reason), Some(step)) => step.forward = Forward::Rejected(reason),
            (Event::Tombstone(_, reason), Some(step)) => step.forward = Forward::Tombstone(reason),
            (Event::Undone(_, reason), Some(step)) => step.backward = Backward::Undone(reason),
            (Event::Refused(_), Some(step)) => step.backward = Backward::Refused,
            (Event::GaveUp(reason), _) => self.giving_up = Some(reason),
            (Event::Parked(reason), _) => self.parked = Some(reason),
            (Event::Resumed, _) => self.parked = None,
            (Event::NotNow(_), _)
            | (
                Event::Done(_)
                | Event::Rejected(..)
                | Event::Tombstone(..)
                | Event::Undone(..)
                | Event::Refused(_),
                None,
            ) => {}
        }
        Ok(())
    }
}

fn step_of(event: Event) -> Option<StepNo> {
    match event {
        Event::Done(step)
        | Event::Rejected(step, _)
        | Event::Tombstone(step, _)
        | Event::NotNow(step)
        | Event::Undone(step, _)
        | Event::Refused(step) => Some(step),
        Event::GaveUp(_) | Event::Parked(_) | Event::Resumed => None,
    }
}

/// Which event may follow what is known: the only place that says so.
#[must_use]
pub fn may_follow(shape: &Shape, log: &Log, event: Event) -> bool {
    let role = step_of(event).map(|step| shape.role(step));
    let Some(role) = role else {
        return match event {
            Event::GaveUp(_) => !log.pivot_ran(shape) && log.giving_up.is_none(),
            Event::Parked(_) => log.parked.is_none(),
            Event::Resumed => log.parked.is_some(),
            Event::Done(_)
            | Event::Rejected(..)
            | Event::Tombstone(..)
            | Event::NotNow(_)
            | Event::Undone(..)
            | Event::Refused(_) => false,
        };
    };
    let Some(role) = role else { return false };
    let known = log.step(step_of(event).unwrap_or_default());
    let undecided = known.forward == Forward::Unknown && known.backward == Backward::Unknown;
    match event {
        Event::Done(_) => {
            undecided || (known.forward == Forward::Done && known.backward == Backward::Unknown)
        }
        Event::Rejected(..) => undecided && role != Role::Retriable,
        Event::Tombstone(..) => undecided && matches!(role, Role::Compensatable | Role::Pivot),
        Event::NotNow(_) => undecided && role == Role::Check,
        Event::Undone(..) => match role {
            Role::Compensatable => !log.pivot_ran(shape),
            Role::Pivot => !log.pivot_ran(shape),
            Role::Check | Role::Retriable => false,
        },
        Event::Refused(_) => role == Role::Pivot && undecided,
        Event::GaveUp(_) | Event::Parked(_) | Event::Resumed => false,
    }
}
