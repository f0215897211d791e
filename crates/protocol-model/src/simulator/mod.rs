//! Many sagas at once in virtual time, with every fault that is tolerated drawn from a seed.
//!
//! The real engine loop drives; the participants are the services' own books; the network, the processes and their
//! leases are played here. A *safety* phase with faults, in which nothing wrong may ever happen, is followed by a
//! *liveness* phase without, in which everything must end. One thread and one seed: the same seed, the same trace.

mod author;
mod envelope;
mod network;
mod process;
mod scribe;
mod stage;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use process::Process;
use stage::Stage;

pub use stage::Tally;

use crate::mutant::Rules;

/// Seeds that were red once. They are run for ever.
pub const REGRESSIONS: &[u64] = &[];

/// How long faults last.
const SAFETY: Duration = Duration::from_secs(20);
/// In which everything must end after that: parked sagas are tried again every five minutes.
const LIVENESS: Duration = Duration::from_secs(20 * 60);
/// The director looks so often.
const TICK: Duration = Duration::from_millis(20);
/// So many orchestrators.
const PROCESSES: usize = 3;

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Decides everything.
    pub seed: u64,
    /// How many sagas clients ask for.
    pub sagas: usize,
    /// Ours, or broken.
    pub rules: Rules,
}

/// A run in which every promise was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// A hash over every event and its time.
    pub trace: u64,
    /// What happened.
    pub tally: Tally,
}

/// A run in which one was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Red {
    /// Which.
    pub run: Run,
    /// The promise that is broken.
    pub broken: String,
    /// The last events.
    pub last: Vec<String>,
}

impl fmt::Display for Red {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.last {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", self.broken)?;
        let Run { seed, sagas, .. } = self.run;
        write!(out, "again: cargo run -p protocol-model -- simulate --seed {seed} --sagas {sagas}")
    }
}

type Shared = Arc<Mutex<Stage>>;

/// Nobody panics while holding it; and if, the run is red anyway.
fn lock(stage: &Shared) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays one seed.
///
/// # Errors
/// The first promise that was broken.
pub fn play(run: Run) -> Result<Kept, Box<Red>> {
    // Pauses of the engine are drawn from the thread's generator.
    fastrand::seed(run.seed);
    let red = |broken: String, last| Box::new(Red { run, broken, last });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| red(format!("no runtime: {error}"), Vec::new()))?;
    let stage = runtime.block_on(direct(run));
    // Whatever is still on its way is dropped here.
    drop(runtime);
    let stage = lock(&stage);
    match &stage.broken {
        Some(broken) => Err(red(broken.clone(), stage.last.iter().cloned().collect())),
        None => Ok(Kept { trace: stage.trace, tally: stage.tally }),
    }
}

async fn direct(run: Run) -> Shared {
    let stage: Shared = Arc::new(Mutex::new(Stage::new(run)));
    let mut processes: Vec<Process> =
        (0..PROCESSES).map(|number| Process::start(number, Arc::clone(&stage))).collect();
    let started = Instant::now();
    loop {
        tokio::time::sleep(TICK).await;
        let elapsed = started.elapsed();
        let mut guard = lock(&stage);
        if guard.broken.is_some() {
            break;
        }
        if guard.has_faults && elapsed >= SAFETY {
            guard.end_faults();
            processes.iter_mut().for_each(Process::recovers);
        }
        if !guard.has_faults && guard.all_ended() {
            guard.curtain();
            break;
        }
        if elapsed >= SAFETY + LIVENESS {
            let stragglers = guard.stragglers();
            guard.breaks(format!("P7: {stragglers} for ever"));
            break;
        }
        guard.tick();
        let due = guard.due_intents();
        drop(guard);
        for process in &mut processes {
            process.tick();
        }
        for input in due {
            let number = lock(&stage).rng.usize(0..PROCESSES);
            processes[number].accept(input);
        }
    }
    stage
}
