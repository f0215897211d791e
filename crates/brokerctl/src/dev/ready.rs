//! The ready file: what a running mesh tells other programs about itself, as JSON.
//!
//! `brokerctl dev` always writes one at [`default_path`], so that `doctor` and `audit verify` find the databases.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Addresses, DatabaseUrls, Mesh, MeshService};

/// A mesh that is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyFile {
    /// The process that runs the mesh.
    pub pid: u32,
    /// The public API.
    pub public: String,
    /// The databases.
    pub databases: DatabaseUrls,
    /// Redis, if there is one.
    pub redis: Option<String>,
    /// Every process of every service.
    pub services: Vec<ReadyService>,
    /// The private cluster's postmaster.
    pub postgres_pid: Option<u32>,
    /// The private Redis.
    pub redis_pid: Option<u32>,
}

/// One process of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyService {
    /// Which.
    pub service: MeshService,
    /// Its process id; the mesh's own where it runs on a thread.
    pub pid: Option<u32>,
    /// Where it listens.
    #[serde(flatten)]
    pub addresses: Addresses,
}

/// Where `brokerctl dev` writes it.
#[must_use]
pub fn default_path() -> PathBuf {
    std::env::temp_dir().join("brokerctl-dev.json")
}

impl ReadyFile {
    /// Of a running mesh.
    #[must_use]
    pub fn of(mesh: &Mesh) -> Self {
        let process = |service: &MeshService| {
            let pids = mesh.pids(*service);
            let addresses = mesh.addresses(*service).into_iter().enumerate();
            let service = *service;
            addresses
                .map(move |(at, addresses)| ReadyService { service, pid: pids.get(at).copied(), addresses })
                .collect::<Vec<_>>()
        };
        Self {
            pid: std::process::id(),
            public: mesh.public_uri(),
            databases: mesh.database_urls().clone(),
            redis: mesh.storage.redis_url(),
            services: MeshService::ALL.iter().flat_map(process).collect(),
            postgres_pid: mesh.storage.postgres_pid(),
            redis_pid: mesh.storage.redis_pid(),
        }
    }

    /// Writes it in one move: who sees the file sees all of it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .with_context(|| format!("write {}", path.display()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// When there is none, or something else is there.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("understand {}", path.display()))
    }

    /// Removes it if it is still this mesh's.
    pub fn remove(&self, path: &Path) {
        if Self::read(path).is_ok_and(|found| found.pid == self.pid) {
            drop(std::fs::remove_file(path));
        }
    }
}
