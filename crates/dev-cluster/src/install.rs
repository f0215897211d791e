//! Installs a missing server through the system's package manager, after saying so.
//!
//! The distribution's own services are not wanted: a main cluster is not created, and services are not started.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::account::is_root;
use crate::binaries::on_path;

/// What can be installed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Package {
    Postgres,
    Redis,
}

const CLUSTER_CONF: &str = "/etc/postgresql-common/createcluster.conf";
const POLICY: &str = "/usr/sbin/policy-rc.d";

impl Package {
    fn title(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        }
    }

    /// The shell script that installs it, for the package manager of this machine.
    fn script(self) -> Option<String> {
        let (apt, dnf, apk, brew) = match self {
            Self::Postgres => (
                "postgresql",
                "postgresql-server postgresql-contrib",
                "postgresql postgresql-contrib",
                "postgresql@17",
            ),
            Self::Redis => ("redis-server", "redis", "redis", "redis"),
        };
        if on_path("apt-get").is_some() {
            let options = "-o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold";
            return Some(format!(
                "apt-get update; apt-get install -y --no-install-recommends {options} {apt}"
            ));
        }
        if on_path("dnf").is_some() {
            return Some(format!("dnf install -y {dnf}"));
        }
        if on_path("apk").is_some() {
            return Some(format!("apk add --no-cache {apk}"));
        }
        on_path("brew").map(|_| format!("brew install {brew}"))
    }
}

/// Installs a package, or says what the user has to do.
pub(crate) fn install(package: Package) -> Result<()> {
    // Package managers lock each other out, and ours would undo each other's precautions.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let title = package.title();
    let Some(script) = package.script() else {
        bail!(
            "{title} is not installed and no known package manager was found: install {title} and try again"
        );
    };
    let by_brew = script.starts_with("brew");
    let command = if is_root() || by_brew { script.clone() } else { format!("sudo -n sh -c '{script}'") };
    eprintln!("{title} is not installed. Installing it now: {command}");
    let policy = is_root().then(forbid_service_start).flatten();
    if matches!(package, Package::Postgres) && is_root() {
        forbid_main_cluster();
    }
    let status = Command::new("sh")
        .args(["-c", &command])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("UCF_FORCE_CONFFOLD", "1")
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("run: {command}"));
    drop(policy);
    if !status?.success() {
        bail!("{title} could not be installed. As root, run: {script}");
    }
    Ok(())
}

/// Debian would create and start a cluster of its own on port 5432; we want only the programs.
fn forbid_main_cluster() {
    let path = Path::new(CLUSTER_CONF);
    if path.exists() || on_path("apt-get").is_none() {
        return;
    }
    if let Some(parent) = path.parent() {
        // Best effort: a cluster too many is a nuisance, not a failure.
        drop(fs::create_dir_all(parent));
    }
    drop(fs::write(path, "create_main_cluster = false\n"));
}

/// While this lives, Debian's packages do not start their services.
struct ServicesForbidden;

impl Drop for ServicesForbidden {
    fn drop(&mut self) {
        drop(fs::remove_file(POLICY));
    }
}

fn forbid_service_start() -> Option<ServicesForbidden> {
    use std::os::unix::fs::PermissionsExt;
    if Path::new(POLICY).exists() || on_path("apt-get").is_none() {
        return None;
    }
    fs::write(POLICY, "#!/bin/sh\nexit 101\n").ok()?;
    let forbidden = ServicesForbidden;
    fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).ok()?;
    Some(forbidden)
}
