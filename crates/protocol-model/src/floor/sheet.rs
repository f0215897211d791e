//! Verdicts and nothing else: every step before the pivot, and the pivot, may be done or rejected.

use brokerage_types::Reason;
use saga_orchestrator::engine::definition::{Role, StepNo};
use saga_orchestrator::engine::reply::Reply;
use saga_orchestrator::sagas::command::Participant;
use service_kit::executor::rule::{Due, Stored, Verdict};

use super::{Floor, Message, asked, standing, why};
use crate::cast::Cast;
use crate::mutant::{Mutant, Rules};

/// The inboxes of both participants.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    rows: Vec<Row>,
    /// The highest epoch that a participant fences off, for the mutant that has nothing better.
    fences: [u64; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    kept: Option<(Verdict, Reason, u64)>,
    effects: i8,
}

/// Any business rule.
const REFUSAL: Reason = Reason::InsufficientUsable;

impl Sheet {
    /// Nothing has happened in this saga.
    #[must_use]
    pub fn blank(cast: &Cast) -> Self {
        Self { rows: vec![Row::default(); cast.script.shape.steps.len()], fences: [0; 2] }
    }

    fn row(&self, step: StepNo) -> Row {
        self.rows.get(step).copied().unwrap_or_default()
    }

    fn with(&self, step: StepNo, row: Row) -> Self {
        let mut next = self.clone();
        if let Some(kept) = next.rows.get_mut(step) {
            *kept = row;
        }
        next
    }

    fn decide(&self, rules: Rules, message: &Message, role: Option<Role>) -> Vec<(Self, Reply)> {
        let (step, row, epoch) = (message.step, self.row(message.step), message.epoch);
        let applied = if role == Some(Role::Check) { 0 } else { 1 };
        let keep = |accepted, reason| Due::Decide.verdict(accepted).map(|verdict| (verdict, reason, epoch));
        let done = Row { kept: keep(true, Reason::GaveUp), effects: row.effects + applied };
        let mut ways = vec![(self.with(step, done), Reply::Done)];
        if role != Some(Role::Retriable) && !rules.is(Mutant::NoInbox) {
            let kept = if rules.is(Mutant::RejectionForgotten) { None } else { keep(false, REFUSAL) };
            ways.push((self.with(step, Row { kept, ..row }), Reply::Rejected(REFUSAL)));
        }
        if role == Some(Role::Check) {
            ways.push((self.clone(), Reply::NotNow));
        }
        ways
    }
}

impl Floor for Sheet {
    fn key(&self) -> String {
        format!("{self:?}")
    }

    fn deliver(&self, casts: &[Cast], rules: Rules, message: &Message) -> Result<Vec<(Self, Reply)>, String> {
        let shape = &casts[message.saga].script.shape;
        let at = |step: StepNo| shape.steps.get(step).map(|step| step.participant);
        let place = usize::from(at(message.step) == Some(Participant::Asset));
        let (role, row) = (shape.role(message.step), self.row(message.step));
        let stored = row.kept.map(|(verdict, ..)| Stored { verdict, same_command: true });
        let reason = row.kept.map(|(_, reason, _)| reason);
        let epochs = self.rows.iter().enumerate().filter(|(step, _)| at(*step) == at(message.step));
        let highest = epochs.filter_map(|(_, row)| row.kept.map(|(.., epoch)| epoch)).max().unwrap_or(0);
        let highest = i64::try_from(highest.max(self.fences[place])).unwrap_or(i64::MAX);
        // A check has no inbox row and no epoch; here it keeps its answer, because that must be stable.
        let highest = if role == Some(Role::Check) { 0 } else { highest };
        let question = asked(role, message.direction, message.epoch, false);
        let due = rules.due(stored, &question, highest);
        Ok(match due {
            Due::Answer(answer) => {
                vec![(self.clone(), standing(answer, reason, message.direction, rules))]
            }
            Due::Decide => self.decide(rules, message, role),
            Due::Forestall if rules.is(Mutant::EpochBumpLost) => {
                let mut fenced = self.clone();
                fenced.fences[place] = fenced.fences[place].max(message.epoch);
                vec![(fenced, Reply::Undone(why(message.direction)))]
            }
            Due::Forestall | Due::Undo => {
                // The row keeps the epoch of its first verdict.
                let epoch = row.kept.map_or(message.epoch, |(.., epoch)| epoch);
                let kept = due.verdict(true).map(|verdict| (verdict, why(message.direction), epoch));
                let effects = if due == Due::Undo { row.effects - 1 } else { row.effects };
                let reply = Reply::Undone(why(message.direction));
                vec![(self.with(message.step, Row { kept, effects }), reply)]
            }
        })
    }

    fn effects(&self, _: &[Cast], _: usize, step: StepNo) -> i8 {
        self.row(step).effects
    }

    fn check(&self) -> Result<(), String> {
        let wrong = self.rows.iter().position(|row| !(0..=1).contains(&row.effects));
        wrong.map_or(Ok(()), |step| {
            Err(format!("P4: the effect of step {step} is applied {} times", self.row(step).effects))
        })
    }

    fn check_at_rest(&self) -> Result<(), String> {
        Ok(())
    }
}
