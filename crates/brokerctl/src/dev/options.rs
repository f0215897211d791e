//! How a mesh shall be.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::MeshService;

/// The mesh's public port unless told otherwise.
pub const PUBLIC_PORT: u16 = 50_051;

/// How a mesh shall be. The default suits tests: free ports, thrown away, seeded, services in this process.
#[derive(Clone, Debug)]
pub struct MeshOptions {
    /// So many processes of each service, watched and started again; `None`: each service on a thread of this process.
    pub replicas: Option<usize>,
    /// Keeps the databases here; `None` throws them away.
    pub data_dir: Option<PathBuf>,
    /// Free ports instead of the well-known ones.
    pub random_ports: bool,
    /// The well-known public port.
    pub public_port: u16,
    /// Databases of a new name on this server instead of a private cluster; dropped by [`stop`](super::Mesh::stop).
    pub postgres_url: Option<String>,
    /// The private cluster survives a power cut.
    pub durable: bool,
    /// A private Redis, if one can be had.
    pub redis: bool,
    /// Scales the protocol's times.
    pub time_scale: f64,
    /// Demo customers, instruments and balances.
    pub seed: bool,
    /// With `replicas`: the `brokerctl` program to run as services. `None`: this program.
    pub serve_command: Option<PathBuf>,
    /// What the services log, as a filter.
    pub log: String,
    /// Where the services send traces and metrics.
    pub otlp: Option<String>,
    /// With `replicas`: more settings of a service's processes, such as `LIMITS__CONCURRENCY`.
    pub settings: Vec<(MeshService, &'static str, String)>,
    /// With `replicas`: what stands between the processes of the mesh.
    pub detour: Detour,
}

/// One way that calls go inside the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// From an orchestrator process to the internal listener of a process of a participant.
    Steps {
        /// Who is called.
        to: MeshService,
        /// Which of its processes.
        index: usize,
    },
    /// From the processes of a service to their database.
    Database {
        /// Who calls.
        of: MeshService,
    },
}

type Reroute = dyn Fn(Link, SocketAddr) -> anyhow::Result<SocketAddr> + Send + Sync;

/// Sends links elsewhere, so that a test can stand between two processes. The default changes nothing.
#[derive(Clone, Default)]
pub struct Detour(Option<Arc<Reroute>>);

impl Detour {
    /// `by` is told of each link and of where it leads, and answers where it shall lead instead.
    pub fn new(by: impl Fn(Link, SocketAddr) -> anyhow::Result<SocketAddr> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(by)))
    }

    pub(super) fn of(&self, link: Link, to: SocketAddr) -> anyhow::Result<SocketAddr> {
        self.0.as_ref().map_or(Ok(to), |by| by(link, to))
    }
}

impl fmt::Debug for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Detour(some)" } else { "Detour(none)" })
    }
}

impl Default for MeshOptions {
    fn default() -> Self {
        Self {
            replicas: None,
            data_dir: None,
            random_ports: true,
            public_port: PUBLIC_PORT,
            postgres_url: None,
            durable: true,
            redis: true,
            time_scale: 1.0,
            seed: true,
            serve_command: None,
            log: "warn".to_owned(),
            otlp: None,
            settings: Vec::new(),
            detour: Detour::default(),
        }
    }
}
