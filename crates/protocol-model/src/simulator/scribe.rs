//! What a driver writes down: hints for others, all of which may be lost.

use std::time::Duration;

use brokerage_types::SagaId;
use saga_orchestrator::engine::record::{Note, Recorder, Standing};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Shared, lock};

/// One driver's pen.
pub struct Scribe {
    pub stage: Shared,
    pub saga_id: SagaId,
    pub me: Uuid,
}

impl Recorder for Scribe {
    fn note(&mut self, note: Note) {
        let (saga_id, step) = (self.saga_id, note.step);
        let mut stage = lock(&self.stage);
        stage.note(format_args!(
            "{saga_id} hears of {step}, attempt {}: {}",
            note.attempt,
            note.reply.word()
        ));
    }

    fn stands(&mut self, standing: Standing) {
        let (saga_id, status) = (self.saga_id, standing.status);
        lock(&self.stage).note(format_args!("{saga_id} is {status:?}"));
    }

    fn pausing(&mut self, _pause: Duration) {}

    async fn raise_epoch(&mut self, epoch: u64) -> bool {
        let mut stage = lock(&self.stage);
        // That cannot be found out: going on is always safe.
        if stage.happens(0.2) {
            return true;
        }
        let Some(row) = stage.rows.get_mut(&self.saga_id) else { return true };
        if row.owner != self.me {
            return false;
        }
        row.epoch = epoch;
        row.changed_at = Instant::now();
        true
    }
}
