//! Runs other programs, from the root of the repository, with their output where ours goes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::pgo;

/// The root of the repository.
pub fn root() -> PathBuf {
    // This crate lives two directories below it. What `cargo run` says comes first: in a target directory that serves
    // several checkouts, this program may have been compiled in another one.
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let told = told.filter(|told| told.ends_with("crates/xtask"));
    let here = told.as_deref().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// `cargo` as the one that runs us, in the root of the repository.
pub fn cargo(args: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()).args(args);
    // Set for us by `cargo run`; a build script or a test that looks at them would see our manifest.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or does not end well.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Where the program of the peers is, and where it is built: its workspace is not ours, nor is its lock file.
const PEERS: (&str, &str) = ("peers/Cargo.toml", "target/peers");

/// Builds the benchmark with a profile and runs it; with `--plain` without one. `--peers` without a path builds their program
/// too.
///
/// # Errors
/// When it does not build, or when it misses a bar.
pub fn bench(args: &[String]) -> Result<()> {
    let mut args = args.to_vec();
    if let Some(at) = args.iter().position(|arg| arg == "--peers")
        && args.get(at + 1).is_none_or(|next| next.starts_with("--"))
    {
        let (manifest, target) = PEERS;
        let build = ["build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target];
        run(&mut cargo(&build))?;
        args.insert(at + 1, format!("{target}/release/mesh-peers"));
    }
    // Nobody waits for a training to read about options.
    let plain = args.iter().any(|arg| arg == "--plain" || arg == "--help");
    args.retain(|arg| arg != "--plain" && arg != "--");
    let programs = pgo::build(&["mesh-bench", "brokerctl"], plain)?;
    run(Command::new(programs.join("mesh-bench")).current_dir(root()).args(args))
}

/// Builds the fault harness and runs it: the long form with optimisations, because its bars are those of optimised
/// programs, the short one as the tests are built.
///
/// # Errors
/// When it does not build, or when a row is red.
pub fn chaos(args: &[String]) -> Result<()> {
    let is_long = args.iter().any(|arg| arg == "--long");
    let profile = if is_long { "chaos" } else { "dev" };
    let mut command = cargo(&["run", "--quiet", "--profile", profile, "-p", "mesh-chaos", "--"]);
    run(command.env("SQLX_OFFLINE", "true").args(args))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    words.join(" ")
}
