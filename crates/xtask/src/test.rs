//! `cargo xtask test`: all tests, doc tests included, against one server that this process starts and throws away.

use anyhow::Result;

use crate::{cluster, process};

/// Runs `cargo test --workspace`; `args` go to cargo.
///
/// # Errors
/// When there is no Postgres to be had, or when a test fails.
pub fn run(args: &[String]) -> Result<()> {
    let server = cluster::start()?;
    let scope: &[&str] = if names_a_package(args) { &["test"] } else { &["test", "--workspace"] };
    let mut command = process::cargo(scope);
    command.args(args).env("SQLX_OFFLINE", "true").env("TEST_POSTGRES_URL", server.url("postgres"));
    process::run(&mut command)
}

fn names_a_package(args: &[String]) -> bool {
    args.iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg.starts_with("-p") || arg == "--package" || arg.starts_with("--package="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_named_package_replaces_the_whole_workspace() {
        for (line, named) in [
            ("", false),
            ("some_test", false),
            ("-p order-svc", true),
            ("--package=order-svc some_test", true),
            ("some_test -- -p", false),
        ] {
            assert_eq!(names_a_package(&words(line)), named, "{line}");
        }
    }
}
