//! Which of our crates may depend on which, from their `Cargo.toml`.

use anyhow::{Context, Result};
use toml::Table;

use super::Finding;
use super::layers::SERVICES;

/// Crates that start or break the mesh, and who may use them.
const ON_TOP: &[(&str, &[&str])] = &[
    ("brokerctl", &["test-mesh", "mesh-bench", "mesh-chaos"]),
    ("test-mesh", &[]),
    ("xtask", &[]),
    ("mesh-bench", &[]),
    ("mesh-chaos", &[]),
    ("protocol-model", &[]),
];
/// Crates with nothing but these dependencies.
const CLOSED: &[(&str, &[&str])] = &[
    ("brokerage-types", &["chrono", "rust_decimal", "serde", "thiserror", "uuid", "proptest", "serde_json"]),
    ("brokerage-proto", &["prost", "prost-types", "tonic", "tonic-prost", "tonic-prost-build", "protox"]),
];
const KINDS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// Checks every manifest, given as (path, text).
///
/// # Errors
/// When one is not TOML.
pub fn check(manifests: &[(String, String)]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, text) in manifests {
        let manifest: Table = text.parse().with_context(|| format!("parse {path}"))?;
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) else {
            continue;
        };
        for dependency in dependencies(&manifest) {
            if let Some(why) = forbidden(name, &dependency) {
                let line =
                    text.lines().position(|line| line.starts_with(dependency.as_str())).unwrap_or(0) + 1;
                findings.push(Finding::new(path, line, format!("`{name}` depends on `{dependency}`: {why}")));
            }
        }
    }
    Ok(findings)
}

fn dependencies(manifest: &Table) -> Vec<String> {
    KINDS
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

fn forbidden(name: &str, dependency: &str) -> Option<&'static str> {
    if SERVICES.contains(&name) && SERVICES.contains(&dependency) {
        return Some("services never depend on each other; they talk gRPC");
    }
    if name == "service-kit" && SERVICES.contains(&dependency) {
        return Some("the kit knows no service");
    }
    let on_top = ON_TOP.iter().find(|(top, _)| *top == dependency);
    if on_top.is_some_and(|(_, users)| !users.contains(&name)) {
        return Some("nothing depends on what starts, breaks or measures the mesh");
    }
    let closed = CLOSED.iter().find(|(closed, _)| *closed == name);
    if closed.is_some_and(|(_, allowed)| !allowed.contains(&dependency)) {
        return Some("this crate stays free of input and output");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn findings(name: &str, dependencies: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n\n{dependencies}\n");
        match check(&[("a/Cargo.toml".to_owned(), text)]) {
            Ok(found) => found.iter().map(Finding::to_string).collect(),
            Err(error) => vec![format!("{error:#}")],
        }
    }

    #[test]
    fn services_do_not_depend_on_each_other() {
        let found = findings("order-svc", "[dev-dependencies]\nasset-svc.workspace = true");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a/Cargo.toml:5: `order-svc` depends on `asset-svc`"), "{found:?}");
        assert_eq!(findings("order-svc", "[dependencies]\nservice-kit.workspace = true").len(), 0);
    }

    #[test]
    fn only_tests_and_the_benchmark_depend_on_the_client() {
        assert_eq!(findings("order-svc", "[dev-dependencies]\nbrokerctl.workspace = true").len(), 1);
        assert_eq!(findings("test-mesh", "[dependencies]\nbrokerctl.workspace = true").len(), 0);
    }

    #[test]
    fn values_and_wire_types_stay_free_of_input_and_output() {
        assert_eq!(findings("brokerage-types", "[dependencies]\ntokio = \"1\"").len(), 1);
        assert_eq!(findings("brokerage-proto", "[dependencies]\nbrokerage-types.workspace = true").len(), 1);
        assert_eq!(findings("brokerage-types", "[dependencies]\nuuid = \"1\"").len(), 0);
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_an_error() {
        assert!(check(&[("a/Cargo.toml".to_owned(), "[package".to_owned())]).is_err());
    }
}
