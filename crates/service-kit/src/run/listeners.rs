//! The three listeners of a service, bound before anything else starts.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::BootError;
use crate::settings::Settings;

/// Public gRPC, internal gRPC and ops HTTP.
#[derive(Debug)]
pub struct Listeners {
    /// For users.
    pub public: TcpListener,
    /// For services.
    pub internal: TcpListener,
    /// For probes and metrics.
    pub ops: TcpListener,
}

/// Where a service listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// For users.
    pub public: SocketAddr,
    /// For services.
    pub internal: SocketAddr,
    /// For probes and metrics.
    pub ops: SocketAddr,
}

impl Listeners {
    /// Binds what the settings say.
    ///
    /// # Errors
    /// A port that cannot be had.
    pub async fn bind(settings: &Settings) -> Result<Self, BootError> {
        let listen = &settings.listen;
        Self::at(Addresses { public: listen.public, internal: listen.internal, ops: listen.ops }).await
    }

    /// Binds free ports of this machine, for tests and meshes in one process.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn local() -> Result<Self, BootError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::at(Addresses { public: any, internal: any, ops: any }).await
    }

    /// Binds these addresses; a mesh that restarts a service uses it to come back in the same place.
    ///
    /// # Errors
    /// A port that cannot be had.
    pub async fn at(addresses: Addresses) -> Result<Self, BootError> {
        Ok(Self {
            public: listen(addresses.public).await?,
            internal: listen(addresses.internal).await?,
            ops: listen(addresses.ops).await?,
        })
    }

    /// Where they are.
    ///
    /// # Errors
    /// The system does not say.
    pub fn addresses(&self) -> Result<Addresses, BootError> {
        Ok(Addresses {
            public: self.public.local_addr()?,
            internal: self.internal.local_addr()?,
            ops: self.ops.local_addr()?,
        })
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BootError> {
    TcpListener::bind(address).await.map_err(|source| BootError::Listen { address, source })
}
