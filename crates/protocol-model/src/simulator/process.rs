//! An orchestrator process: drivers, heartbeat, recovery; and what kills and pauses it.

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use chrono::{DateTime, TimeDelta, Utc};
use saga_orchestrator::engine::control::Control;
use saga_orchestrator::engine::drive::{Assignment, End, Engine};
use saga_orchestrator::engine::links::Links;
use saga_orchestrator::engine::pace::Pace;
use saga_orchestrator::engine::recover::{Seen, plan};
use saga_orchestrator::sagas::Input;
use service_kit::clock::Clock;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};
use uuid::Uuid;

use super::network::Network;
use super::scribe::Scribe;
use super::stage::SagaRow;
use super::{Shared, lock};

/// One process start after another.
pub struct Process {
    stage: Shared,
    number: usize,
    starts: u64,
    me: Uuid,
    engine: Arc<Engine<Network>>,
    running: BTreeMap<SagaId, Driven>,
    down_until: Instant,
    paused_until: Pause,
    next_scan: Instant,
}

struct Driven {
    task: JoinHandle<()>,
    control: Arc<Control>,
}

/// A paused driver looks so often whether it still is.
const PAUSE_LOOK: Duration = Duration::from_millis(100);

type Pause = Arc<Mutex<Instant>>;

/// A host clock that is off, as host clocks are.
struct HostClock {
    stage: Shared,
    skew: TimeDelta,
}

impl Clock for HostClock {
    fn now(&self) -> DateTime<Utc> {
        lock(&self.stage).hour_at(self.skew)
    }
}

impl Process {
    /// Its first start.
    pub fn start(number: usize, stage: Shared) -> Self {
        let now = Instant::now();
        let (me, engine) = born(number, 1, &stage);
        Self {
            stage,
            number,
            starts: 1,
            me,
            engine,
            running: BTreeMap::new(),
            down_until: now,
            paused_until: Arc::new(Mutex::new(now)),
            next_scan: now,
        }
    }

    /// It is neither down nor paused any more.
    pub fn recovers(&mut self) {
        self.down_until = Instant::now();
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = self.down_until;
    }

    /// Whatever it does, and whatever befalls it, within a tick.
    pub fn tick(&mut self) {
        let now = Instant::now();
        if now < self.down_until || self.suffers(now) || now < read(&self.paused_until) {
            return;
        }
        self.running.retain(|_, driven| !driven.task.is_finished());
        self.engine.links.probe();
        if now >= self.next_scan {
            let pace = &self.engine.pace;
            self.next_scan = now + pace.until_next_recovery();
            self.scan(now);
        }
    }

    /// Crashes or pauses. True: it does nothing else now.
    fn suffers(&mut self, now: Instant) -> bool {
        let mut stage = lock(&self.stage);
        let odds = stage.odds;
        if stage.strikes(odds.crash) {
            let long = stage.millis(0, 8_000);
            stage.tally.crashes += 1;
            stage.note(format_args!("process {} crashes for {long:?}", self.number));
            drop(stage);
            for driven in std::mem::take(&mut self.running).into_values() {
                driven.task.abort();
            }
            self.starts += 1;
            (self.me, self.engine) = born(self.number, self.starts, &self.stage);
            self.paused_until = Arc::new(Mutex::new(now));
            self.down_until = now + long;
            return true;
        }
        if stage.strikes(odds.pause) {
            let long = stage.millis(100, 60_000);
            stage.tally.pauses += 1;
            stage.note(format_args!("process {} pauses for {long:?}", self.number));
            *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = now + long;
            return true;
        }
        false
    }

    /// A client's wish becomes a durable intent, if this process lives.
    pub fn accept(&mut self, (saga_id, input): (SagaId, Input)) {
        let now = Instant::now();
        let script = input.script();
        let mut stage = lock(&self.stage);
        let key = input.conflict_key();
        let joins =
            key.is_some() && stage.rows.values().any(|row| !row.has_ended && row.input.conflict_key() == key);
        if joins || now < self.down_until || now < read(&self.paused_until) {
            return;
        }
        stage.note(format_args!("{saga_id} is {} at process {}", script.shape.kind, self.number));
        let (owner, abort_asked) = (self.me, stage.happens(0.05));
        stage.tally.aborts += u64::from(abort_asked);
        stage.rows.insert(
            saga_id,
            SagaRow {
                input,
                script,
                owner,
                epoch: 1,
                changed_at: now,
                has_ended: false,
                abort_asked,
                told: None,
            },
        );
        drop(stage);
        self.drive(saga_id);
    }

    /// Beats, adopts what has no driver, leaves what has another.
    fn scan(&mut self, now: Instant) {
        let lease = self.engine.pace.lease;
        let driven: HashSet<SagaId> = self.running.keys().copied().collect();
        let mut stage = lock(&self.stage);
        stage.heartbeats.insert(self.me, now);
        // Now and then a heartbeat is missed that was there: two drivers at once.
        let is_blind = stage.happens(0.05);
        let alive = |owner: Uuid, stage: &super::Stage| {
            stage.heartbeats.get(&owner).is_some_and(|beat| now < *beat + lease)
        };
        let open = stage.rows.iter().filter(|(_, row)| !row.has_ended);
        let seen: Vec<Seen> = open
            .map(|(saga_id, row)| Seen {
                saga_id: *saga_id,
                owner: row.owner,
                owner_lives: !is_blind && alive(row.owner, &stage),
                is_quiet: now >= row.changed_at + lease,
            })
            .collect();
        let adopted = plan(self.me, &driven, &seen);
        for saga_id in &adopted {
            let is_lost = stage.happens(0.2);
            let lower = stage.rng.u64(0..3);
            stage.tally.adoptions += 1;
            stage.note(format_args!("process {} adopts {saga_id}", self.number));
            if let Some(row) = stage.rows.get_mut(saga_id) {
                (row.owner, row.changed_at) = (self.me, now);
                // Lazy rows may be lost, and the epoch with them.
                row.epoch = if is_lost { row.epoch.saturating_sub(lower).max(1) } else { row.epoch + 1 };
            }
        }
        for (saga_id, driven) in &self.running {
            let is_lost = stage.rows.get(saga_id).is_some_and(|row| row.owner != self.me);
            if is_lost && !stage.happens(0.5) {
                driven.control.stop();
            }
            if stage.happens(0.002) {
                stage.tally.aborts += 1;
                driven.control.abort();
            }
        }
        drop(stage);
        for saga_id in adopted {
            self.drive(saga_id);
        }
    }

    fn drive(&mut self, saga_id: SagaId) {
        let stage = lock(&self.stage);
        let Some(row) = stage.rows.get(&saga_id) else { return };
        let control = Arc::new(Control::default());
        let assignment = Assignment {
            saga_id,
            script: row.script.clone(),
            epoch: row.epoch,
            giving_up: row.abort_asked.then_some(Reason::AbortedByOperator),
            control: Arc::clone(&control),
        };
        drop(stage);
        let (engine, me, stage) = (Arc::clone(&self.engine), self.me, Arc::clone(&self.stage));
        let driving = async move {
            let mut scribe = Scribe { stage: Arc::clone(&stage), saga_id, me };
            let end = engine.drive(assignment, &mut scribe).await;
            let mut stage = lock(&stage);
            match end {
                End::Ended(outcome) => {
                    stage.tell(saga_id, outcome);
                    // The mark may be lost; recovery replays then.
                    let is_lost = stage.happens(0.1);
                    if let Some(row) = stage.rows.get_mut(&saga_id) {
                        row.changed_at = Instant::now();
                        row.has_ended |= !is_lost;
                    }
                }
                End::Superseded | End::Stopped => stage.note(format_args!("{saga_id} is left: {end:?}")),
            }
        };
        let paused = Pausable {
            driving: Box::pin(driving),
            until: Arc::clone(&self.paused_until),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        };
        self.running.insert(saga_id, Driven { task: tokio::spawn(paused), control });
    }
}

fn born(number: usize, start: u64, stage: &Shared) -> (Uuid, Arc<Engine<Network>>) {
    let mut guard = lock(stage);
    let me = Uuid::from_u128((number as u128 + 1) << 64 | u128::from(start));
    let skew = TimeDelta::milliseconds(guard.rng.i64(-600_000..600_000));
    guard.heartbeats.insert(me, Instant::now());
    drop(guard);
    let pace = Pace::scaled(1.0);
    let links = Arc::new(Links::new(&pace));
    let clock = Arc::new(HostClock { stage: Arc::clone(stage), skew });
    let participants = Network { stage: Arc::clone(stage) };
    (me, Arc::new(Engine { participants, pace, clock, links }))
}

fn read(pause: &Pause) -> Instant {
    *pause.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A driver that does nothing while its process is paused, and then goes on as if nothing had been.
struct Pausable<F> {
    driving: Pin<Box<F>>,
    until: Pause,
    sleep: Pin<Box<Sleep>>,
}

impl<F: Future<Output = ()>> Future for Pausable<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = read(&self.until);
        if Instant::now() < until {
            // The pause may end sooner than it was to: look again in a while.
            self.sleep.as_mut().reset(until.min(Instant::now() + PAUSE_LOOK));
            if self.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        self.driving.as_mut().poll(context)
    }
}
