//! Ports that stay free while their server is away for a moment.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

/// Below what systems hand out to outgoing connections. A port from there could be lost to one for hours while the
/// server that owns it restarts.
const RANGE: std::ops::Range<u16> = 15_000..32_000;
const ATTEMPTS: usize = 64;

/// A port of 127.0.0.1 that nobody listens on now, and that no outgoing connection will take.
///
/// # Errors
/// When there is none at all.
pub fn free_port() -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    if let Some(port) = (0..ATTEMPTS).map(|_| fastrand::u16(RANGE)).find(is_free) {
        return Ok(port);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr().context("read the free port")?.port())
}
