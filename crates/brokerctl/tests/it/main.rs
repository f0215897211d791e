//! Runs real meshes: services on threads, services as processes, and the program itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall stop")]

mod audit;
mod edge;
mod lifecycle;
mod program;
mod replay;

use brokerctl::dev::{Mesh, MeshOptions};

/// Databases of its own on the test runner's server, or on a private one; no fsync, no Redis.
fn options() -> MeshOptions {
    MeshOptions {
        postgres_url: std::env::var(dev_cluster::TEST_POSTGRES_URL).ok(),
        durable: false,
        redis: false,
        ..MeshOptions::default()
    }
}

async fn mesh() -> Mesh {
    Mesh::start(options()).await.unwrap()
}

/// Services as processes of the program under test.
fn replicas(count: usize) -> MeshOptions {
    MeshOptions {
        replicas: Some(count),
        serve_command: Some(env!("CARGO_BIN_EXE_brokerctl").into()),
        ..options()
    }
}
