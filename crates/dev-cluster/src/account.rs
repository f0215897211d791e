//! Who runs Postgres: it refuses root, so root lends it the unprivileged system user `postgres`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const USER: &str = "postgres";

/// The user that runs Postgres when this process is root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn is_root() -> bool {
    id(&["-u"]) == Some(0)
}

/// `None`: this process runs Postgres as itself.
pub(crate) fn postgres_account() -> Result<Option<Account>> {
    if !is_root() {
        return Ok(None);
    }
    if id(&["-u", USER]).is_none() {
        create()?;
    }
    let (Some(uid), Some(gid)) = (id(&["-u", USER]), id(&["-g", USER])) else {
        bail!(
            "running as root, and the user `{USER}` that Postgres needs does not exist and could not be created"
        );
    };
    Ok(Some(Account { name: USER, uid, gid }))
}

fn create() -> Result<()> {
    eprintln!("Postgres does not run as root: creating the system user `{USER}` for it");
    let script = format!(
        "useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /bin/false {USER} \
         || {{ addgroup -S {USER}; adduser -S -D -H -G {USER} {USER}; }}"
    );
    let status = Command::new("sh").args(["-c", &script]).status().context("create the user postgres")?;
    if !status.success() {
        bail!("could not create the system user `{USER}`: {script}");
    }
    Ok(())
}

fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
