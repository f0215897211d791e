//! The services themselves read what the chart gives them: its environment, and its secrets as files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{process, tools};

/// Has the real program check the settings of each of its containers. Says how many there are.
///
/// # Errors
/// A setting that the program does not accept, or does not have in the end.
pub fn check(work: &Path, objects: &[Value]) -> Result<usize> {
    let mut checked = 0;
    for object in objects {
        let pod = &object["spec"]["template"]["spec"];
        for container in list(&pod["initContainers"]).iter().chain(list(&pod["containers"])) {
            let verb = container["args"][0].as_str().unwrap_or_default();
            if verb != "serve" && verb != "migrate" {
                continue;
            }
            let name = object["metadata"]["labels"]["app.kubernetes.io/name"].as_str().context("a name")?;
            accepted(work, name, pod, container)
                .with_context(|| format!("{} {}: {verb}", object["kind"], object["metadata"]["name"]))?;
            checked += 1;
        }
    }
    Ok(checked)
}

fn accepted(work: &Path, name: &str, pod: &Value, container: &Value) -> Result<()> {
    let secrets = work.join("secrets");
    if secrets.exists() {
        fs::remove_dir_all(&secrets)?;
    }
    fs::create_dir_all(&secrets)?;
    let mut program = process::cargo(&["run", "--quiet", "-p", name, "--", "config"]);
    program.env("SQLX_OFFLINE", "true");
    for variable in list(&container["env"]) {
        // What Kubernetes fills in is nothing that the program must accept.
        let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) else {
            continue;
        };
        if name.ends_with("_SECRETS") {
            program.env(name, &secrets);
        } else {
            program.env(name, value);
        }
    }
    for mount in list(&container["volumeMounts"]) {
        let volume = list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
        let sources =
            volume.map(|volume| list(&volume["projected"]["sources"])).context("a projected volume")?;
        for item in sources.iter().flat_map(|source| list(&source["secret"]["items"])) {
            let path = item["path"].as_str().context("an item has a path")?;
            fs::write(secrets.join(path), example(path))?;
        }
    }
    let settings: Value = serde_json::from_str(&tools::output(&mut program)?)?;
    anyhow::ensure!(settings["listen"]["ops"] == "0.0.0.0:9090", "the probes' port is 9090");
    anyhow::ensure!(
        settings["database"]["url"].as_str().is_some_and(|url| url.starts_with("postgres")),
        "there is a database"
    );
    Ok(())
}

/// What could stand in such a secret.
fn example(path: &str) -> &'static str {
    match path {
        "database.url" | "database.read_url" => "postgresql://role:password@host:5432/database",
        "redis_url" => "redis://:password@host:6379",
        "auth.tokens" => r#"[{"token": "a-token-of-a-decent-length", "subject": "admin", "role": "admin"}]"#,
        _ => "a-secret-of-a-decent-length",
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
