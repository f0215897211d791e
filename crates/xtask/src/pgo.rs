//! Programs compiled with a profile of what they do (PGO): what the benchmark measures, and what is shipped.
//!
//! They are built so that they count what runs, the benchmark's training is their work, and they are built again with what
//! was counted. The profile is kept below `target/pgo`, and used as long as compiler and sources are the same.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{process, tidy, tools};

/// What the training runs. Whatever is built with its profile has no dependency that these lack, nor other features.
const TRAINED: [&str; 2] = ["mesh-bench", "brokerctl"];
/// What the programs are made of; tests and chores are not.
const SOURCES: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "proto",
    "order-svc",
    "asset-svc",
    "saga-orchestrator",
    "crates/brokerage-types",
    "crates/service-kit",
    "crates/brokerctl",
    "crates/dev-cluster",
    "crates/bench",
];
const WITHOUT: &str = "`--plain` builds without a profile";
/// How cargo wants flags for the compiler apart, so that a path may have spaces.
const SEPARATOR: char = '\x1f';

/// Builds these packages with optimisations and answers with the directory of their programs. Unless `plain`, it trains
/// first if there is no profile of these sources yet: that takes as long as building them once more, and a minute.
///
/// # Errors
/// When something does not build, when the training fails, or when the compiler's `llvm-profdata` cannot be had.
pub fn build(packages: &[&str], plain: bool) -> Result<PathBuf> {
    let target = target()?;
    if plain {
        process::run(&mut compiling(packages))?;
        return Ok(target.join("release"));
    }
    let compiler = Compiler::ask()?;
    let dir = target.join("pgo");
    let (profile, stamp, guided) = (dir.join("merged.profdata"), dir.join("stamp"), dir.join("guided"));
    let wanted = compiler.stamp()?;
    if !profile.exists() || fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        // Cargo knows profiles by name only: what an old one was used for has to go.
        for old in [&guided, &dir.join("counts")] {
            if old.exists() {
                fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
            }
        }
        compiler.train(&dir, &profile)?;
        fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))?;
    }
    let flag = format!("-Cprofile-use={}", profile.display());
    process::run(compiler.aimed(&mut compiling(packages), &guided, &flag).env("BUILT_WITH_PROFILE", "1"))?;
    Ok(compiler.programs(&guided))
}

/// Builds what is shipped, and copies it to `output`.
///
/// # Errors
/// See [`build`]; or when it cannot be copied.
pub fn release(programs: &[&str], plain: bool, output: &Path) -> Result<()> {
    let built = build(programs, plain)?;
    let output = process::root().join(output);
    fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
    for program in programs {
        let to = output.join(program);
        fs::copy(built.join(program), &to).with_context(|| format!("write {}", to.display()))?;
        eprintln!("{}", to.display());
    }
    Ok(())
}

/// The compiler that cargo uses.
struct Compiler {
    version: String,
    host: String,
}

impl Compiler {
    fn ask() -> Result<Self> {
        let version = tools::output(rustc().arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc does not say its host")?.to_owned();
        Ok(Self { version, host })
    }

    /// What a profile is good for: this compiler, and these sources.
    fn stamp(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        hash_sources(&process::root(), &mut hasher)?;
        Ok(format!("{}sources: {:016x}\n", self.version, hasher.finish()))
    }

    /// A named target: flags are for programs then, and not for build scripts and macros.
    fn aimed<'a>(&self, command: &'a mut Command, target: &Path, flag: &str) -> &'a mut Command {
        let encoded = std::env::var("CARGO_ENCODED_RUSTFLAGS").ok();
        let plain = std::env::var("RUSTFLAGS").unwrap_or_default();
        command
            .args(["--target", &self.host, "--target-dir"])
            .arg(target)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(encoded.as_deref(), &plain, flag))
    }

    fn programs(&self, target: &Path) -> PathBuf {
        target.join(&self.host).join("release")
    }

    /// Writes a new profile.
    fn train(&self, dir: &Path, profile: &Path) -> Result<()> {
        let merge = self.profdata()?;
        let (counting, counts) = (dir.join("counting"), dir.join("counts"));
        let flag = format!("-Cprofile-generate={}", counts.display());
        process::run(self.aimed(&mut compiling(&TRAINED), &counting, &flag))?;
        let mut training = Command::new(self.programs(&counting).join("mesh-bench"));
        process::run(training.current_dir(process::root()).arg("--train"))?;
        process::run(Command::new(merge).args(["merge", "-o"]).arg(profile).arg(&counts))
    }

    /// The compiler's own `llvm-profdata`; another version cannot read its counts.
    fn profdata(&self) -> Result<PathBuf> {
        let sysroot = tools::output(rustc().args(["--print", "sysroot"]))?;
        let path = Path::new(sysroot.trim()).join("lib/rustlib").join(&self.host).join("bin/llvm-profdata");
        if !path.exists() {
            if dev_cluster::on_path("rustup").is_none() {
                bail!("there is no {}, and no rustup to install it: {WITHOUT}", path.display());
            }
            process::run(Command::new("rustup").args(["component", "add", "llvm-tools"]))
                .with_context(|| format!("install llvm-profdata; {WITHOUT}"))?;
        }
        Ok(path)
    }
}

fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(process::root());
    command
}

fn compiling(packages: &[&str]) -> Command {
    let mut command = process::cargo(&["build", "--release", "--locked"]);
    command.args(packages.iter().flat_map(|package| ["-p", package])).env("SQLX_OFFLINE", "true");
    command
}

/// Flags that cargo was given already, and one more. What is encoded counts before what is not, as it does for cargo.
fn flags(encoded: Option<&str>, plain: &str, flag: &str) -> String {
    let given: Vec<&str> = match encoded {
        Some(encoded) => encoded.split(SEPARATOR).filter(|given| !given.is_empty()).collect(),
        None => plain.split_whitespace().collect(),
    };
    given.into_iter().chain([flag]).collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

/// Where cargo puts what it builds.
fn target() -> Result<PathBuf> {
    let metadata = ["metadata", "--no-deps", "--locked", "--format-version", "1"];
    let metadata = tools::output(&mut process::cargo(&metadata))?;
    let metadata: Value = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo names no target directory")
}

/// What no program runs: tests, and what Postgres runs of a migration.
const NOT_RUN: [&str; 2] = ["tests", "migrations"];

/// Every source below `root`, by name and content.
fn hash_sources(root: &Path, hasher: &mut impl Hasher) -> Result<()> {
    for part in SOURCES {
        let path = root.join(part);
        let mut files = if path.is_dir() { tidy::files(&path)? } else { vec![path] };
        files.sort();
        let runs = |file: &&PathBuf| {
            !file.components().any(|part| NOT_RUN.iter().any(|not| part.as_os_str() == *not))
        };
        for file in files.iter().filter(runs) {
            file.strip_prefix(root).unwrap_or(file).hash(hasher);
            fs::read(file).with_context(|| format!("read {}", file.display()))?.hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_were_given_stay() {
        for (encoded, plain, all) in [
            (None, "", "-X"),
            (None, " -A  -B ", "-A\x1f-B\x1f-X"),
            (Some(""), "-A", "-X"),
            (Some("-C a b\x1f-D"), "-A", "-C a b\x1f-D\x1f-X"),
        ] {
            assert_eq!(flags(encoded, plain, "-X"), all, "{encoded:?}, {plain:?}");
        }
    }

    #[test]
    fn a_profile_is_of_these_sources() -> Result<()> {
        let root = std::env::temp_dir().join(format!("pgo-{}", std::process::id()));
        let hash = || {
            let mut hasher = DefaultHasher::new();
            hash_sources(&root, &mut hasher).map(|()| hasher.finish())
        };
        fs::create_dir_all(&root)?;
        for part in SOURCES {
            match part.split_once('.') {
                Some(_) => fs::write(root.join(part), "")?,
                None => NOT_RUN.iter().try_for_each(|not| fs::create_dir_all(root.join(part).join(not)))?,
            }
        }
        let empty = hash()?;
        fs::write(root.join("order-svc/tests/it.rs"), "1")?;
        fs::write(root.join("order-svc/migrations/1.sql"), "1")?;
        assert_eq!(hash()?, empty, "no program runs these");
        fs::write(root.join("order-svc/lib.rs"), "1")?;
        let first = hash()?;
        assert_ne!(first, empty);
        fs::write(root.join("order-svc/lib.rs"), "2")?;
        assert_ne!(hash()?, first);
        fs::rename(root.join("order-svc/lib.rs"), root.join("order-svc/main.rs"))?;
        assert_ne!(hash()?, first);
        fs::remove_dir_all(&root)?;
        Ok(())
    }
}
