//! Starts children that cannot outlive this process, and sends them signals.
//!
//! Linux kills a child with `PR_SET_PDEATHSIG` when the *thread* that forked it ends, not when the process does.
//! So all children are forked by one thread that never ends. No `unsafe`: `setpriv` sets the flag, `sh` sends signals.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc::Sender};

/// What can be sent to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Please end (Postgres: when the sessions have ended; the services: drain).
    Terminate,
    /// Postgres: end now, cleanly.
    Interrupt,
    /// Postgres: end now, without writing anything.
    Quit,
    /// No chance to react.
    Kill,
    /// Freeze.
    Stop,
    /// Thaw.
    Continue,
}

impl Signal {
    /// Its short name, as `kill` and `setpriv` want it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// Sends a signal to a process. Gone already is fine: that is what the caller wanted, or will notice by itself.
///
/// # Errors
/// When no shell could be started.
pub fn send_signal(pid: u32, signal: Signal) -> io::Result<()> {
    // The shell's builtin: minimal images have no `kill` program.
    let script = format!("kill -{} {pid} 2>/dev/null || true", signal.name());
    Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).status().map(drop)
}

/// Whether a process with this id is alive.
pub(crate) fn is_alive(pid: u32) -> bool {
    if Path::new("/proc/self").exists() {
        return Path::new(&format!("/proc/{pid}")).exists();
    }
    Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status().is_ok_and(|s| s.success())
}

/// Makes a command whose process gets `on_parent_death` when this process ends in any way, and which runs as `user`.
pub(crate) fn command(program: &OsStr, user: Option<&str>, on_parent_death: Signal) -> Command {
    let Some(setpriv) = crate::binaries::on_path("setpriv") else {
        return without_setpriv(program, user);
    };
    let mut command = Command::new(setpriv);
    command.arg(format!("--pdeathsig={}", on_parent_death.name()));
    if let Some(user) = user {
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
    }
    command.arg("--").arg(program);
    command
}

/// Not Linux: the owner's `Drop` is the only thing that ends the child.
fn without_setpriv(program: &OsStr, user: Option<&str>) -> Command {
    match user {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// How much a client of the databases gives way to them, as `nice` counts.
const GIVES_WAY: &str = "5";

/// What to start, and with which first arguments, so that `program` runs after the databases where both want a core.
///
/// Many commands wait for what a database does, one for what a service does. Where there is no `nice`, nobody gives way.
#[must_use]
pub fn giving_way(program: &Path) -> (OsString, Vec<OsString>) {
    match crate::binaries::on_path("nice") {
        Some(nice) => (nice.into(), vec!["-n".into(), GIVES_WAY.into(), program.into()]),
        None => (program.into(), Vec::new()),
    }
}

/// Starts `program args…` with `env` so that it gets SIGKILL when this process ends in any way. It gives way to databases
/// ([`giving_way`]).
///
/// Its output goes where this process's output goes. It leads a process group of its own, so that a Ctrl-C at the
/// terminal does not reach it: whoever started it decides when it ends.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_kept(
    program: &Path,
    args: &[String],
    env: &[(String, String)],
    output: Option<std::fs::File>,
) -> io::Result<Child> {
    let (program, first_args) = giving_way(program);
    let mut command = command(&program, None, Signal::Kill);
    command.args(first_args).args(args).envs(env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
    if let Some(file) = output {
        command.stdout(file.try_clone()?).stderr(file);
    }
    spawn(command)
}

type Job = (Command, SyncSender<io::Result<Child>>);

/// Starts a command from the thread that never ends.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    command.process_group(0);
    let keeper = KEEPER.get_or_init(|| {
        let (jobs, inbox) = channel();
        std::thread::spawn(move || serve(&inbox));
        Mutex::new(jobs)
    });
    let (reply, answer) = sync_channel(1);
    keeper
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .map_err(|_| io::Error::other("the thread that starts children is gone"))?;
    answer.recv().map_err(|_| io::Error::other("the thread that starts children is gone"))?
}

fn serve(inbox: &Receiver<Job>) {
    for (mut command, reply) in inbox.iter() {
        // The caller waits for the answer; if it does not, the child is nobody's and must go.
        if let Err(lost) = reply.send(command.spawn())
            && let Ok(mut child) = lost.0
        {
            drop(child.kill());
        }
    }
}
