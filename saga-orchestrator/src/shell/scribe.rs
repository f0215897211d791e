//! Writes down what one driver does: lazily, except for the terminal mark.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brokerage_types::SagaId;
use service_kit::telemetry::Span;
use uuid::Uuid;

use super::drivers::{Fate, Running};
use super::traced;
use super::{Changes, Meters};
use crate::engine::decide::Status;
use crate::engine::definition::{Shape, StepNo};
use crate::engine::record::{Note, Recorder, Standing};
use crate::store::{Entry, Mark, Store, TrailItem};

/// Shorter pauses are not worth a row.
const WORTH_A_ROW: Duration = Duration::from_millis(100);

/// One driver's pen.
pub(super) struct Scribe {
    pub saga_id: SagaId,
    pub epoch: u64,
    pub owner: Uuid,
    pub shape: Shape,
    pub store: Store,
    pub changes: Changes,
    pub meters: Meters,
    pub running: Arc<Running>,
    /// The driver's.
    pub span: Span,
    parked: Arc<AtomicUsize>,
    seq: i32,
    entries: Vec<Entry>,
    /// The last entry that is written already.
    written: Option<Entry>,
    /// Where the saga stands, not written yet: nobody reads of a compensation that is over in no time.
    standing: Option<Mark>,
    is_parked: bool,
}

/// What a scribe writes with.
pub(super) struct Desk {
    pub store: Store,
    pub changes: Changes,
    pub meters: Meters,
    /// How many sagas of this process are parked.
    pub parked: Arc<AtomicUsize>,
    pub owner: Uuid,
    pub span: Span,
}

impl Scribe {
    pub fn new(desk: Desk, saga_id: SagaId, epoch: u64, shape: Shape, running: Arc<Running>) -> Self {
        Self {
            saga_id,
            epoch,
            owner: desk.owner,
            shape,
            store: desk.store,
            changes: desk.changes,
            meters: desk.meters,
            running,
            span: desk.span,
            parked: desk.parked,
            seq: 0,
            entries: Vec::with_capacity(4),
            written: None,
            standing: None,
            is_parked: false,
        }
    }

    /// Everything noted and not yet written, with a mark.
    pub fn item(&mut self, mark: Option<Mark>) -> TrailItem {
        let standing = self.standing.take();
        self.seq = self.seq.saturating_add(1);
        self.written = self.entries.last().cloned().or(self.written.take());
        TrailItem {
            saga_id: self.saga_id,
            owner: Some(self.owner),
            epoch: i64::try_from(self.epoch).unwrap_or(i64::MAX),
            seq: self.seq,
            entries: std::mem::take(&mut self.entries),
            mark: mark.or(standing),
        }
    }

    /// Writes what was noted, without waiting.
    pub fn flush(&mut self, mark: Option<Mark>) {
        if self.entries.is_empty() && mark.is_none() && self.standing.is_none() {
            return;
        }
        let item = self.item(mark);
        self.store.jot(item);
        self.changes.announce(self.saga_id);
    }

    /// The driver leaves: whatever was parked is not parked here any more.
    pub fn put_down(&mut self) {
        self.is_parked(false);
    }

    fn is_parked(&mut self, is_parked: bool) {
        if std::mem::replace(&mut self.is_parked, is_parked) == is_parked {
            return;
        }
        let gauge = self.meters.parked.with_label_values(&[self.shape.kind]);
        if is_parked {
            gauge.inc();
            self.parked.fetch_add(1, Ordering::Relaxed);
        } else {
            gauge.dec();
            self.parked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether the entry says what the one before said: many polls and retries are one line.
    fn repeats(last: &Entry, entry: &Entry) -> bool {
        (last.step, last.undo, &last.reply, &last.reason)
            == (entry.step, entry.undo, &entry.reply, &entry.reason)
    }
}

impl Recorder for Scribe {
    fn asks(&mut self, steps: &[StepNo], is_undo: bool) {
        self.running.show(|live| live.asks(steps, is_undo));
    }

    fn note(&mut self, note: Note) {
        let name = self.shape.steps.get(note.step).map_or("?", |step| step.name);
        let labels = [self.shape.kind, name, note.reply.word()];
        self.meters.step_seconds.with_label_values(&labels).observe(note.took.as_secs_f64());
        if note.direction.is_undo() {
            self.meters.compensations.with_label_values(&[self.shape.kind, name]).inc();
        }
        let entry = Entry {
            step: u32::try_from(note.step).unwrap_or(u32::MAX),
            undo: note.direction.is_undo(),
            attempt: note.attempt,
            reply: note.reply.word().to_owned(),
            reason: note.reply.explanation(),
            at: note.at,
        };
        self.running.show(|live| live.hears(entry.clone()));
        match self.entries.last_mut() {
            // The first of several equal answers stays, the last grows.
            Some(last) if note.attempt > 2 && Self::repeats(last, &entry) => *last = entry,
            None if !note.attempt.is_power_of_two()
                && self.written.as_ref().is_some_and(|last| Self::repeats(last, &entry)) => {}
            Some(_) | None => self.entries.push(entry),
        }
    }

    fn stands(&mut self, standing: Standing) {
        let is_parked = standing.status == Status::Parked;
        self.is_parked(is_parked);
        traced::stands(&mut self.span, standing.status, standing.reason);
        if let (Status::Compensating, Some(reason)) = (standing.status, standing.reason) {
            let labels = [self.shape.kind, reason.as_str()];
            self.meters.turned_round.with_label_values(&labels).inc();
        }
        self.running.set(match (is_parked, standing.reason) {
            (true, Some(reason)) => Fate::Parked(reason),
            (true | false, _) => Fate::Underway,
        });
        let Standing { status, reason, detail } = standing;
        let mark = Mark::Stands { status, reason, detail };
        if status == Status::Compensating {
            self.standing = Some(mark);
        } else {
            self.flush(Some(mark));
        }
    }

    fn pausing(&mut self, pause: Duration) {
        self.running.show(|live| live.pauses(pause));
        if pause >= WORTH_A_ROW || self.standing.is_some() {
            self.flush(None);
        }
    }

    async fn raise_epoch(&mut self, epoch: u64) -> bool {
        match self.store.raise_epoch(self.owner, self.saga_id, epoch).await {
            Ok(ours) => ours,
            Err(fault) => {
                tracing::warn!(saga_id = %self.saga_id, "cannot keep epoch {epoch}: {}", fault.chain());
                true
            }
        }
    }
}
