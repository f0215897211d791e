//! What a saga is: a constant of stages, one pivot and retriable steps; and its shape, which the decisions need.
//!
//! Not here: what to do next (`decide`), what has happened (`log`). Pure: no async, no clock, no wire types.

use crate::sagas::command::{Command, Participant};

/// A step's position in its saga, counted from 0 over all stages, the pivot and the retriable steps.
pub type StepNo = usize;

/// A saga, as its file shows it. `I` is its immutable input: every id and amount, fixed before the first step.
pub struct Saga<I: 'static> {
    /// Its name, stored with every instance.
    pub kind: &'static str,
    /// Stored with every instance; a changed definition is a new version beside the old one.
    pub version: u16,
    /// Stages run in order; the steps of one stage run together.
    pub stages: &'static [&'static [Step<I>]],
    /// The step that decides.
    pub pivot: Pivot<I>,
    /// What can no longer be refused. One after another.
    pub retriable: &'static [Retriable<I>],
}

/// A step before the pivot.
pub struct Step<I> {
    /// Its name, for people.
    pub name: &'static str,
    /// Whether there is something to take back.
    pub kind: Kind,
    /// How long the saga asks before it gives up.
    pub patience: Patience,
    /// The command.
    pub call: fn(&I) -> Command,
}

/// What a step before the pivot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has an effect, and the participant knows the inverse.
    Compensatable,
    /// A read with a stable answer: no effect, nothing to take back. It may answer *not now*.
    Check,
}

/// The step that decides whether the saga has happened. It cannot be taken back, but it can be forestalled.
pub struct Pivot<I> {
    /// Its name, for people.
    pub name: &'static str,
    /// How long the saga asks before it gives up, which begins with forestalling this very step.
    pub patience: Patience,
    /// The command.
    pub call: fn(&I) -> Command,
}

/// A step after the pivot: no business rule can refuse it, and it is asked until it is done.
pub struct Retriable<I> {
    /// Its name, for people.
    pub name: &'static str,
    /// The command.
    pub call: fn(&I) -> Command,
}

/// How long a saga asks for an answer before it gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A budget (`engine/pace.rs`): somebody is waiting.
    Budget,
    /// For ever.
    Endless,
}

/// Somebody is waiting: give up when the budget is spent.
pub const INTERACTIVE: Patience = Patience::Budget;
/// The answer depends on other sagas, which will end: keep asking.
pub const UNTIL_ANSWERED: Patience = Patience::Endless;

/// What a step is to its saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Before the pivot, with an inverse.
    Compensatable,
    /// Before the pivot, without an effect.
    Check,
    /// The step that decides.
    Pivot,
    /// After the pivot.
    Retriable,
}

/// One step, without its command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepShape {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub role: Role,
    /// Who does it.
    pub participant: Participant,
    /// Steps of equal stage run together; the pivot and every retriable step have a stage of their own.
    pub stage: usize,
    /// See [`Patience`]; endless after the pivot.
    pub patience: Patience,
}

/// A saga without input and commands: all that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The saga's name.
    pub kind: &'static str,
    /// The definition's version.
    pub version: u16,
    /// Every step in order; exactly one is the pivot.
    pub steps: Vec<StepShape>,
    /// Where the pivot is.
    pub pivot: StepNo,
}

impl Shape {
    /// How many stages there are, the pivot's and the retriable steps' included.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.steps.last().map_or(0, |step| step.stage + 1)
    }

    /// The steps of one stage.
    pub fn stage(&self, stage: usize) -> impl Iterator<Item = StepNo> {
        self.steps.iter().enumerate().filter(move |(_, step)| step.stage == stage).map(|(number, _)| number)
    }

    /// What a step is; `None` beyond the last.
    #[must_use]
    pub fn role(&self, step: StepNo) -> Option<Role> {
        self.steps.get(step).map(|step| step.role)
    }
}

/// One instance: the shape, and the command of every step. Nothing else ever decides what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What decisions depend on.
    pub shape: Shape,
    /// One command a step, in order.
    pub commands: Vec<Command>,
    /// Sent along with the first stage, so that a participant remembers what the saga can be rebuilt from. May be empty.
    pub intent: Vec<u8>,
}

impl<I> Saga<I> {
    /// Fixes every command from the input.
    #[must_use]
    pub fn script(&self, input: &I) -> Script {
        let mut steps = Vec::with_capacity(4);
        let mut commands = Vec::with_capacity(4);
        let mut add = |name, role, stage, patience, command: Command| {
            steps.push(StepShape { name, role, participant: command.participant(), stage, patience });
            commands.push(command);
        };
        for (stage, members) in self.stages.iter().enumerate() {
            for step in *members {
                let role = match step.kind {
                    Kind::Compensatable => Role::Compensatable,
                    Kind::Check => Role::Check,
                };
                add(step.name, role, stage, step.patience, (step.call)(input));
            }
        }
        let pivot_stage = self.stages.len();
        add(self.pivot.name, Role::Pivot, pivot_stage, self.pivot.patience, (self.pivot.call)(input));
        for (place, step) in self.retriable.iter().enumerate() {
            let stage = pivot_stage + 1 + place;
            add(step.name, Role::Retriable, stage, Patience::Endless, (step.call)(input));
        }
        let pivot = self.stages.iter().map(|members| members.len()).sum();
        let shape = Shape { kind: self.kind, version: self.version, steps, pivot };
        Script { shape, commands, intent: Vec::new() }
    }
}
