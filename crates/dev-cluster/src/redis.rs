//! A private Redis on a free port of 127.0.0.1, with nothing kept on disk.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::binaries::on_path;
use crate::install::{Package, install};
use crate::keeper::{Signal, command, send_signal, spawn};
use crate::port::free_port;
use crate::scratch::Scratch;

const START_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(15);
const ATTEMPTS: usize = 3;

/// A running Redis. Stops when dropped, or when this process ends in any way.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    server: Option<Child>,
    scratch: Scratch,
    program: PathBuf,
}

impl Redis {
    /// Starts one, installing Redis if the machine has none. `None`, with the reason on stderr, when that fails:
    /// nothing of ours needs Redis to be correct.
    pub async fn start() -> Option<Self> {
        let started = tokio::task::spawn_blocking(Self::start_blocking).await.context("start Redis");
        match started.and_then(|result| result) {
            Ok(redis) => Some(redis),
            Err(error) => {
                eprintln!("going on without Redis: {error:#}");
                None
            }
        }
    }

    /// Starts one, for callers without a runtime.
    ///
    /// # Errors
    /// When there is none and none could be installed, or when it does not start.
    pub fn start_blocking() -> Result<Self> {
        if on_path("redis-server").is_none() {
            install(Package::Redis)?;
        }
        let program = on_path("redis-server").context("redis-server is not on the path")?;
        let scratch = Scratch::create().context("create a temporary directory")?;
        let mut redis = Self { port: 0, server: None, scratch, program };
        for attempt in 1.. {
            redis.port = free_port()?;
            match redis.launch() {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
        Ok(redis)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Ends it at once. A second call does nothing.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        send_signal(server.id(), Signal::Kill).context("kill Redis")?;
        server.wait().context("wait for Redis").map(drop)
    }

    /// Starts it again, empty, on the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    fn launch(&mut self) -> Result<()> {
        let mut redis = command(self.program.as_os_str(), None, Signal::Kill);
        redis.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        redis.args(["--appendonly", "no", "--daemonize", "no", "--dir"]).arg(self.scratch.path());
        redis.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(spawn(redis).context("start redis-server")?);
        let give_up = Instant::now() + START_TIMEOUT;
        while !answers(self.port) {
            let ended = self.server.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > give_up {
                self.stop()?;
                bail!("redis-server did not start on port {}", self.port);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("Redis on port {} could not be stopped: {error:#}", self.port);
        }
    }
}

fn answers(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let ping = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, POLL * 10)?;
        stream.set_read_timeout(Some(POLL * 20))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG\r\n")
    };
    ping().unwrap_or(false)
}
