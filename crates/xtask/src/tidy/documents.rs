//! Rules about the documents: what they point at is there.

use std::path::Path;

use super::Finding;

/// Where our own files are; a path in backticks that starts so has to exist.
const OURS: &[&str] = &["crates/", "proto/", "order-svc/", "asset-svc/", "saga-orchestrator/"];
/// A path with one of these stands for many files, or for one yet to be written.
const PATTERNS: &[char] = &['*', '<', '{', '…', ' '];

/// Every link to a file, and every path of ours in backticks, leads somewhere.
pub fn dead_paths(root: &Path, path: &str, text: &str) -> Vec<Finding> {
    let here = root.join(path);
    let dir = here.parent().unwrap_or(root);
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let links = links(line).filter(|target| !dir.join(target).exists());
        let named = named(line).filter(|target| !root.join(target).exists());
        for target in links.chain(named) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("`{target}` is not there: it moved, or never was"),
            ));
        }
    }
    findings
}

/// The targets of `[text](target)` that are files of this repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#']).next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

/// The paths in backticks that are ours.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| OURS.iter().any(|start| word.starts_with(start)) && !word.contains(PATTERNS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        dead_paths(&crate::process::root(), "README.md", text).len()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(
            findings("see [the tasks](crates/xtask/src/main.rs#head) and [this](https://example.org/x)"),
            0
        );
        assert_eq!(findings("see [the tasks](crates/xtask/src/gone.rs)"), 1);
    }

    #[test]
    fn a_path_in_backticks_that_is_gone_is_found() {
        assert_eq!(findings("in `crates/xtask/src/main.rs`, never in `crates/*/gone.rs` or `gone.rs`"), 0);
        assert_eq!(findings("in `crates/xtask/gone.rs`"), 1);
    }
}
