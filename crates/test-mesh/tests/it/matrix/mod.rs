//! The fault matrix (V4): every step of every saga, broken in every way, over the real services and databases.
//!
//! The cases come from the sagas' own definitions: a new step is covered before anyone writes a test. A new kind of
//! saga must say in `situation` what it starts from, a new fault in `fault` how a saga must end.

mod fault;
mod residue;
mod run;
mod saboteur;
mod situation;
mod snapshot;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use saga_orchestrator::engine::definition::{Role, Shape};
use saga_orchestrator::engine::drive::{End, Outcome};
use saga_orchestrator::sagas::Kind;

use fault::{Ending, Fault};
use run::{drive, drive_plainly};
use saboteur::Target;
use situation::Situation;
use world::World;

/// One cell of the matrix.
type Cell = (Situation, &'static str, Fault);

/// What a saga without faults does.
struct Undisturbed {
    shape: Shape,
    changes: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_every_saga_survives_every_fault() {
    let covered = join_all(Kind::ALL.map(every_step_of)).await;
    let (cells, cells_wanted): (Vec<_>, Vec<_>) = covered.into_iter().unzip();
    let cells: BTreeSet<Cell> = cells.into_iter().flatten().collect();
    let cells_wanted: usize = cells_wanted.into_iter().sum();
    println!("{} cells", cells.len());
    assert_eq!(cells.len(), cells_wanted);
    assert!(cells_wanted > 0, "there was nothing to break");
}

/// All cells of one kind of saga, and how many there must be.
async fn every_step_of(kind: Kind) -> (Vec<Cell>, usize) {
    let (mut covered, mut wanted) = (Vec::new(), 0);
    for &situation in Situation::of(kind) {
        // A small world is looked at faster.
        let world = World::start().await;
        let undisturbed = undisturbed(&world, situation).await;
        assert_eq!(undisturbed.shape.kind, kind.as_str());
        wanted += undisturbed.shape.steps.len() * Fault::ALL.len();
        for (step, shape) in undisturbed.shape.steps.iter().enumerate() {
            for fault in Fault::ALL {
                let target = Target { step, role: shape.role, fault };
                break_one(&world, situation, target, &undisturbed).await;
                covered.push((situation, shape.name, fault));
            }
        }
        world.audit().await;
    }
    (covered, wanted)
}

async fn undisturbed(world: &Arc<World>, situation: Situation) -> Undisturbed {
    let prepared = situation.prepare(world).await;
    let before = world.snapshot().await;
    let end = drive_plainly(world, prepared.saga_id, &prepared.input).await;
    assert_eq!(end, End::Ended(Outcome::Completed), "{situation:?}");
    let changes = residue::normal(&world.snapshot().await.since(&before), &prepared.names);
    assert!(!changes.is_empty(), "{situation:?} changes nothing");
    Undisturbed { shape: prepared.input.script().shape, changes }
}

async fn break_one(world: &Arc<World>, situation: Situation, target: Target, undisturbed: &Undisturbed) {
    let cell = format!("{situation:?}: {:?} of {}", target.fault, undisturbed.shape.steps[target.step].name);
    let prepared = situation.prepare(world).await;
    let before = world.snapshot().await;
    let (end, saboteur) = drive(world, prepared.saga_id, &prepared.input, Some(target)).await;
    assert!(saboteur.strikes() > 0, "{cell}: it did not happen");
    let after = world.snapshot().await;
    let changes = after.since(&before);
    match target.fault.ending(target.role) {
        Ending::Completed => {
            assert_eq!(end, End::Ended(Outcome::Completed), "{cell}");
            let changes = residue::normal(&changes, &prepared.names);
            let more: Vec<_> = changes.iter().filter(|one| !undisturbed.changes.contains(one)).collect();
            let less: Vec<_> = undisturbed.changes.iter().filter(|one| !changes.contains(one)).collect();
            assert!(changes == undisturbed.changes, "{cell}: more {more:#?}, less {less:#?}");
        }
        Ending::RolledBack => {
            assert!(matches!(end, End::Ended(Outcome::RolledBack { .. })), "{cell}: {end:?}");
            let forbidden = residue::forbidden(&changes, prepared.saga_id);
            assert!(forbidden.is_empty(), "{cell}: left behind {forbidden:#?}");
        }
    }
    if target.role == Role::Retriable && target.fault == Fault::CompensateBeforeDo {
        assert!(!saboteur.was_asked_to_undo(target.step), "{cell}: what follows a pivot is never taken back");
    }
    // P5: no later message, however late, changes that.
    assert!(saboteur.deliver_all_again(prepared.saga_id).await > 0, "{cell}");
    world.snapshot().await.assert_same(&after, &format!("{cell}: every message came once more"));
}
