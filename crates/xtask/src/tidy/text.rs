//! Rules about one file's text: its header, its size, its name, and what is never written.

use super::Finding;
use super::sources::{Source, has_word};

const LINES_MAX: usize = 400;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "manager", "data", "info", "misc", "common", "types"];
/// Left-overs, and promises that are not kept.
const NEVER: &[(&str, &str)] = &[
    ("#[ignore", "a test that is not run checks nothing: fix it or delete it"),
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "a left-over of debugging"),
];
/// Where one person's machine keeps things. Written in two parts, so that this file does not break its own rule.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\"),
];

/// Every rule of this file but [`machine_paths`].
pub fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(header(source));
    findings.extend(size(source));
    findings.extend(name(source));
    findings.extend(never(source));
    findings.extend(sleeps(source));
    findings
}

/// Every file says first what it is for.
fn header(source: &Source<'_>) -> Option<Finding> {
    (!source.text.starts_with("//!")).then(|| {
        Finding::new(source.path, 1, "starts with `//!`: what is this file for, and what is not in it?")
    })
}

fn size(source: &Source<'_>) -> Option<Finding> {
    let lines = source.text.lines().count();
    (lines > LINES_MAX && !source.is_test_file()).then(|| {
        Finding::new(
            source.path,
            lines,
            format!("{lines} lines, at most {LINES_MAX}: split it by what it is about"),
        )
    })
}

fn name(source: &Source<'_>) -> Option<Finding> {
    let stem = source.path.rsplit('/').next()?.strip_suffix(".rs")?;
    EMPTY_NAMES
        .contains(&stem)
        .then(|| Finding::new(source.path, 1, format!("`{stem}` says nothing: name it after what it holds")))
}

fn never(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line, _) in source.lines() {
        for (word, why) in NEVER {
            if has_word(line, word) {
                findings.push(Finding::new(source.path, number, format!("`{word}`: {why}")));
            }
        }
    }
    findings
}

/// Tests wait for a state, never for a time. The one place that may is `wait_until`, which asks again and again.
fn sleeps(source: &Source<'_>) -> Vec<Finding> {
    if source.is_in("wait") {
        return Vec::new();
    }
    source
        .lines()
        .filter(|(_, line, test)| *test && (has_word(line, "sleep(") || has_word(line, "sleep_until(")))
        .map(|(number, _, _)| {
            Finding::new(source.path, number, "a test sleeps: wait for a state, not for a time")
        })
        .collect()
}

/// No file knows where somebody keeps this repository, comments included.
pub fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if MACHINE_PATHS.iter().any(|start| starts_path(line, start)) {
            findings.push(Finding::new(
                path,
                index + 1,
                "a path of one machine: it means nothing on another",
            ));
        }
    }
    findings
}

/// Whether `start` begins a path on this line: `crates/work/` and URLs do not count.
fn starts_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        !line[..at]
            .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '}' | '~' | '*'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(findings("a/src/b.rs", "//! B.\nfn b() {}\n"), Vec::<String>::new());
        assert!(findings("a/src/b.rs", "fn b() {}\n")[0].starts_with("a/src/b.rs:1: starts with `//!`"));
    }

    #[test]
    fn a_file_of_401_lines_is_too_long_unless_it_is_a_test() {
        let text = |lines: usize| format!("//! B.\n{}", "\n".repeat(lines - 1));
        assert_eq!(findings("a/src/b.rs", &text(400)), Vec::<String>::new());
        assert!(findings("a/src/b.rs", &text(401))[0].starts_with("a/src/b.rs:401: 401 lines"));
        assert_eq!(findings("a/tests/it/b.rs", &text(401)), Vec::<String>::new());
    }

    #[test]
    fn an_empty_name_is_found() {
        assert!(findings("a/src/utils.rs", "//! B.\n")[0].contains("says nothing"));
        assert_eq!(findings("a/src/utility_bill.rs", "//! B.\n"), Vec::<String>::new());
    }

    #[test]
    fn what_is_never_written_is_found_in_code_only() {
        let bad = "//! B.\n#[ignore]\nfn b() { todo!() }\n";
        assert_eq!(findings("a/tests/b.rs", bad).len(), 2);
        let good = "//! B: no `todo!` and no #[ignore] here.\nfn b() { print(\"todo!\") }\n";
        assert_eq!(findings("a/tests/b.rs", good), Vec::<String>::new());
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let sleeping = "//! B.\nasync fn b() { tokio::time::sleep(second).await }\n";
        assert!(findings("a/tests/it/b.rs", sleeping)[0].starts_with("a/tests/it/b.rs:2: a test sleeps"));
        assert_eq!(findings("a/src/b.rs", sleeping), Vec::<String>::new());
        assert_eq!(findings("crates/test-mesh/src/wait.rs", sleeping), Vec::<String>::new());
        let beside = "//! B.\n#[cfg(test)]\nmod tests {\n    fn b() { sleep(1) }\n}\n";
        assert!(findings("a/src/b.rs", beside)[0].starts_with("a/src/b.rs:4:"));
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_any_text() {
        let bad = format!("see {}alice/notes", MACHINE_PATHS[0]);
        assert_eq!(machine_paths("README.md", &bad).len(), 1);
        assert_eq!(machine_paths("README.md", "see crates/work/notes and https://x.org/home/a").len(), 0);
    }
}
