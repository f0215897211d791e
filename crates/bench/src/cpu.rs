//! Who used how much CPU and memory, from `/proc`.
//!
//! Postgres backends are told apart by the database in their title; a backend that ended within a window is not counted.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use brokerctl::dev::{Mesh, MeshService};

/// Linux counts CPU in hundredths of a second, whatever the kernel's own clock.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// CPU time so far, in microseconds: by process, with the name of its group.
#[derive(Debug)]
pub struct Meter(BTreeMap<u32, (String, u64)>);

impl Meter {
    /// Reads it now.
    ///
    /// # Errors
    /// Without `/proc`.
    pub fn read(mesh: &mut Mesh) -> Result<Self> {
        let mut processes = vec![(std::process::id(), "load generator".to_owned())];
        for service in MeshService::ALL {
            processes.extend(mesh.pids(*service).into_iter().map(|pid| (pid, service.name().to_owned())));
        }
        if let Some(postmaster) = mesh.postgres().and_then(|cluster| cluster.pid()) {
            processes.extend(postgres(postmaster)?);
        }
        let used = processes.into_iter().filter_map(|(pid, group)| Some((pid, (group, cpu_us(pid)?))));
        Ok(Self(used.collect()))
    }

    /// What each group used since `earlier`, divided by `count`.
    pub fn since(&self, earlier: &Self, count: f64) -> BTreeMap<String, f64> {
        let mut groups = BTreeMap::new();
        for (pid, (group, now)) in &self.0 {
            let before = earlier.0.get(pid).map_or(0, |(_, before)| *before);
            #[expect(clippy::cast_precision_loss, reason = "a printed figure needs no more than 52 bits")]
            let used = now.saturating_sub(before) as f64;
            *groups.entry(group.clone()).or_insert(0.0) += used / count.max(1.0);
        }
        groups
    }
}

/// Megabytes resident, by service.
///
/// # Errors
/// Without `/proc`.
pub fn resident_mb(mesh: &Mesh) -> Result<BTreeMap<String, f64>> {
    let mut resident = BTreeMap::new();
    for service in MeshService::ALL {
        for pid in mesh.pids(*service) {
            let status =
                fs::read_to_string(format!("/proc/{pid}/status")).context("read the memory of a service")?;
            *resident.entry(service.name().to_owned()).or_insert(0.0) +=
                resident_in(&status).unwrap_or_default();
        }
    }
    Ok(resident)
}

/// What the machine's cores did since it started, in ticks: all, and what a hypervisor gave to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    all: u64,
    stolen: u64,
}

impl Cores {
    /// Reads it now; `None` without `/proc`.
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in user's already.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> =
            line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    /// The share of the cores' time that others got since `earlier`.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let share = |part: u64, whole: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a printed figure needs no more than 52 bits")]
            let share = part as f64 / whole.max(1) as f64;
            share
        };
        share(self.stolen.saturating_sub(earlier.stolen), self.all.saturating_sub(earlier.all))
    }
}

/// The processor's name.
pub fn model() -> Option<String> {
    let said = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = said.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The machine's memory, in gigabytes.
pub fn memory_gb() -> Option<f64> {
    let said = fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes: f64 =
        said.lines().find(|line| line.starts_with("MemTotal:"))?.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0 / 1024.0)
}

fn resident_in(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn postgres(postmaster: u32) -> Result<Vec<(u32, String)>> {
    let mut found = vec![(postmaster, "postgres, other".to_owned())];
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if fields(&stat).get(1).and_then(|parent| parent.parse().ok()) == Some(postmaster) {
            let title = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            found.push((pid, group_of(&title)));
        }
    }
    Ok(found)
}

/// `postgres: <user> <database> <host>(<port>) <what>`; the server's own processes have no host.
fn group_of(title: &str) -> String {
    let words: Vec<&str> = title.trim_matches(['\0', ' ']).split_whitespace().collect();
    match words.as_slice() {
        ["postgres:", _, database, host, ..] if host.ends_with(')') => format!("postgres, {database}"),
        _ => "postgres, other".to_owned(),
    }
}

fn cpu_us(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = fields(&stat);
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some((user + system) * MICROSECONDS_PER_TICK)
}

/// The fields after the command's name, which may hold anything: state, parent, …
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_belongs_to_its_database() {
        for (title, group) in [
            ("postgres: postgres order_svc 127.0.0.1(48022) idle\0", "postgres, order_svc"),
            ("postgres: walwriter \0\0\0", "postgres, other"),
            ("postgres: autovacuum worker asset_svc", "postgres, other"),
        ] {
            assert_eq!(group_of(title), group);
        }
    }

    #[test]
    fn the_name_of_a_process_does_not_shift_its_fields() {
        let stat = "42 (a b) c) S 7 1 1 0 -1 0 0 0 0 0 150 50 0 0";
        assert_eq!(fields(stat)[1], "7");
        assert_eq!((fields(stat)[11], fields(stat)[12]), ("150", "50"));
    }

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let at = |steal| Cores::parse(&format!("cpu  10 0 10 70 0 5 5 {steal} 3 3\ncpu0 1 2")).unwrap();
        assert!((at(25).stolen_since(at(0)) - 1.0).abs() < 1e-9);
        let later = Cores { all: 300, stolen: 25 };
        assert!((later.stolen_since(at(0)) - 0.125).abs() < 1e-9);
        assert_eq!(Cores::parse("cpu  1 2 3"), None);
    }

    #[test]
    fn resident_memory_is_read_in_megabytes() {
        assert_eq!(resident_in("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2.0));
        assert_eq!(resident_in("Name:\tx\n"), None);
    }
}
