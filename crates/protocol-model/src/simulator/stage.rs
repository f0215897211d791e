//! Everything that is durable or on the way, the dice, and the promises that are checked after every event.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use brokerage_types::{InstrumentState, SagaId};
use chrono::{DateTime, TimeDelta, Utc};
use saga_orchestrator::engine::definition::{Role, Script, StepNo};
use saga_orchestrator::engine::drive::Outcome;
use saga_orchestrator::engine::reply::{Direction, Reply};
use saga_orchestrator::sagas::Input;
use saga_orchestrator::sagas::command::Participant;
use service_kit::executor::rule::Verdict;
use tokio::time::Instant;
use uuid::Uuid;

use super::author::Author;
use super::envelope::{Commit, Envelope, Fate, Odds};
use super::{Run, SAFETY};
use crate::floor::{Arrival, Books, Floor};
use crate::mutant::Rules;

/// So many events are kept to be shown.
const LINES_KEPT: usize = 60;
/// Every so many events all rows are checked, not only those touched.
const FULL_CHECK_EVERY: u64 = 64;

/// What happened in a run, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "counters that say what they count")]
pub struct Tally {
    pub events: u64,
    pub arrivals: u64,
    pub lost: u64,
    pub replayed: u64,
    pub late: u64,
    pub unknown_commits: u64,
    pub outages: u64,
    pub crashes: u64,
    pub pauses: u64,
    pub adoptions: u64,
    pub aborts: u64,
    pub completed: u64,
    pub rolled_back: u64,
    /// From the end of the faults until everything had ended, at worst.
    pub healed_ms: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            events: self.events + other.events,
            arrivals: self.arrivals + other.arrivals,
            lost: self.lost + other.lost,
            replayed: self.replayed + other.replayed,
            late: self.late + other.late,
            unknown_commits: self.unknown_commits + other.unknown_commits,
            outages: self.outages + other.outages,
            crashes: self.crashes + other.crashes,
            pauses: self.pauses + other.pauses,
            adoptions: self.adoptions + other.adoptions,
            aborts: self.aborts + other.aborts,
            completed: self.completed + other.completed,
            rolled_back: self.rolled_back + other.rolled_back,
            healed_ms: self.healed_ms.max(other.healed_ms),
        }
    }
}

/// One saga, as the orchestrators' database has it.
pub struct SagaRow {
    pub input: Input,
    pub script: Script,
    pub owner: Uuid,
    pub epoch: u64,
    pub changed_at: Instant,
    pub has_ended: bool,
    pub abort_asked: bool,
    /// What a client was told.
    pub told: Option<Outcome>,
}

/// Everything that outlives a process.
pub struct Stage {
    pub rng: fastrand::Rng,
    pub has_faults: bool,
    pub broken: Option<String>,
    pub trace: u64,
    pub last: VecDeque<String>,
    pub tally: Tally,
    pub books: Books,
    pub rows: BTreeMap<SagaId, SagaRow>,
    pub heartbeats: BTreeMap<Uuid, Instant>,
    pub odds: Odds,
    rules: Rules,
    started: Instant,
    calm_since: Instant,
    author: Author,
    down_until: [Instant; 2],
    /// How far each database's clock is off.
    skews: [TimeDelta; 2],
    /// What was ever sent: it may arrive after the end.
    sent: BTreeMap<(SagaId, StepNo, bool), Envelope>,
}

impl Stage {
    pub fn new(run: Run) -> Self {
        let mut rng = fastrand::Rng::with_seed(run.seed);
        let odds = Odds::drawn(&mut rng);
        let now = Instant::now();
        let skews = [0, 1].map(|_| TimeDelta::milliseconds(rng.i64(-600_000..600_000)));
        Self {
            author: Author::new(&mut rng, run.sagas, SAFETY),
            books: Author::people(),
            rng,
            has_faults: true,
            broken: None,
            trace: 0xcbf2_9ce4_8422_2325,
            last: VecDeque::new(),
            tally: Tally::default(),
            rows: BTreeMap::new(),
            heartbeats: BTreeMap::new(),
            odds,
            rules: run.rules,
            started: now,
            calm_since: now,
            down_until: [now; 2],
            skews,
            sent: BTreeMap::new(),
        }
    }

    /// Notes an event: it becomes part of the trace.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        let line = format!("{:>10.3} {what}", self.started.elapsed().as_secs_f64());
        for byte in line.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.tally.events += 1;
        if self.last.len() == LINES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// A promise is broken; the first one counts.
    pub fn breaks(&mut self, promise: String) {
        self.broken.get_or_insert(promise);
    }

    /// Whether something that happens so often happens now. Never when there are no faults.
    pub fn happens(&mut self, odds: f64) -> bool {
        self.has_faults && self.rng.f64() < odds
    }

    /// Whether something that happens so often within a second happens in this tick.
    pub fn strikes(&mut self, odds: f64) -> bool {
        self.happens(odds * super::TICK.as_secs_f64())
    }

    /// From `least` to `most` milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.u64(least..=most))
    }

    /// The hour on a participant's database clock.
    pub fn hour(&self, participant: Participant) -> DateTime<Utc> {
        self.hour_at(self.skews[place(participant)])
    }

    /// The hour on a clock that is so far off.
    pub fn hour_at(&self, skew: TimeDelta) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or_default();
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + elapsed + skew
    }

    /// What will become of one attempt.
    pub fn fate(&mut self, envelope: &Envelope) -> Fate {
        let key = (envelope.saga_id, envelope.step, envelope.direction.is_undo());
        self.sent.entry(key).or_insert_with(|| envelope.clone());
        let odds = self.odds;
        let way = |stage: &mut Self| {
            if stage.happens(odds.loss) {
                stage.tally.lost += 1;
                return None;
            }
            Some(stage.travel())
        };
        let (request, reply) = (way(self), way(self));
        let mut copies = Vec::new();
        if self.happens(odds.replay) {
            self.tally.replayed += 1;
            let most = if self.rng.bool() { 500 } else { 90_000 };
            copies.push(self.millis(0, most));
        }
        let commit = if self.happens(odds.unknown) {
            self.tally.unknown_commits += 1;
            if self.rng.bool() { Commit::UnknownButDone } else { Commit::UnknownAndNot }
        } else {
            Commit::Known
        };
        Fate { request, copies, commit, reply, is_reset: self.rng.bool() }
    }

    fn travel(&mut self) -> Duration {
        let odds = self.odds.delay;
        if self.happens(odds) {
            self.tally.late += 1;
            return if self.rng.f64() < 0.1 { self.millis(2_000, 100_000) } else { self.millis(20, 2_000) };
        }
        self.millis(0, 3)
    }

    /// An attempt arrives. `None`: nobody hears an answer.
    pub fn arrive(&mut self, envelope: &Envelope, commit: Commit) -> Option<(Reply, DateTime<Utc>)> {
        let participant = envelope.command.participant();
        if Instant::now() < self.down_until[place(participant)] || commit == Commit::UnknownAndNot {
            return None;
        }
        self.tally.arrivals += 1;
        let now = self.hour(participant);
        let arrival = Arrival {
            saga_id: envelope.saga_id,
            step: envelope.step,
            direction: envelope.direction,
            command: &envelope.command,
            epoch: envelope.epoch,
            not_after: envelope.not_after,
            now,
        };
        let reply = match self.books.arrive(self.rules, &arrival) {
            Ok(reply) => reply,
            Err(broken) => {
                self.breaks(format!("{broken}, of {envelope:?}"));
                return None;
            }
        };
        let verb = match envelope.direction {
            Direction::Do => "do",
            Direction::Undo(_) => "undo",
        };
        let (saga_id, step, epoch) = (envelope.saga_id, envelope.step, envelope.epoch);
        self.note(format_args!(
            "{saga_id} {verb} {step} epoch {epoch}: {} {}",
            reply.word(),
            reply.explanation()
        ));
        self.check(envelope);
        (commit == Commit::Known).then_some((reply, now))
    }

    fn check(&mut self, envelope: &Envelope) {
        let is_full = self.tally.arrivals.is_multiple_of(FULL_CHECK_EVERY);
        let checked = if is_full { self.books.check() } else { self.books.check_touched(&envelope.command) };
        if let Err(broken) = checked.and_then(|()| self.check_outcome(envelope.saga_id)) {
            self.breaks(broken);
        }
    }

    /// P5: what was told is so, and stays so.
    fn check_outcome(&self, saga_id: SagaId) -> Result<(), String> {
        let Some(row) = self.rows.get(&saga_id) else { return Ok(()) };
        let steps = row.script.shape.steps.iter().enumerate();
        let mut effects = steps
            .filter(|(_, step)| step.role != Role::Check)
            .map(|(step, _)| self.books.verdict(saga_id, step) == Some(Verdict::Done));
        match &row.told {
            Some(Outcome::Completed) if !effects.all(|done| done) => {
                Err(format!("P5: {saga_id} is COMPLETED, and an effect is missing"))
            }
            Some(Outcome::RolledBack { .. }) if effects.any(|done| done) => {
                Err(format!("P5: {saga_id} is ROLLED_BACK, and an effect is in force"))
            }
            Some(Outcome::Completed | Outcome::RolledBack { .. }) | None => Ok(()),
        }
    }

    /// A client is told how its saga ended.
    pub fn tell(&mut self, saga_id: SagaId, outcome: Outcome) {
        self.note(format_args!("{saga_id} is answered {outcome:?}"));
        let Some(row) = self.rows.get_mut(&saga_id) else { return };
        let contradicts = match (&row.told, &outcome) {
            (None, _) | (Some(Outcome::Completed), Outcome::Completed) => false,
            (Some(Outcome::RolledBack { reason: first, .. }), Outcome::RolledBack { reason, .. }) => {
                first != reason
            }
            (Some(Outcome::Completed), Outcome::RolledBack { .. })
            | (Some(Outcome::RolledBack { .. }), Outcome::Completed) => true,
        };
        let words = format!("P6: {saga_id} was answered {:?} and {outcome:?}", row.told);
        if row.told.is_none() {
            match outcome {
                Outcome::Completed => self.tally.completed += 1,
                Outcome::RolledBack { .. } => self.tally.rolled_back += 1,
            }
        }
        row.told = Some(outcome);
        if contradicts {
            self.breaks(words);
        }
        if let Err(broken) = self.check_outcome(saga_id) {
            self.breaks(broken);
        }
    }

    /// What may befall the services.
    pub fn tick(&mut self) {
        let odds = self.odds.outage;
        for participant in Participant::ALL {
            if self.strikes(odds) {
                self.tally.outages += 1;
                let long = self.millis(10, 6_000);
                self.down_until[place(participant)] = Instant::now() + long;
                self.note(format_args!("{} is down for {long:?}", participant.as_str()));
            }
        }
        if self.strikes(odds) {
            let state = if self.rng.bool() { InstrumentState::Open } else { InstrumentState::Halted };
            for listing in self.books.order.listings.values_mut() {
                listing.definition.state = state;
            }
        }
    }

    /// Inputs of the sagas that clients ask for now.
    pub fn due_intents(&mut self) -> Vec<(SagaId, Input)> {
        let elapsed = self.started.elapsed();
        self.author.due(&mut self.rng, elapsed, &self.books)
    }

    /// From here on nothing goes wrong any more; what is on its way still arrives.
    pub fn end_faults(&mut self) {
        self.has_faults = false;
        self.calm_since = Instant::now();
        self.down_until = [Instant::now(); 2];
        for listing in self.books.order.listings.values_mut() {
            listing.definition.state = InstrumentState::Open;
        }
        self.note(format_args!("faults cease"));
    }

    pub fn all_ended(&self) -> bool {
        self.author.is_done() && self.rows.values().all(|row| row.has_ended)
    }

    pub fn stragglers(&self) -> String {
        let rows = self.rows.iter().filter(|(_, row)| !row.has_ended);
        let names: Vec<String> = rows.map(|(id, row)| format!("{} {id}", row.script.shape.kind)).collect();
        names.join(", ")
    }

    /// All has ended: what is at rest is in order, and nothing that was ever sent can change it.
    pub fn curtain(&mut self) {
        self.tally.healed_ms = u64::try_from(self.calm_since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut checked = self.books.check().and_then(|()| self.books.check_at_rest());
        for saga_id in self.rows.keys() {
            checked = checked.and_then(|()| self.check_outcome(*saga_id));
        }
        if let Err(broken) = checked {
            return self.breaks(broken);
        }
        // A tombstone may still be written for a pivot that nobody needed to ask. It has no effect.
        let before = self.books.effects_key();
        for mut envelope in self.sent.values().cloned().collect::<Vec<_>>() {
            envelope.not_after = DateTime::<Utc>::MAX_UTC;
            self.arrive(&envelope, Commit::Known);
            if self.books.effects_key() != before {
                return self.breaks(format!("P5: a late message changed what had ended: {envelope:?}"));
            }
        }
    }
}

fn place(participant: Participant) -> usize {
    match participant {
        Participant::Order => 0,
        Participant::Asset => 1,
    }
}
