//! A Redis that is away, slow, forgetful or mad, as functions that see it happen.
//!
//! Nothing here uses a Redis library: the faults are below what a library would let through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What services announce changes on.
const CHANNEL: &str = "brokerage:sagas";
/// Longer than any answer that is looked at here.
const ANSWER_MAX: usize = 64 * 1024;

/// Between two of many faults: they shall not take all of the machine.
const BREATH: Duration = Duration::from_millis(2);

/// Sends one command as one line, and reads what comes back first.
///
/// # Errors
/// Nobody listens there, or nothing comes back.
pub async fn command(redis: SocketAddr, line: &str) -> Result<String> {
    let mut stream = TcpStream::connect(redis).await.context("connect to Redis")?;
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    let mut answer = vec![0; ANSWER_MAX];
    let length = stream.read(&mut answer).await.context("read Redis's answer")?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// A fault that goes on until it is dropped, and counts how often somebody met it.
#[derive(Debug)]
pub struct Ongoing {
    met: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Ongoing {
    fn start<Fut: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Arc<AtomicU64>) -> Fut) -> Self {
        let met = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(work(Arc::clone(&met))).abort_handle();
        Self { met, task }
    }

    /// How often somebody met it so far.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forgets everything, again and again.
#[must_use]
pub fn flushing(redis: SocketAddr) -> Ongoing {
    Ongoing::start(async move |met| {
        loop {
            if command(redis, "FLUSHALL").await.is_ok() {
                met.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(BREATH).await;
        }
    })
}

/// Puts things that are no locks where locks are, things that do not fit their keys' type among them, and announces
/// changes of nothing.
#[must_use]
pub fn scribbling(redis: SocketAddr) -> Ongoing {
    Ongoing::start(async move |met| {
        loop {
            if let Ok(keys) = command(redis, "KEYS brokerage:order:*").await {
                for (at, key) in keys.lines().filter(|line| line.starts_with("brokerage:")).enumerate() {
                    let line = if at % 2 == 0 {
                        format!("SET {key} \"\\x00\\xffnonsense\"")
                    } else {
                        format!(
                            "EVAL \"redis.call('DEL', KEYS[1]) return redis.call('RPUSH', KEYS[1], 1)\" 1 {key}"
                        )
                    };
                    if command(redis, &line).await.is_ok() {
                        met.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            for nonsense in ["\"\\x00\\xff\"", "x", "00000000-0000-0000-0000-000000000000"] {
                if command(redis, &format!("PUBLISH {CHANNEL} {nonsense}")).await.is_ok() {
                    met.fetch_add(1, Ordering::Relaxed);
                }
            }
            tokio::time::sleep(BREATH).await;
        }
    })
}

/// What stands where Redis was.
#[derive(Clone, Copy, Debug)]
pub enum Impostor {
    /// Accepts, and never says anything.
    Silent,
    /// Answers everything with bytes that no Redis would send.
    Babbling,
    /// Answers everything with an error.
    Refusing,
}

/// Listens where Redis was.
///
/// # Errors
/// The port is taken.
pub async fn impostor(at: SocketAddr, kind: Impostor) -> Result<Ongoing> {
    let listener = TcpListener::bind(at).await.context("take Redis's place")?;
    Ok(Ongoing::start(async move |met| {
        let mut talks = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            met.fetch_add(1, Ordering::Relaxed);
            talks.spawn(talk(stream, kind));
        }
    }))
}

async fn talk(mut stream: TcpStream, kind: Impostor) {
    let mut heard = [0; 1_024];
    while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {
        let answer: &[u8] = match kind {
            Impostor::Silent => continue,
            Impostor::Babbling => b"$-7\r\n*99999999\r\n:nan\r\n\x00\xff\xfe%!\r\n",
            Impostor::Refusing => b"-LOADING nothing works here\r\n",
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
