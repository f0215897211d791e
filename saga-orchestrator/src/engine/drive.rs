//! The only loop: decide, call, record.
//!
//! It adds time to the pure decisions: deadlines, pauses, patience, parking. Two drivers of one saga are harmless, and
//! so is a driver that forgets everything: it runs forward from step 0 and the stored verdicts replay. Not here: SQL
//! and wire types; whoever drives hands in [`Participants`] and a [`Recorder`].

mod patience;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use futures::future::join_all;
use service_kit::clock::SharedClock;
use service_kit::crash;
use tokio::time::Instant;

use super::control::Control;
use super::decide::{self, Next, Status};
use super::definition::{Script, StepNo};
use super::links::{Held, Links, Ticket};
use super::log::{Event, Log};
use super::pace::Pace;
use super::record::{Note, Recorder};
use super::reply::{Answer, Direction, Participants, Reply, Request, Trouble, TroubleKind};
use super::retries::Urgency;

/// After so many *not now* in a row a driver asks the steps before the check again, like one that knows nothing: a
/// zombie may have undone them since, and then the check would never be answered.
const POLLS_BEFORE_STARTING_OVER: u32 = 16;
/// So many attempts of one round may come too late before that counts as a failure.
const RESTAMPS_MAX: u32 = 3;

/// What a driver of any saga needs.
pub struct Engine<P> {
    /// Whom to ask.
    pub participants: P,
    /// How long, how often.
    pub pace: Pace,
    /// For stamps only; decisions never read it.
    pub clock: SharedClock,
    /// What has been noticed of the participants.
    pub links: Arc<Links>,
}

/// One saga to drive.
pub struct Assignment {
    /// Which.
    pub saga_id: SagaId,
    /// Its shape and commands.
    pub script: Script,
    /// How often it changed its driver.
    pub epoch: u64,
    /// Somebody wanted it given up before this driver took over.
    pub giving_up: Option<Reason>,
    /// What others may say to the driver.
    pub control: Arc<Control>,
}

/// How a saga ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All effects are in place.
    Completed,
    /// No effect remains.
    RolledBack {
        /// Why: the same, whichever driver says so.
        reason: Reason,
        /// Which step was refused for that, if one was and this driver was told.
        step: Option<Cow<'static, str>>,
    },
}

/// Why a driver stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The saga has ended.
    Ended(Outcome),
    /// Another process drives it.
    Superseded,
    /// It was asked to stop.
    Stopped,
}

impl<P: Participants> Engine<P> {
    /// Drives one saga until it has ended, or until this driver must leave it.
    pub async fn drive<R: Recorder>(&self, assignment: Assignment, recorder: &mut R) -> End {
        let mut log = Log::new(&assignment.script.shape);
        if let Some(reason) = assignment.giving_up {
            // Nothing is known yet, so nothing can contradict it.
            let _ = log.record(&assignment.script.shape, Event::GaveUp(reason));
        }
        let steps = assignment.script.shape.steps.len();
        let drive = Drive {
            engine: self,
            epoch: assignment.epoch,
            attempts: vec![[0; 2]; steps],
            saga: assignment,
            recorder,
            log,
            round: Round::new(None),
            trouble: None,
            shown: Status::Running,
        };
        drive.run().await
    }
}

struct Drive<'a, P, R> {
    engine: &'a Engine<P>,
    saga: Assignment,
    recorder: &'a mut R,
    log: Log,
    epoch: u64,
    /// Attempts of each step: to do it, to undo it.
    attempts: Vec<[u32; 2]>,
    round: Round,
    /// The last thing that went wrong, for operators.
    trouble: Option<String>,
    /// The status that operators were told last.
    shown: Status,
}

/// The attempts of one stage in one direction, as long as nothing else is to be done.
struct Round {
    what: Option<(bool, usize)>,
    since: Instant,
    failures: u32,
    polls: u32,
    restamps: u32,
    /// The pause ended because somebody must find out whether the participant is back.
    was_probe: bool,
    /// An attempt was not answered: the next one is a repetition.
    is_repeating: bool,
    /// The first attempt after parking: it parks again if it comes to nothing.
    is_trial: bool,
    /// Why the participant could not be asked, and for how long.
    held: Option<Held>,
}

impl Round {
    fn new(what: Option<(bool, usize)>) -> Self {
        Self {
            what,
            since: Instant::now(),
            failures: 0,
            polls: 0,
            restamps: 0,
            was_probe: false,
            is_repeating: false,
            is_trial: false,
            held: None,
        }
    }
}

/// What one reply means for the driver. Ordered: the gravest of a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// Something is known now.
    Progress,
    /// Ask again at once.
    Again,
    /// Ask again soon; nothing is wrong.
    Later,
    /// It could not be asked now.
    Held,
    /// Ask again after a pause.
    Failure,
    /// Asking again is pointless.
    Poison,
    /// Another process drives the saga.
    Superseded,
}

impl<P: Participants, R: Recorder> Drive<'_, P, R> {
    async fn run(mut self) -> End {
        loop {
            if let Some(reason) = self.saga.control.take_abort() {
                // Refused by the log if the pivot has run: then there is nothing to give up.
                let _ = self.log.record(&self.saga.script.shape, Event::GaveUp(reason));
            }
            if self.saga.control.take_pause() {
                self.park_as_asked();
            }
            self.show_standing();
            let (steps, direction) = match decide::next(&self.saga.script.shape, &self.log) {
                Next::Completed => return End::Ended(Outcome::Completed),
                Next::RolledBack(reason, step) => {
                    let step = step
                        .and_then(|step| self.saga.script.shape.steps.get(step))
                        .map(|step| Cow::Borrowed(step.name));
                    return End::Ended(Outcome::RolledBack { reason, step });
                }
                Next::Parked(_) => {
                    if self.wait_parked().await {
                        continue;
                    }
                    return End::Stopped;
                }
                Next::Call(steps) => (steps, Direction::Do),
                Next::Compensate(steps) => {
                    (steps, Direction::Undo(decide::cause(&self.saga.script.shape, &self.log)))
                }
            };
            let mut meaning = self.ask(&steps, direction).await;
            // One reply of a stage may settle what is next, whatever became of its siblings.
            if meaning != Meaning::Superseded && self.next_round() != self.round.what {
                meaning = Meaning::Progress;
            }
            match meaning {
                Meaning::Progress | Meaning::Again => {}
                Meaning::Later => {
                    self.round.polls = self.round.polls.saturating_add(1);
                    self.pause(self.engine.pace.poll(self.round.polls), &steps).await;
                    if self.round.polls >= POLLS_BEFORE_STARTING_OVER {
                        self.log = Log::new(&self.saga.script.shape);
                    }
                }
                Meaning::Held | Meaning::Failure => {
                    self.after_failure(&steps, direction, meaning == Meaning::Held).await;
                }
                Meaning::Poison => self.give_up_or_park(&steps, direction, Reason::InternalFault),
                Meaning::Superseded => return End::Superseded,
            }
            if self.saga.control.is_stopped() && meaning != Meaning::Progress {
                return End::Stopped;
            }
        }
    }

    /// One attempt of every step, together; and what it came to.
    async fn ask(&mut self, steps: &[StepNo], direction: Direction) -> Meaning {
        let stage =
            steps.first().and_then(|&step| self.saga.script.shape.steps.get(step)).map(|step| step.stage);
        let what = stage.map(|stage| (direction.is_undo(), stage));
        if self.round.what != what {
            self.round = Round::new(what);
        }
        self.round.held = None;
        self.recorder.asks(steps, direction.is_undo());
        let mut asked = Vec::with_capacity(steps.len());
        let mut gravest = Meaning::Progress;
        for &step in steps {
            match self.admit(step, direction) {
                Ok(ticket) => asked.push((step, ticket)),
                Err(held) => {
                    self.round.held = Some(held);
                    gravest = Meaning::Held;
                }
            }
        }
        let answers = join_all(asked.iter().map(|&(step, _)| self.attempt(step, direction))).await;
        for ((step, ticket), (answer, took)) in asked.into_iter().zip(answers) {
            self.hear(step, ticket, &answer);
            let meaning = self.take_in(step, direction, answer, took).await;
            gravest = gravest.max(meaning);
        }
        gravest
    }

    /// Asks whether the participant may be asked now, and counts the attempt if so.
    fn admit(&mut self, step: StepNo, direction: Direction) -> Result<Option<Ticket>, Held> {
        let ticket = match self.saga.script.shape.steps.get(step) {
            Some(shape) => {
                let urgency =
                    if self.may_give_up(&[step], direction) { Urgency::Usual } else { Urgency::Reserved };
                let admitted =
                    self.engine.links.to(shape.participant).admit(self.round.is_repeating, urgency);
                Some(admitted.inspect_err(|held| {
                    let why = format!("{} is not asked now: {}", shape.participant.as_str(), held.why);
                    self.trouble.get_or_insert(why);
                })?)
            }
            None => None,
        };
        if let Some(counts) = self.attempts.get_mut(step) {
            let count = &mut counts[usize::from(direction.is_undo())];
            *count = count.saturating_add(1);
        }
        Ok(ticket)
    }

    /// Notices what the answer tells about the participant.
    fn hear(&self, step: StepNo, ticket: Option<Ticket>, answer: &Answer) {
        let (Some(shape), Some(ticket)) = (self.saga.script.shape.steps.get(step), ticket) else { return };
        let link = self.engine.links.to(shape.participant);
        link.hear(ticket, answer.reply.heard());
        if let Some(theirs) = answer.database_time {
            link.saw_clock(theirs, self.engine.clock.now());
        }
    }

    async fn attempt(&self, step: StepNo, direction: Direction) -> (Answer, Duration) {
        let started = Instant::now();
        let (Some(command), Some(shape)) =
            (self.saga.script.commands.get(step), self.saga.script.shape.steps.get(step))
        else {
            let reply = Reply::Poison(format!("there is no step {step}"));
            return (Answer { reply, database_time: None }, Duration::ZERO);
        };
        let link = self.engine.links.to(shape.participant);
        let request = Request {
            saga_id: self.saga.saga_id,
            step,
            direction,
            command,
            epoch: self.epoch,
            not_after: link.void_at(self.engine.clock.now(), self.engine.pace.void_after),
            attempt: self.attempts.get(step).map_or(1, |counts| counts[usize::from(direction.is_undo())]),
            intent: if shape.stage == 0 && !direction.is_undo() { &self.saga.script.intent } else { &[] },
        };
        let (before, after) = if direction.is_undo() { ("undoing", "undone") } else { ("sending", "heard") };
        crash::point("engine", before, Some(shape.name));
        let sent = self.engine.participants.send(&request);
        let answer = match tokio::time::timeout(self.engine.pace.attempt, sent).await {
            Ok(answer) => answer,
            Err(_) => {
                let detail = "no answer within the attempt's deadline".to_owned();
                let trouble = Trouble { kind: TroubleKind::NoAnswer, detail };
                Answer { reply: Reply::Unknown(trouble), database_time: None }
            }
        };
        crash::point("engine", after, Some(shape.name));
        (answer, started.elapsed())
    }

    /// Notes one reply, adds it to what is known, and says what it means.
    async fn take_in(
        &mut self,
        step: StepNo,
        direction: Direction,
        answer: Answer,
        took: Duration,
    ) -> Meaning {
        let attempt = self.attempts.get(step).map_or(1, |counts| counts[usize::from(direction.is_undo())]);
        let at = self.engine.clock.now();
        self.recorder.note(Note { step, direction, attempt, reply: answer.reply.clone(), at, took });
        let event = match (answer.reply, direction) {
            // Of what is done a reason tells nothing.
            (Reply::Done | Reply::Undone(_), Direction::Do) => Event::Done(step),
            (Reply::Undone(reason), Direction::Undo(_)) => Event::Undone(step, reason),
            // It does not say why: it may have been for ours.
            (Reply::Done, Direction::Undo(reason)) => Event::Undone(step, reason),
            (Reply::Rejected(reason), Direction::Do) => Event::Rejected(step, reason),
            (Reply::Tombstone(reason), Direction::Do) => Event::Tombstone(step, reason),
            (Reply::Refused, Direction::Undo(_)) => Event::Refused(step),
            (Reply::NotNow, Direction::Do) => Event::NotNow(step),
            (Reply::Expired, _) => return self.restamped(),
            (Reply::StaleEpoch(highest), _) => return self.raise_epoch(highest).await,
            (Reply::Unknown(trouble), _) => {
                self.trouble = Some(trouble.detail);
                self.round.is_repeating = true;
                return Meaning::Failure;
            }
            (Reply::Poison(detail), _) => {
                self.trouble = Some(detail);
                return Meaning::Poison;
            }
            (reply @ Reply::Refused, Direction::Do)
            | (reply @ (Reply::Rejected(_) | Reply::Tombstone(_) | Reply::NotNow), Direction::Undo(_)) => {
                self.trouble = Some(format!("step {step} answered {}, which it must not", reply.word()));
                return Meaning::Poison;
            }
        };
        match self.log.record(&self.saga.script.shape, event) {
            Ok(()) if matches!(event, Event::NotNow(_)) => Meaning::Later,
            Ok(()) => Meaning::Progress,
            Err(impossible) => {
                self.trouble = Some(impossible.to_string());
                Meaning::Poison
            }
        }
    }

    fn restamped(&mut self) -> Meaning {
        self.round.restamps = self.round.restamps.saturating_add(1);
        if self.round.restamps <= RESTAMPS_MAX { Meaning::Again } else { Meaning::Failure }
    }

    async fn raise_epoch(&mut self, highest: u64) -> Meaning {
        let epoch = highest.max(self.epoch).saturating_add(1);
        self.epoch = epoch;
        if self.recorder.raise_epoch(epoch).await { self.restamped() } else { Meaning::Superseded }
    }
}
