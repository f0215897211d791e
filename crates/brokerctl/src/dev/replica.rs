//! One process of a service, watched and started again when it ends, as Kubernetes would.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use dev_cluster::{Signal, send_signal, spawn_kept};

use super::probe::is_ready;
use super::service::{Addresses, Assignment, MeshService};

/// A process that lived shorter than this is started again after a pause only.
const SOON: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(25);

/// What shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Running; when it ends, it is started again.
    Up,
    /// Not running, until somebody wants it again.
    Down,
    /// Over for good.
    Over,
}

#[derive(Debug)]
struct State {
    wanted: Wanted,
    pid: Option<u32>,
    /// More environment, for the next start only.
    once: Vec<(String, String)>,
}

/// A process and the thread that watches it.
#[derive(Debug)]
pub(super) struct Replica {
    shared: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    service: MeshService,
    index: usize,
    program: PathBuf,
    env: Vec<(String, String)>,
    addresses: Addresses,
    up: Arc<AtomicBool>,
    starts: AtomicU32,
    state: Mutex<State>,
    changed: Condvar,
}

impl Replica {
    /// Starts it; whether it is ready shows later in [`Replica::up`].
    pub(super) fn start(program: PathBuf, assignment: &Assignment, index: usize) -> Self {
        let shared = Arc::new(Shared {
            service: assignment.service,
            index,
            program,
            env: assignment.env(),
            addresses: assignment.addresses,
            up: Arc::new(AtomicBool::new(false)),
            starts: AtomicU32::new(0),
            state: Mutex::new(State { wanted: Wanted::Up, pid: None, once: Vec::new() }),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&shared);
        let watcher = std::thread::spawn(move || watched.watch());
        Self { shared, watcher: Some(watcher) }
    }

    pub(super) fn addresses(&self) -> Addresses {
        self.shared.addresses
    }

    /// Whether it may be sent calls.
    pub(super) fn up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.up)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.shared.state().pid
    }

    /// How often it was started.
    pub(super) fn starts(&self) -> u32 {
        self.shared.starts.load(Ordering::Relaxed)
    }

    /// Sends a signal to the process, if there is one.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} is not running", self.shared.label()))?;
        send_signal(pid, signal).context("send a signal")
    }

    /// Kills it and keeps it down. Answers when it is gone.
    pub(super) fn take_down(&self) -> Result<()> {
        let pid = self.shared.want(Wanted::Down);
        if let Some(pid) = pid {
            send_signal(pid, Signal::Kill).context("send a signal")?;
        }
        self.shared.wait_until_gone(pid);
        Ok(())
    }

    /// More environment for the next start, and for that start only.
    pub(super) fn equip_next_start(&self, env: Vec<(String, String)>) {
        self.shared.state().once = env;
    }

    /// Wants it up again.
    pub(super) fn bring_up(&self) {
        self.shared.want(Wanted::Up);
    }

    /// Asks it to end, for good. A second call does nothing.
    pub(super) fn begin_stop(&self) {
        if let Some(pid) = self.shared.want(Wanted::Over) {
            // A frozen process cannot end.
            for signal in [Signal::Terminate, Signal::Continue] {
                drop(send_signal(pid, signal));
            }
        }
    }

    /// Waits until it has ended; after `patience` it is killed.
    pub(super) fn finish_stop(&mut self, patience: Duration) {
        self.begin_stop();
        let Some(watcher) = self.watcher.take() else { return };
        let give_up = Instant::now() + patience;
        while !watcher.is_finished() && Instant::now() < give_up {
            std::thread::sleep(POLL);
        }
        if !watcher.is_finished()
            && let Some(pid) = self.pid()
        {
            eprintln!("{} (pid {pid}) did not end in time and is killed", self.shared.label());
            drop(send_signal(pid, Signal::Kill));
        }
        if watcher.join().is_err() {
            eprintln!("the thread that watched {} panicked", self.shared.label());
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.finish_stop(Duration::ZERO);
    }
}

impl Shared {
    fn label(&self) -> String {
        format!("{}[{}]", self.service.name(), self.index)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wanted, unless it is over, and answers with the process that runs now.
    fn want(&self, wanted: Wanted) -> Option<u32> {
        let mut state = self.state();
        if state.wanted != Wanted::Over {
            state.wanted = wanted;
        }
        self.changed.notify_all();
        state.pid
    }

    fn wait_until_gone(&self, pid: Option<u32>) {
        let mut state = self.state();
        while pid.is_some() && state.pid == pid {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn watch(&self) {
        while self.wait_until_wanted() {
            let started = Instant::now();
            let ended = self.run_once();
            if self.state().wanted == Wanted::Over {
                return;
            }
            match ended {
                Ok((pid, status)) => eprintln!("{} (pid {pid}) ended: {status}", self.label()),
                Err(error) => eprintln!("{} could not be started: {error:#}", self.label()),
            }
            if started.elapsed() < SOON {
                self.pause();
            }
        }
    }

    /// False when it is over.
    fn wait_until_wanted(&self) -> bool {
        let mut state = self.state();
        while state.wanted == Wanted::Down {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.wanted == Wanted::Up
    }

    fn pause(&self) {
        let state = self.state();
        if state.wanted == Wanted::Up {
            drop(self.changed.wait_timeout(state, PAUSE));
        }
    }

    /// From start to end of one process.
    fn run_once(&self) -> Result<(u32, ExitStatus)> {
        let args = ["serve".to_owned(), self.service.name().to_owned()];
        let mut state = self.state();
        if state.wanted != Wanted::Up {
            return Err(anyhow!("it is no longer wanted"));
        }
        let env: Vec<_> = self.env.iter().cloned().chain(std::mem::take(&mut state.once)).collect();
        let mut child = spawn_kept(&self.program, &args, &env, None)
            .with_context(|| format!("start {}", self.program.display()))?;
        let pid = child.id();
        state.pid = Some(pid);
        drop(state);
        if self.starts.fetch_add(1, Ordering::Relaxed) > 0 {
            eprintln!("{} is started again (pid {pid})", self.label());
        }
        let status = self.wait(&mut child);
        self.up.store(false, Ordering::Relaxed);
        self.state().pid = None;
        self.changed.notify_all();
        Ok((pid, status?))
    }

    /// Waits for the end, and notices on the way when the process is ready.
    fn wait(&self, child: &mut std::process::Child) -> Result<ExitStatus> {
        while !self.up.load(Ordering::Relaxed) {
            if let Some(status) = child.try_wait().context("wait for the process")? {
                return Ok(status);
            }
            if is_ready(self.addresses.ops) {
                self.up.store(true, Ordering::Relaxed);
            } else {
                std::thread::sleep(POLL);
            }
        }
        child.wait().context("wait for the process")
    }
}
