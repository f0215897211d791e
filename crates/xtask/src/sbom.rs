//! `cargo xtask sbom`: what is inside the shipped programs, as CycloneDX 1.5, on standard output.
//!
//! Taken from cargo's own resolution and from the lock file's checksums; nothing is guessed. Dependencies of tests and of
//! build scripts are not in the programs, and so not in the list. The same tree gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{process, tools};

/// What is shipped.
pub const PROGRAMS: &[&str] = &["order-svc", "asset-svc", "saga-orchestrator", "brokerctl"];

/// Prints it.
///
/// # Errors
/// When cargo cannot resolve the tree.
pub fn run() -> Result<()> {
    println!("{}", text()?);
    Ok(())
}

/// The list as JSON.
///
/// # Errors
/// When cargo cannot resolve the tree.
pub fn text() -> Result<String> {
    Ok(serde_json::to_string_pretty(&bill()?)?)
}

fn bill() -> Result<Value> {
    let metadata = tools::output(&mut process::cargo(&["metadata", "--locked", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    let lock = std::fs::read_to_string(process::root().join("Cargo.lock"))?;
    let packages: BTreeMap<&str, &Value> = list(&metadata["packages"])
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let needs = needs(&metadata);
    let shipped = shipped(&packages, &needs);
    let sums = checksums(&lock)?;
    let components: Vec<Value> =
        shipped.iter().filter_map(|id| packages.get(id)).map(|package| component(package, &sums)).collect();
    let dependencies: Vec<Value> = shipped
        .iter()
        .map(|id| {
            let on: Vec<&&str> = needs.get(id).map_or(Vec::new(), |ids| ids.iter().collect());
            json!({"ref": id, "dependsOn": on})
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": "brokerage", "name": "brokerage", "version": env!("CARGO_PKG_VERSION"),
        }},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// What each package needs at run time.
fn needs(metadata: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let of = |node: &'_ Value| -> BTreeSet<String> {
        let at_run_time = list(&node["deps"])
            .iter()
            .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
        at_run_time.filter_map(|dep| dep["pkg"].as_str().map(str::to_owned)).collect()
    };
    let nodes = list(&metadata["resolve"]["nodes"]);
    let ids: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    nodes
        .iter()
        .filter_map(|node| {
            let on = of(node).iter().filter_map(|id| ids.get(id.as_str()).copied()).collect();
            Some((node["id"].as_str()?, on))
        })
        .collect()
}

/// Everything that the programs are made of.
fn shipped<'a>(
    packages: &BTreeMap<&'a str, &'a Value>,
    needs: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> BTreeSet<&'a str> {
    let is_program = |package: &Value| PROGRAMS.iter().any(|program| package["name"] == *program);
    let mut waiting: Vec<&str> =
        packages.iter().filter(|(_, package)| is_program(package)).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            waiting.extend(needs.get(id).into_iter().flatten());
        }
    }
    seen
}

/// Of name and version, from the lock file.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: toml::Table = lock.parse().context("read Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock has packages")?;
    let text =
        |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let known = packages.iter().filter_map(|package| {
        Some(((text(package, "name")?, text(package, "version")?), text(package, "checksum")?))
    });
    Ok(known.collect())
}

fn component(package: &Value, sums: &BTreeMap<(String, String), String>) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let (name, version) = (text("name"), text("version"));
    let mut component = json!({
        "type": "library",
        "bom-ref": package["id"],
        "name": name,
        "version": version,
        "purl": format!("pkg:cargo/{name}@{version}"),
        "description": text("description"),
    });
    if let Some(license) = package["license"].as_str() {
        // Old manifests separate alternatives by a slash.
        component["licenses"] = json!([{"expression": license.replace(" / ", " OR ").replace('/', " OR ")}]);
    }
    if let Some(sum) = sums.get(&(name, version)) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_listed_and_what_is_not_is_not() {
        let bill = bill().unwrap();
        let find = |name: &str| list(&bill["components"]).iter().find(|part| part["name"] == name);
        let tokio = find("tokio").unwrap();
        assert_eq!(tokio["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert_eq!(tokio["licenses"][0]["expression"], "MIT");
        assert!(find("service-kit").is_some());
        for absent in ["proptest", "protox", "xtask"] {
            assert!(find(absent).is_none(), "{absent}");
        }
    }
}
