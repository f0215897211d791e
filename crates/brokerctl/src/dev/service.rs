//! The three services, as the mesh starts them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};
use clap::ValueEnum;
use dev_cluster::free_port;
use serde::{Deserialize, Serialize};
use service_kit::run::Listeners;
use service_kit::settings::Settings;
use tokio::net::TcpListener as AsyncListener;

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
pub enum MeshService {
    /// Orders, instruments, trades.
    #[value(name = "order-svc")]
    #[serde(rename = "order-svc")]
    Order,
    /// Accounts, journal, holds, customers.
    #[value(name = "asset-svc")]
    #[serde(rename = "asset-svc")]
    Asset,
    /// Sagas, and the commands that start them.
    #[value(name = "saga-orchestrator")]
    #[serde(rename = "saga-orchestrator")]
    Orchestrator,
}

impl MeshService {
    /// Each of them.
    pub const ALL: &[Self] = &[Self::Order, Self::Asset, Self::Orchestrator];

    /// What it calls itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order-svc",
            Self::Asset => "asset-svc",
            Self::Orchestrator => "saga-orchestrator",
        }
    }

    /// The name of its database in a private cluster.
    #[must_use]
    pub fn database(self) -> &'static str {
        match self {
            Self::Order => "order_svc",
            Self::Asset => "asset_svc",
            Self::Orchestrator => "saga_orchestrator",
        }
    }

    /// The services of its public listener.
    #[must_use]
    pub fn public_services(self) -> &'static [&'static str] {
        match self {
            Self::Order => &["brokerage.order.v1.OrderService", "brokerage.order.v1.EventService"],
            Self::Asset => &[
                "brokerage.asset.v1.AssetService",
                "brokerage.asset.v1.CustomerService",
                "brokerage.asset.v1.EventService",
            ],
            Self::Orchestrator => &["brokerage.trading.v1.TradingService", "brokerage.saga.v1.SagaService"],
        }
    }

    /// What environment variables that configure it start with.
    fn env_prefix(self) -> String {
        self.name().to_uppercase().replace('-', "_")
    }

    /// The first of its three fixed ports.
    fn first_port(self) -> u16 {
        match self {
            Self::Order => 50_061,
            Self::Asset => 50_071,
            Self::Orchestrator => 50_081,
        }
    }
}

/// Where one process of a service listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// gRPC for users.
    pub public: SocketAddr,
    /// gRPC for services.
    pub internal: SocketAddr,
    /// HTTP for metrics and probes.
    pub ops: SocketAddr,
}

/// The listeners behind [`Addresses`], bound before anything starts, so that a taken port is noticed early.
pub(super) struct Bound {
    pub(super) public: TcpListener,
    pub(super) internal: TcpListener,
    pub(super) ops: TcpListener,
}

impl Bound {
    /// On fixed ports, or on free ones, which stay free while the service restarts.
    pub(super) fn bind(service: MeshService, random: bool) -> Result<Self> {
        let first = service.first_port();
        let listen = |offset| bind(if random { free_port()? } else { first + offset });
        Ok(Self { public: listen(0)?, internal: listen(1)?, ops: listen(2)? })
    }

    /// For a service in this process; must be called inside the runtime that serves.
    pub(super) fn into_listeners(self) -> std::io::Result<Listeners> {
        Ok(Listeners {
            public: AsyncListener::from_std(self.public)?,
            internal: AsyncListener::from_std(self.internal)?,
            ops: AsyncListener::from_std(self.ops)?,
        })
    }

    pub(super) fn addresses(&self) -> Result<Addresses> {
        Ok(Addresses {
            public: self.public.local_addr()?,
            internal: self.internal.local_addr()?,
            ops: self.ops.local_addr()?,
        })
    }
}

/// A listener on this machine only, ready for an async runtime.
pub(super) fn bind(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
        format!("port {port} cannot be used: is another mesh running? try --random-ports")
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The settings that a process of the mesh differs in from the others.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) service: MeshService,
    pub(super) addresses: Addresses,
    pub(super) database_url: String,
    pub(super) redis_url: Option<String>,
    /// Comma-separated internal URIs.
    pub(super) order_peers: String,
    pub(super) asset_peers: String,
    pub(super) time_scale: f64,
    pub(super) log: String,
    pub(super) otlp: Option<String>,
    /// Settings of processes only.
    pub(super) more: Vec<(MeshService, &'static str, String)>,
}

impl Assignment {
    /// For a service in this process.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::dev();
        settings.database.url.clone_from(&self.database_url);
        settings.listen.public = self.addresses.public;
        settings.listen.internal = self.addresses.internal;
        settings.listen.ops = self.addresses.ops;
        settings.redis_url.clone_from(&self.redis_url);
        settings.peers.order.clone_from(&self.order_peers);
        settings.peers.asset.clone_from(&self.asset_peers);
        settings.time_scale = self.time_scale;
        settings.telemetry.log.clone_from(&self.log);
        settings.telemetry.otlp_endpoint.clone_from(&self.otlp);
        settings
    }

    /// The same for a service in a process of its own.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        let mut values = vec![
            ("PROFILE", "dev".to_owned()),
            ("DATABASE__URL", self.database_url.clone()),
            ("LISTEN__PUBLIC", self.addresses.public.to_string()),
            ("LISTEN__INTERNAL", self.addresses.internal.to_string()),
            ("LISTEN__OPS", self.addresses.ops.to_string()),
            ("PEERS__ORDER", self.order_peers.clone()),
            ("PEERS__ASSET", self.asset_peers.clone()),
            ("TIME_SCALE", self.time_scale.to_string()),
            ("TELEMETRY__LOG", self.log.clone()),
        ];
        values.extend(self.otlp.clone().map(|url| ("TELEMETRY__OTLP_ENDPOINT", url)));
        values.extend(self.redis_url.clone().map(|url| ("REDIS_URL", url)));
        values.extend(self.more.iter().map(|(_, key, value)| (*key, value.clone())));
        let prefix = self.service.env_prefix();
        values.into_iter().map(|(key, value)| (format!("{prefix}__{key}"), value)).collect()
    }
}
