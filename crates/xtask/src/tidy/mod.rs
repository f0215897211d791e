//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy can check.
//!
//! Each rule is a function from one file to its findings, tested with a good and a bad sample. A finding says where,
//! what, and why, so that nobody has to look the rule up.

mod documents;
mod graph;
mod layers;
mod protocol;
mod sources;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use sources::Source;

/// Directories that are not ours to check.
const SKIPPED: &[&str] = &["target", ".git", ".sqlx", ".tools"];
/// What is read as text besides `.rs`.
const TEXT: &[&str] = &["rs", "md", "toml", "proto", "sql", "sh", "yml", "yaml", "json", "txt", "run"];

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks the tree under `root` and prints every finding.
///
/// # Errors
/// When there is a finding, or when the tree cannot be read.
pub fn run(root: &Path) -> Result<()> {
    let findings = check(root)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{} findings", findings.len())
}

/// Everything that breaks a rule in the tree under `root`.
///
/// # Errors
/// When the tree cannot be read.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut manifests = Vec::new();
    for path in files(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        findings.extend(text::machine_paths(&name, &text));
        if name.ends_with(".rs") {
            let source = Source::new(&name, &text);
            findings.extend(text::check(&source));
            findings.extend(layers::check(&source));
        } else if name.ends_with(".md") {
            findings.extend(documents::dead_paths(root, &name, &text));
        } else if name.ends_with(".proto") {
            findings.extend(protocol::step_contexts(&name, &text));
        } else if name.ends_with("Cargo.toml") {
            manifests.push((name, text));
        }
    }
    findings.extend(graph::check(&manifests)?);
    findings.sort();
    Ok(findings)
}

/// Every text file below `dir`, but for what is built or installed.
///
/// # Errors
/// When it cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            found.extend(files(&path)?);
        } else if kind.is_file() && TEXT.contains(&name.rsplit('.').next().unwrap_or_default()) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() -> Result<()> {
        let findings = check(&crate::process::root())?;
        let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(list.is_empty(), "\n{}", list.join("\n"));
        Ok(())
    }
}
