//! Whether every process of a mesh says that it is ready.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use brokerctl::dev::MeshService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::wait::until;
use crate::world::World;

/// A process that does not answer within this is not ready.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Waits until every process is ready; how long that took.
///
/// # Errors
/// One of them does not become ready.
pub async fn all(world: &World) -> Result<Duration> {
    let begun = Instant::now();
    for service in MeshService::ALL {
        for addresses in world.mesh.addresses(*service) {
            let what = format!("a process of {} is ready", service.name());
            until(&what, async || Ok(is_ready(addresses.ops).await.then_some(()))).await?;
        }
    }
    Ok(begun.elapsed())
}

/// Asks one process, by the address of its ops listener.
pub async fn is_ready(ops: SocketAddr) -> bool {
    matches!(timeout(ANSWER_MAX, get(ops, "/readyz")).await, Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200"))
}

/// Reads one page of an ops listener.
///
/// # Errors
/// It cannot be reached.
pub async fn get(ops: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(ops).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {ops}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
