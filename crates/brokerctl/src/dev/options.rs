//! How a mesh shall be.

use std::path::PathBuf;

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
        }
    }
}
