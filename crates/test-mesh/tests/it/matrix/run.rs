//! Drives one saga by the real engine over the real wire.

use std::sync::Arc;
use std::time::Duration;

use brokerage_types::SagaId;
use saga_orchestrator::engine::control::{Control, Links};
use saga_orchestrator::engine::drive::{Assignment, End, Engine};
use saga_orchestrator::engine::record::{Note, Recorder, Standing};
use saga_orchestrator::sagas::Input;
use service_kit::clock::SystemClock;

use super::saboteur::{Saboteur, Target};
use super::world::{World, patient};

/// Longer than any saga takes that ends at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes nothing down: the log is only knowledge.
struct Forgetful;

impl Recorder for Forgetful {
    fn note(&mut self, _: Note) {}

    fn stands(&mut self, _: Standing) {}

    fn pausing(&mut self, _: Duration) {}

    async fn raise_epoch(&mut self, _: u64) -> bool {
        true
    }
}

/// Drives a saga while its target is being sabotaged; gives the end, and the saboteur to be questioned.
pub async fn drive(
    world: &Arc<World>,
    saga_id: SagaId,
    input: &Input,
    target: Option<Target>,
) -> (End, Saboteur) {
    let control = Arc::new(Control::default());
    let engine = Engine {
        participants: Saboteur::new(Arc::clone(world), target, Arc::clone(&control)),
        pace: patient(),
        clock: SystemClock::shared(),
        links: Arc::new(Links::default()),
    };
    let assignment = Assignment { saga_id, script: input.script(), epoch: 1, giving_up: None, control };
    let driven = tokio::time::timeout(PATIENCE, engine.drive(assignment, &mut Forgetful)).await;
    let end = driven.unwrap_or_else(|_| panic!("{target:?}: the saga never ends: {input:?}"));
    (end, engine.participants)
}

/// Drives a saga that nobody disturbs.
pub async fn drive_plainly(world: &Arc<World>, saga_id: SagaId, input: &Input) -> End {
    drive(world, saga_id, input, None).await.0
}
