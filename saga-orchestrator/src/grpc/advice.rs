//! What a stuck saga waits for and what to do about it, in words for somebody who was woken by an alarm.
//!
//! Pure: everything that can be known is in [`Situation`]; `docs/operations.md` says the same at length.

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, Utc};

use crate::engine::breaker::Position;
use crate::engine::decide::Status;
use crate::engine::definition::Role;

/// Everything that can be known of a saga's standing.
#[derive(Clone, Debug)]
pub(super) struct Situation {
    pub saga_id: SagaId,
    pub status: Status,
    pub reason: Option<Reason>,
    /// The steps it waits for.
    pub awaited: Vec<Awaited>,
    /// Whether its driver beats.
    pub driver_lives: bool,
    /// What went wrong last.
    pub trouble: String,
    /// Sagas that must end first.
    pub blockers: Vec<SagaId>,
}

/// A step that a saga waits for.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    pub step: u32,
    pub name: &'static str,
    pub participant: &'static str,
    pub role: Role,
    pub undo: bool,
    pub attempts: u32,
    pub last_reply: String,
    pub last_reason: String,
    pub last_at: Option<DateTime<Utc>>,
    pub breaker: Position,
}

impl Awaited {
    fn call(&self) -> String {
        let verb = if self.undo { "undo" } else { "do" };
        format!("{verb} `{}`", self.name)
    }
}

/// One sentence: what it waits for.
pub(super) fn summary(situation: &Situation) -> String {
    let reason = situation.reason.map_or("no reason is noted", Reason::as_str);
    let awaited = situation.awaited.first();
    match (situation.status, awaited) {
        (Status::Completed, _) => "It has completed: all its effects are in place.".to_owned(),
        (Status::RolledBack, _) => format!("It was rolled back ({reason}): no effect remains."),
        (Status::Parked, Some(step)) if situation.reason == Some(Reason::PausedByOperator) => {
            format!("An operator parked it before {} was to {}.", step.participant, step.call())
        }
        (Status::Parked, Some(step)) => {
            format!("It is parked ({reason}): {} could not {}.", step.participant, step.call())
        }
        (Status::Parked, None) => format!("It is parked ({reason})."),
        (Status::Running | Status::Compensating, _) if !situation.driver_lives => {
            "Its driver is gone; another process takes it over as soon as the lease is over.".to_owned()
        }
        (Status::Running | Status::Compensating, Some(step)) if step.breaker != Position::Closed => {
            format!(
                "It waits for {} to {}: that does not answer, and one call a second finds out when it does.",
                step.participant,
                step.call()
            )
        }
        (Status::Running | Status::Compensating, Some(step)) if step.last_reply == "NOT_NOW" => format!(
            "It waits until nothing of the order is in flight ({}); {} sagas are in the way.",
            step.name,
            situation.blockers.len()
        ),
        (Status::Running | Status::Compensating, Some(step)) if step.last_reply == "UNKNOWN" => {
            format!(
                "It asks {} again to {}: nobody knows what became of the last call.",
                step.participant,
                step.call()
            )
        }
        (Status::Running | Status::Compensating, Some(step)) => {
            format!("It is under way: {} is to {}.", step.participant, step.call())
        }
        (Status::Running | Status::Compensating, None) => {
            "All its steps are answered; only the mark of its end is missing.".to_owned()
        }
    }
}

/// What to do, one thing a line.
pub(super) fn advice(situation: &Situation) -> Vec<String> {
    let mut lines = Vec::new();
    let saga_id = situation.saga_id;
    let retry = format!("then: brokerctl saga retry {saga_id}");
    let awaited = situation.awaited.first();
    match situation.status {
        Status::Completed | Status::RolledBack => return vec!["Nothing: it has ended.".to_owned()],
        Status::Parked => {
            match situation.reason {
                Some(Reason::PausedByOperator) => {
                    lines.push(format!("To let it go on: brokerctl saga retry {saga_id}"));
                }
                Some(Reason::ParticipantUnavailable) => {
                    lines.extend(awaited.map(|step| look_at(step.participant)));
                    lines.push(
                        "It goes on by itself as soon as that answers; it is also tried every 5 minutes."
                            .to_owned(),
                    );
                }
                Some(_) | None => {
                    lines.push(format!("Read what went wrong above and in the logs (field saga_id={saga_id}); mend the cause,"));
                    lines.push(retry);
                }
            }
        }
        Status::Running | Status::Compensating => {
            if !situation.driver_lives {
                lines.push(
                    "Wait for the lease (5 s). If nobody takes it over, no orchestrator is up: start one."
                        .to_owned(),
                );
            } else if let Some(step) = awaited.filter(|step| step.breaker != Position::Closed) {
                lines.push(look_at(step.participant));
            } else if let Some(blocker) = situation.blockers.first() {
                lines.push(format!("Look at what is in the way: brokerctl saga why {blocker}"));
            } else {
                lines.push(
                    "Wait. If it stays like this for a minute, look at the service it waits for.".to_owned(),
                );
            }
        }
    }
    lines.push(giving_up(situation));
    lines
}

fn look_at(participant: &str) -> String {
    format!(
        "Look at {participant}: is it up, ready, and is its database? Nothing needs to be done to the saga."
    )
}

/// Whether it can still be given up: the pivot decides, so nobody knows for sure before asking it.
fn giving_up(situation: &Situation) -> String {
    let after_pivot = situation.awaited.iter().any(|step| step.role == Role::Retriable);
    if after_pivot {
        "It cannot be given up: its pivot has run, so it has happened. Only its last steps are missing."
            .to_owned()
    } else if situation.status == Status::Compensating {
        "It is being given up already.".to_owned()
    } else {
        format!(
            "To give it up, if its pivot has not run: brokerctl saga abort {} --reason WHY",
            situation.saga_id
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(reply: &str, breaker: Position, role: Role) -> Awaited {
        Awaited {
            step: 1,
            name: "await_drain",
            participant: "order-svc",
            role,
            undo: false,
            attempts: 3,
            last_reply: reply.to_owned(),
            last_reason: String::new(),
            last_at: None,
            breaker,
        }
    }

    fn situation(status: Status, reason: Option<Reason>, awaited: Vec<Awaited>) -> Situation {
        let saga_id = SagaId::from(uuid::Uuid::from_u128(7));
        let (trouble, blockers) = (String::new(), Vec::new());
        Situation { saga_id, status, reason, awaited, driver_lives: true, trouble, blockers }
    }

    #[test]
    fn it_says_what_hinders_most_and_what_to_do() {
        let check = |reply| vec![step(reply, Position::Closed, Role::Check)];
        let (running, parked) = (Status::Running, Status::Parked);
        let cases = [
            (situation(running, None, check("NOT_NOW")), "in flight", "Wait."),
            (situation(running, None, check("UNKNOWN")), "asks order-svc again", "Wait."),
            (situation(running, None, check("")), "under way", "Wait."),
            (situation(running, None, Vec::new()), "mark of its end", "Wait."),
            (
                situation(running, None, vec![step("UNKNOWN", Position::Open, Role::Pivot)]),
                "does not answer",
                "Look at order-svc",
            ),
            (
                situation(running, None, vec![step("UNKNOWN", Position::Closed, Role::Retriable)]),
                "again",
                "cannot be given up",
            ),
            (situation(Status::Compensating, None, check("UNKNOWN")), "again", "being given up already"),
            (
                situation(parked, Some(Reason::PausedByOperator), check("")),
                "An operator parked it",
                "saga retry",
            ),
            (
                situation(parked, Some(Reason::ParticipantUnavailable), check("UNKNOWN")),
                "could not do `await_drain`",
                "goes on by itself",
            ),
            (situation(parked, Some(Reason::InternalFault), check("POISON")), "INTERNAL_FAULT", "saga retry"),
            (situation(Status::Completed, None, Vec::new()), "has completed", "Nothing"),
            (situation(Status::RolledBack, Some(Reason::GaveUp), Vec::new()), "GAVE_UP", "Nothing"),
        ];
        for (situation, says, advises) in cases {
            let (summary, advice) = (summary(&situation), advice(&situation).join("\n"));
            assert!(summary.contains(says), "{summary:?} does not say {says:?}");
            assert!(advice.contains(advises), "{advice:?} does not advise {advises:?}");
        }
    }

    #[test]
    fn a_dead_driver_is_the_first_thing_to_know() {
        let waiting = vec![step("NOT_NOW", Position::Open, Role::Check)];
        let alone = Situation { driver_lives: false, ..situation(Status::Running, None, waiting) };
        assert!(summary(&alone).contains("driver is gone"));
        assert!(advice(&alone)[0].contains("no orchestrator is up"));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let blockers = vec![SagaId::from(uuid::Uuid::from_u128(9))];
        let waiting = vec![step("NOT_NOW", Position::Closed, Role::Check)];
        let blocked = Situation { blockers, ..situation(Status::Running, None, waiting) };
        assert!(advice(&blocked)[0].ends_with("why 00000000-0000-0000-0000-000000000009"));
    }
}
