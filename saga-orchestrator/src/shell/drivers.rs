//! Drivers as tasks: every saga that this process drives, and what becomes of it.
//!
//! A driver belongs to no caller. Whoever waits for a saga watches its fate; a caller that stops waiting changes
//! nothing. The outcome is told as soon as it is in effect, and the mark follows behind.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokerage_types::{Reason, SagaId};
use futures::FutureExt;
use service_kit::crash;
use service_kit::run::Kit;
use service_kit::telemetry::{self, Span};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::capacity::Capacity;
use super::scribe::{Desk, Scribe};
use super::traced::{self, Origin, Traced};
use super::{Changes, Live, Meters, Seat};
use crate::engine::control::Control;
use crate::engine::decide::Status;
use crate::engine::definition::Script;
use crate::engine::drive::{Assignment, End, Engine, Outcome};
use crate::participants::Grpc;
use crate::sagas::Input;
use crate::store::{Mark, Store};

/// How long to wait before a terminal mark is written again.
const MARK_RETRY: Duration = Duration::from_millis(100);

/// What is known of a saga's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is being driven.
    Underway,
    /// It is parked, and why.
    Parked(Reason),
    /// Its outcome is in effect.
    Ended(Outcome),
    /// This process does not drive it any more; the database will know.
    Left,
}

/// A saga that this process drives.
pub struct Running {
    /// What others may say to the driver.
    pub control: Arc<Control>,
    since: Instant,
    fate: watch::Sender<Fate>,
    live: Mutex<Live>,
}

impl Running {
    /// Follows its fate.
    #[must_use]
    pub fn fate(&self) -> watch::Receiver<Fate> {
        self.fate.subscribe()
    }

    /// What its driver is doing right now.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn show(&self, change: impl FnOnce(&mut Live)) {
        change(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn set(&self, fate: Fate) {
        self.fate.send_replace(fate);
    }
}

/// A saga to drive.
pub struct Assigned {
    /// Which.
    pub saga_id: SagaId,
    /// Its input.
    pub input: Input,
    /// How often it changed its driver.
    pub epoch: u64,
    /// Somebody wants it given up.
    pub giving_up: Option<Reason>,
    /// Somebody wants it parked.
    pub paused: bool,
    /// What it can be rebuilt from, for the participants to remember.
    pub intent: Vec<u8>,
    /// Whose trace it belongs to.
    pub origin: Origin,
    /// Others wait until its outcome is told.
    pub seat: Option<Seat>,
}

/// All drivers of this process.
pub struct Drivers {
    /// This process start, as owner of sagas.
    pub me: Uuid,
    engine: Engine<Grpc>,
    store: Store,
    changes: Changes,
    meters: Meters,
    kit: Kit,
    running: Mutex<HashMap<SagaId, Arc<Running>>>,
    parked: Arc<AtomicUsize>,
    capacity: Capacity,
    idle: Notify,
}

impl Drivers {
    /// Drives nothing yet.
    #[must_use]
    pub fn new(kit: Kit, engine: Engine<Grpc>, store: Store, changes: Changes, meters: Meters) -> Self {
        let (running, idle, parked) = (Mutex::default(), Notify::new(), Arc::default());
        let capacity = Capacity::new(kit.settings.limits.driven_sagas);
        Self { me: Uuid::now_v7(), engine, store, changes, meters, kit, running, parked, capacity, idle }
    }

    /// Whether there is room for a new saga.
    #[must_use]
    pub fn admits_new(&self) -> bool {
        self.capacity.admits_new(self.busy())
    }

    /// How many sagas may be taken over.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.room(self.busy())
    }

    /// Parked sagas wait, and take no room.
    fn busy(&self) -> usize {
        self.all().len().saturating_sub(self.parked.load(Ordering::Relaxed))
    }

    /// The engine, for its pace and its links.
    #[must_use]
    pub fn engine(&self) -> &Engine<Grpc> {
        &self.engine
    }

    /// A saga that is driven here.
    #[must_use]
    pub fn running(&self, saga_id: SagaId) -> Option<Arc<Running>> {
        self.all().get(&saga_id).cloned()
    }

    /// The sagas that are driven here.
    #[must_use]
    pub fn driven(&self) -> Arc<[Uuid]> {
        self.all().keys().map(|saga_id| saga_id.uuid()).collect()
    }

    /// The sagas that are driven here for so long already.
    #[must_use]
    pub fn driven_for(&self, long: Duration) -> Vec<Uuid> {
        let all = self.all();
        let slow = all.iter().filter(|(_, running)| running.since.elapsed() >= long);
        slow.map(|(saga_id, _)| saga_id.uuid()).collect()
    }

    /// The age of the oldest saga that is driven here.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        self.all().values().map(|running| running.since.elapsed()).max().unwrap_or_default()
    }

    /// Drives a saga in a task of its own, unless it is driven here already.
    pub fn start(self: &Arc<Self>, assigned: Assigned) -> Arc<Running> {
        let (running, is_new) = self.register(assigned.saga_id);
        if is_new {
            let drivers = Arc::clone(self);
            let driven = Arc::clone(&running);
            self.kit.tasks.spawn(async move { drivers.drive(assigned, driven).await });
        }
        running
    }

    /// Makes a saga known as driven here. False: it is already, and its driver goes on.
    pub fn register(&self, saga_id: SagaId) -> (Arc<Running>, bool) {
        let mut all = self.all();
        if let Some(running) = all.get(&saga_id) {
            return (Arc::clone(running), false);
        }
        let (fate, _) = watch::channel(Fate::Underway);
        let (control, live) = (Arc::default(), Mutex::default());
        let running = Arc::new(Running { control, since: Instant::now(), fate, live });
        all.insert(saga_id, Arc::clone(&running));
        (running, true)
    }

    /// Drives a registered saga to its end. Run it in a tracked task: nobody may drop it halfway.
    pub async fn drive(&self, assigned: Assigned, running: Arc<Running>) {
        let Assigned { saga_id, input, epoch, giving_up, paused, intent, origin, seat } = assigned;
        if paused {
            running.control.pause();
        }
        let kind = input.kind().as_str();
        let fields = tracing::info_span!("saga", %saga_id, kind);
        let Traced { span, scope } = Traced::begin(origin, &self.kit.tracer, (saga_id, kind, epoch));
        self.meters.active.with_label_values(&[kind]).inc();
        let mut script = input.script();
        script.intent = intent;
        let driven = self.drive_inside(saga_id, (script, epoch, giving_up), &running, (span, seat));
        telemetry::within(scope, driven).instrument(fields).await;
        self.meters.active.with_label_values(&[kind]).dec();
        let mut all = self.all();
        all.remove(&saga_id);
        if all.is_empty() {
            self.idle.notify_waiters();
        }
    }

    async fn drive_inside(
        &self,
        saga_id: SagaId,
        (script, epoch, giving_up): (Script, u64, Option<Reason>),
        running: &Arc<Running>,
        (span, seat): (Span, Option<Seat>),
    ) {
        let started = Instant::now();
        let kind = script.shape.kind;
        let (store, changes) = (self.store.clone(), self.changes.clone());
        let (meters, parked) = (self.meters.clone(), Arc::clone(&self.parked));
        let desk = Desk { store, changes, meters, parked, owner: self.me, span };
        let mut scribe = Scribe::new(desk, saga_id, epoch, script.shape.clone(), Arc::clone(running));
        let control = Arc::clone(&running.control);
        let assignment = Assignment { saga_id, script, epoch, giving_up, control };
        let end = AssertUnwindSafe(self.engine.drive(assignment, &mut scribe)).catch_unwind().await;
        scribe.put_down();
        traced::ended(std::mem::take(&mut scribe.span), end.as_ref().ok());
        match end {
            Ok(End::Ended(outcome)) => {
                let word = match &outcome {
                    Outcome::Completed => "COMPLETED",
                    Outcome::RolledBack { .. } => "ROLLED_BACK",
                };
                self.meters.ended.with_label_values(&[kind, word]).inc();
                self.meters.seconds.with_label_values(&[kind, word]).observe(started.elapsed().as_secs_f64());
                tracing::debug!(%saga_id, "saga {saga_id} ended {word}");
                crash::point("driver", "ended", None);
                running.set(Fate::Ended(outcome.clone()));
                drop(seat);
                crash::point("driver", "told", None);
                self.write_mark(&mut scribe, outcome).await;
                crash::point("driver", "marked", None);
            }
            Ok(End::Superseded | End::Stopped) => {
                scribe.flush(None);
                running.set(Fate::Left);
            }
            Err(_panic) => {
                tracing::error!(%saga_id, "the driver of saga {saga_id} panicked; it is parked");
                let reason = Some(Reason::InternalFault);
                let detail = Some("its driver panicked".to_owned());
                scribe.flush(Some(Mark::Stands { status: Status::Parked, reason, detail }));
                running.set(Fate::Left);
            }
        }
        self.changes.announce(saga_id);
    }

    /// Writes the terminal mark, until it is written or the process ends; then recovery replays and writes it.
    async fn write_mark(&self, scribe: &mut Scribe, outcome: Outcome) {
        let item = scribe.item(Some(match outcome {
            Outcome::Completed => Mark::Completed,
            Outcome::RolledBack { reason, step } => Mark::RolledBack(reason, step.map(Into::into)),
        }));
        let mut is_warned = false;
        while let Err(fault) = self.store.write(item.clone()).await {
            if !std::mem::replace(&mut is_warned, true) {
                tracing::warn!(saga_id = %item.saga_id, "cannot write a terminal mark yet: {}", fault.chain());
            }
            if self.kit.shutdown.is_cancelled() {
                return;
            }
            tokio::time::sleep(MARK_RETRY.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    /// Asks every driver to leave its saga at its next pause.
    pub fn stop_all(&self) {
        for running in self.all().values() {
            running.control.stop();
        }
    }

    /// Returns when nothing is driven here, or after `patience`.
    pub async fn idle(&self, patience: Duration) -> bool {
        let becomes_idle = self.idle.notified();
        if self.all().is_empty() {
            return true;
        }
        tokio::time::timeout(patience, becomes_idle).await.is_ok()
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<SagaId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
