//! `cargo xtask k8s-check`: the Helm chart, by the tools that consume it.
//!
//! Not part of `cargo xtask ci`: the tools have to be installed first. There is no cluster here, so nothing is run; what
//! can be checked without one is.

mod custom;
mod edges;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{process, tools};

const CHART: &str = "k8s/brokerage";
/// Each is a file of values, and a file of plain manifests.
const PRESETS: &[&str] = &["dev", "ha", "mesh"];
/// The oldest that the chart takes, one in the middle, and the newest.
const KUBERNETES: &[&str] = &["1.30", "1.33", NEWEST];
const NEWEST: &str = "1.37";
/// The preset that has an object of each custom kind.
const RICHEST: &str = "ha";
/// Policies that the chart breaks on purpose, and why. What only concerns one object is skipped at that object.
const SKIPPED_POLICIES: &[(&str, &str)] = &[
    ("CKV_K8S_11", "no CPU limits: a throttled process misses its heartbeats, and its sagas are taken over"),
    ("CKV_K8S_15", "the pull policy need not be Always: a tag is never given twice"),
    ("CKV_K8S_43", "digests are the installer's choice: services.NAME.digest"),
];
/// What the chart has to refuse, and a piece of what it says.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("dev", &["services.order-svc.replica=3"], "additional properties 'replica' not allowed"),
    ("dev", &["services.order-svc.replicas=0"], "minimum: got 0, want 1"),
    ("dev", &["image.tag=latest"], "'not' failed"),
    ("dev", &["profile=production"], "auth.existingSecret: required"),
    ("dev", &["profile=production", "auth.existingSecret=a"], "dev needs profile dev"),
    ("dev", &["services.order-svc.calls.asset=cash-svc"], "there is no service cash-svc"),
    ("ha", &["migrations.mode=job"], "job needs database.mode external"),
    ("mesh", &["services.order-svc.digest=sha256:12"], "does not match pattern"),
    ("mesh", &["grpcRoute.parentRefs=null"], "grpcRoute.parentRefs: required"),
];

/// Checks the chart; `write` writes the plain manifests anew instead of comparing them.
///
/// # Errors
/// What a tool has found, or a tool that is missing.
pub fn run(write: bool) -> Result<()> {
    let work = std::env::temp_dir().join(format!("k8s-check-{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let done = check(&work, write);
    fs::remove_dir_all(&work)?;
    done
}

fn check(work: &Path, write: bool) -> Result<()> {
    for preset in PRESETS {
        process::run(
            tools::command("helm")?.args(["lint", "--strict", "--quiet", CHART, "-f"]).arg(values(preset)),
        )?;
        let mut foreign = 0;
        for version in KUBERNETES {
            let file = rendering(work, preset, version);
            fs::write(&file, template(preset, &["--kube-version", version])?)?;
            let kinds = validate(&file, version)?;
            foreign = custom::check(work, &objects(&file)?, &kinds)?;
        }
        let newest = rendering(work, preset, NEWEST);
        policies(&newest)?;
        let objects = objects(&newest)?;
        let edges = edges::check(&objects).with_context(|| format!("preset {preset}"))?;
        let commands = settings::check(work, &objects).with_context(|| format!("preset {preset}"))?;
        dashboards(&objects)?;
        eprintln!(
            "{preset}: {} objects valid on Kubernetes {}, {foreign} of them custom; {edges} edges fit; the settings of \
             {commands} containers are accepted",
            objects.len(),
            KUBERNETES.join(", ")
        );
        manifests(preset, write)?;
    }
    for (preset, sets, says) in REFUSED {
        refused(preset, sets, says)?;
    }
    let mistakes = custom::check_mistakes(work, &objects(&rendering(work, RICHEST, NEWEST))?)?;
    let templates = PRESETS.len() * KUBERNETES.len();
    eprintln!(
        "the chart is right: {templates} renderings; refused: {} mistakes in values, {mistakes} in custom objects",
        REFUSED.len()
    );
    Ok(())
}

fn values(preset: &str) -> PathBuf {
    Path::new(CHART).join(format!("values-{preset}.yaml"))
}

/// Where the rendering of a preset is, for a version of Kubernetes.
fn rendering(work: &Path, preset: &str, version: &str) -> PathBuf {
    work.join(format!("{preset}-{version}.yaml"))
}

fn template(preset: &str, more: &[&str]) -> Result<String> {
    let mut helm = tools::command("helm")?;
    helm.args(["template", "brokerage", CHART, "--namespace", "brokerage", "-f"])
        .arg(values(preset))
        .args(more);
    tools::output(&mut helm).with_context(|| format!("render preset {preset}"))
}

/// Every object against the schemas of that Kubernetes, unknown fields refused. Returns the kinds that have none there.
fn validate(file: &Path, version: &str) -> Result<BTreeSet<custom::Kind>> {
    let output =
        tools::command("kubernetes-validate")?.args(["-k", version, "--strict"]).arg(file).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if !output.status.success() {
        bail!("Kubernetes {version} does not accept {}:\n{said}", file.display());
    }
    custom::kinds(&said)
}

fn policies(file: &Path) -> Result<()> {
    let skipped: Vec<&str> = SKIPPED_POLICIES.iter().map(|(policy, _)| *policy).collect();
    let mut checkov = tools::command("checkov")?;
    checkov.args(["--framework", "kubernetes", "--compact", "--quiet", "--skip-check", &skipped.join(",")]);
    // Its look-up of explanations would go to the network.
    checkov.args(["--skip-download", "-f"]).arg(file);
    tools::output(&mut checkov).with_context(|| format!("policies of {}", file.display()))?;
    Ok(())
}

/// The objects of a rendered file. Python reads the YAML: it came with the validator.
fn objects(file: &Path) -> Result<Vec<Value>> {
    let script = "import json, sys, yaml; json.dump([o for o in yaml.safe_load_all(open(sys.argv[1])) if o], sys.stdout)";
    let json = tools::output(tools::command("python")?.args(["-c", script]).arg(file))?;
    Ok(serde_json::from_str(&json)?)
}

/// The dashboards arrive in Grafana as they are in `deploy/`.
fn dashboards(objects: &[Value]) -> Result<()> {
    for object in objects.iter().filter(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1") {
        let files = object["data"].as_object().context("a dashboard's config map has data")?;
        for (name, content) in files {
            let original = fs::read_to_string(process::root().join("deploy/dashboards").join(name))?;
            let (rendered, original): (Value, Value) = (
                serde_json::from_str(content.as_str().unwrap_or_default())?,
                serde_json::from_str(&original)?,
            );
            if rendered != original {
                bail!("{name} is another in the config map than in deploy/dashboards");
            }
        }
    }
    Ok(())
}

/// The plain manifests are what the chart renders.
fn manifests(preset: &str, write: bool) -> Result<()> {
    let rendered = template(preset, &["--skip-tests", "--set", "monitoring.dashboards.enabled=false"])?;
    let head = format!(
        "# Generated from k8s/brokerage with values-{preset}.yaml by `cargo xtask k8s-check --write`. Do not edit.\n\
         # Apply with: kubectl apply --namespace brokerage -f {preset}.yaml\n"
    );
    let wanted = head + &rendered;
    let file = process::root().join("k8s/manifests").join(format!("{preset}.yaml"));
    if write {
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        fs::write(&file, wanted)?;
    } else if fs::read_to_string(&file).unwrap_or_default() != wanted {
        bail!(
            "{} is not what the chart renders: `cargo xtask k8s-check --write`, and read the diff",
            file.display()
        );
    }
    Ok(())
}

fn refused(preset: &str, sets: &[&str], says: &str) -> Result<()> {
    let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    match template(preset, &more) {
        Err(error) if format!("{error:#}").contains(says) => Ok(()),
        Err(error) => bail!("{preset} with {sets:?} was refused, but not with `{says}`:\n{error:#}"),
        Ok(_) => bail!("{preset} with {sets:?} must be refused"),
    }
}
