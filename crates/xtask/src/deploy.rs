//! `cargo xtask deploy-check`: what is in `deploy/` and around it, by the tools that consume it or know its form.
//!
//! Not part of `cargo xtask ci`: the tools have to be installed first. Images are not built here; only their recipe is read.

use anyhow::{Context, Result};

use crate::{alerts, process, sbom, tools};

const WORKFLOWS: &[&str] = &[".github/workflows/ci.yaml", ".github/workflows/release.yaml"];
/// Only what is wrong, not what is a matter of taste.
const YAML_RULES: &str = "{extends: default, rules: {line-length: disable, document-start: disable, braces: disable, \
                          brackets: disable, comments: disable, truthy: disable, indentation: disable}}";
/// Python reads the YAML, whose merge keys the validator does not know.
const COMPOSE: &str = "import json, sys, yaml\n\
                       from compose_spec import PyCompose\n\
                       PyCompose.from_json(json.dumps(yaml.safe_load(open(sys.argv[1])))).validate()";

/// The bill of materials, against its strict schema.
const BILL: &str = "import sys; from cyclonedx.schema import SchemaVersion; \
                    from cyclonedx.validation.json import JsonStrictValidator; \
                    sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()))";

/// Checks alerts, images, compose and pipeline.
///
/// # Errors
/// What a tool has found, or a tool that is missing.
pub fn run() -> Result<()> {
    alerts::run()?;
    let prometheus = "deploy/compose/prometheus.yaml";
    process::run(tools::command("promtool")?.args(["check", "config", "--syntax-only", prometheus]))?;
    process::run(tools::command("hadolint")?.arg("deploy/Dockerfile"))?;
    let file = std::env::temp_dir().join(format!("bill-{}.json", std::process::id()));
    std::fs::write(&file, sbom::text()?)?;
    let valid = tools::output(tools::command("python")?.args(["-c", BILL]).arg(&file));
    std::fs::remove_file(&file)?;
    valid.context("the bill of materials is not CycloneDX 1.5")?;
    tools::output(tools::command("python")?.args(["-c", COMPOSE, "compose.yaml"]))?;
    process::run(tools::command("yamllint")?.args([
        "--strict",
        "-d",
        YAML_RULES,
        "compose.yaml",
        "deploy",
        ".github",
    ]))?;
    let directory = tools::directory();
    process::run(tools::command("node")?.arg("deploy/lint-pipeline.mjs").arg(directory).args(WORKFLOWS))?;
    process::run(tools::command("zizmor")?.args(["--offline", "--quiet", ".github/workflows"]))
}
