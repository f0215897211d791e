//! The test programs: built once, then run one test at a time.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::defects::{Catcher, PACKAGES, Suite};
use crate::process;

/// The variable that names the defect; see `service_kit::defect`.
const SEEDED: &str = "MESH_DEFECT";
/// A test that takes longer hangs, and that is no proof of anything.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The programs by package and suite.
pub struct Programs(BTreeMap<(String, Suite), PathBuf>);

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ran and passed.
    Passed,
    /// It ran and failed.
    Failed,
    /// Neither: it does not exist, hung, or its process ended otherwise.
    Unclear(String),
}

impl Programs {
    /// Builds them as `cargo xtask test` does: the whole workspace, so that nothing is compiled twice.
    ///
    /// # Errors
    /// When something does not compile.
    pub fn build() -> Result<Self> {
        let mut command =
            process::cargo(&["test", "--workspace", "--no-run", "--quiet", "--message-format=json"]);
        let output = command
            .env("SQLX_OFFLINE", "true")
            .stderr(Stdio::inherit())
            .output()
            .context("build the test programs")?;
        ensure!(output.status.success(), "the tests do not compile");
        let messages = String::from_utf8_lossy(&output.stdout);
        Ok(Self(messages.lines().filter_map(program).collect()))
    }

    /// Runs one test, with a defect or without.
    ///
    /// # Errors
    /// When its program cannot be started.
    pub fn run(&self, catcher: &Catcher, defect: Option<&str>, postgres: &str) -> Result<Verdict> {
        let Some(program) = self.0.get(&(catcher.package.to_owned(), catcher.suite)) else {
            bail!("{} has no such tests", catcher.package);
        };
        let dir = PACKAGES.iter().find(|(package, _)| *package == catcher.package).map(|(_, dir)| *dir);
        let manifest = process::root().join(dir.unwrap_or_default());
        let mut command = Command::new(program);
        command
            .args(["--exact", catcher.test, "--test-threads=1"])
            .current_dir(&manifest)
            .env("CARGO_MANIFEST_DIR", &manifest)
            .env("TEST_POSTGRES_URL", postgres)
            .env_remove(SEEDED)
            .envs(defect.map(|name| (SEEDED, name)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let mut stdout = child.stdout.take().context("the output of a test")?;
        let (said, heard) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            let read = stdout.read_to_end(&mut text);
            // Nobody listens any more after the timeout.
            let _ = said.send(read.map(|_| String::from_utf8_lossy(&text).into_owned()));
        });
        let Ok(text) = heard.recv_timeout(TEST_TIMEOUT) else {
            child.kill().context("end a test that hangs")?;
            child.wait().context("end a test that hangs")?;
            return Ok(Verdict::Unclear(format!("no end within {} s", TEST_TIMEOUT.as_secs())));
        };
        let status = child.wait().context("wait for a test")?;
        drop(reader.join());
        Ok(verdict(&text.context("read the output of a test")?, status.code()))
    }
}

/// A program that one of cargo's messages tells of.
fn program(message: &str) -> Option<((String, Suite), PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let suite = match message["target"]["kind"].get(0)?.as_str()? {
        "lib" => Suite::Unit,
        "test" => Suite::Service,
        _ => return None,
    };
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let package = manifest.parent()?.file_name()?.to_string_lossy().into_owned();
    Some(((package, suite), PathBuf::from(message["executable"].as_str()?)))
}

/// Only a run of exactly one test counts, and only if its process ended as such a run does.
fn verdict(output: &str, code: Option<i32>) -> Verdict {
    let has = |text: &str| output.contains(text);
    let one_ran = has("running 1 test\n");
    if one_ran && code == Some(0) && has("test result: ok. 1 passed; 0 failed; 0 ignored") {
        Verdict::Passed
    } else if one_ran && code == Some(101) && has("test result: FAILED. 0 passed; 1 failed") {
        Verdict::Failed
    } else {
        let last = output.lines().rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        Verdict::Unclear(format!("exit code {code:?}: {last}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_test_that_ran_and_failed_counts_as_failed() {
        let one = "\nrunning 1 test\ntest a::b ... ";
        let failed = format!("{one}FAILED\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n");
        let passed = format!("{one}ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n");
        let none = "\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(verdict(&failed, Some(101)), Verdict::Failed);
        assert_eq!(verdict(&passed, Some(0)), Verdict::Passed);
        for (output, code) in
            [(none, Some(0)), (one, Some(101)), (one, None), (&failed, Some(0)), ("", Some(101))]
        {
            assert!(matches!(verdict(output, code), Verdict::Unclear(_)), "{output} {code:?}");
        }
    }

    #[test]
    fn cargo_tells_which_program_has_which_tests() {
        let message = |kind: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": "/tree/order-svc/Cargo.toml",
                "target": { "kind": [kind], "name": "it" },
                "profile": { "test": test },
                "executable": "/tree/target/it-1",
            })
            .to_string()
        };
        let found = program(&message("test", true));
        assert_eq!(
            found,
            Some((("order-svc".to_owned(), Suite::Service), PathBuf::from("/tree/target/it-1")))
        );
        assert!(program(&message("lib", true)).is_some_and(|((_, suite), _)| suite == Suite::Unit));
        assert_eq!(program(&message("bin", true)), None);
        assert_eq!(program(&message("lib", false)), None);
        assert_eq!(program("not json"), None);
    }
}
