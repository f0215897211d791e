//! Bytes between two sockets: held, cut, or cut at a word.
//!
//! What is held is not lost: it arrives once the wire is open again, as with TCP after a partition, unless somebody
//! has closed the connection meanwhile. New connections are accepted even then, and lead nowhere until it ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CHUNK: usize = 16 * 1024;

/// Which directions are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// From the caller to the called.
    pub toward: bool,
    /// From the called to the caller.
    pub back: bool,
}

impl Flow {
    /// Nothing is held.
    pub const OPEN: Self = Self { toward: true, back: true };
    /// Nothing passes.
    pub const SHUT: Self = Self { toward: false, back: false };
    /// Requests are lost.
    pub const DEAF: Self = Self { toward: false, back: true };
    /// Answers are lost.
    pub const DUMB: Self = Self { toward: true, back: false };
}

/// A wire. Clones are the same one. Must be made inside a runtime.
#[derive(Clone, Debug)]
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: Arc<Accepting>,
}

#[derive(Debug)]
struct Accepting(JoinHandle<()>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    flow: watch::Sender<Flow>,
    /// Connections of an older generation are cut.
    generation: watch::Sender<u64>,
    /// Connections of an older age lead nowhere.
    age: watch::Sender<u64>,
    /// The connection that sends this word is cut before the answer arrives. Once.
    word: Mutex<Option<Vec<u8>>>,
    /// How many chunks were held, and connections cut.
    touched: AtomicU64,
}

impl Wire {
    /// A wire to `target`, open.
    ///
    /// # Errors
    /// No port can be had.
    pub fn to(target: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a wire")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared {
            target,
            flow: watch::Sender::new(Flow::OPEN),
            generation: watch::Sender::new(0),
            age: watch::Sender::new(0),
            word: Mutex::default(),
            touched: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _accepting: Arc::new(Accepting(accepting)) })
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds directions, or opens them again.
    pub fn set(&self, flow: Flow) {
        self.shared.flow.send_replace(flow);
    }

    /// Cuts every connection, now.
    pub fn cut(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Every connection leads nowhere from now on, and its caller is not told: half open. New ones work.
    pub fn freeze(&self) {
        self.shared.age.send_modify(|age| *age += 1);
    }

    /// The next connection that sends `word` is cut as soon as it is answered, before the answer arrives.
    pub fn cut_at(&self, word: &str) {
        *self.shared.word() = Some(word.as_bytes().to_vec());
    }

    /// Whether the word is still awaited.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.shared.word().is_some()
    }

    /// How often something was held or cut so far.
    #[must_use]
    pub fn touched(&self) -> u64 {
        self.shared.touched.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn word(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.touched.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether this chunk has the word; then it is no longer awaited.
    fn has_word(&self, chunk: &[u8]) -> bool {
        let mut word = self.word();
        let found = word.as_ref().is_some_and(|word| chunk.windows(word.len()).any(|part| part == word));
        if found {
            *word = None;
        }
        found
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(connection(near, Arc::clone(&shared)));
    }
}

async fn connection(near: TcpStream, shared: Arc<Shared>) {
    let mut generation = shared.generation.subscribe();
    tokio::select! {
        () = carry(near, &shared) => {}
        _ = generation.changed() => shared.touch(),
    }
}

async fn carry(near: TcpStream, shared: &Shared) {
    let (mut flow, mut age) = (shared.flow.subscribe(), shared.age.subscribe());
    // A connection that is begun during a partition gets nowhere until it ends.
    if *flow.borrow() != Flow::OPEN {
        shared.touch();
        let _ = flow.wait_for(|flow| *flow == Flow::OPEN).await;
    }
    let Ok(far) = TcpStream::connect(shared.target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true), near.set_zero_linger(), far.set_zero_linger());
    let ((mut near_reads, mut near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
    let doomed = watch::Sender::new(false);
    let is_half_open = {
        let toward = pump(&mut near_reads, far_writes, shared, Side::Toward(&doomed));
        let back = pump(far_reads, &mut near_writes, shared, Side::Back(&doomed));
        // One side has closed, or must not hear the other: then it is over.
        tokio::select! {
            () = toward => false,
            () = back => false,
            _ = age.changed() => true,
        }
    };
    if is_half_open {
        shared.touch();
        // The far side is closed by now. The near side goes on talking, to nobody, until it has had enough.
        let _ = tokio::io::copy(&mut near_reads, &mut tokio::io::sink()).await;
    }
}

enum Side<'a> {
    Toward(&'a watch::Sender<bool>),
    Back(&'a watch::Sender<bool>),
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Shared,
    side: Side<'_>,
) {
    let mut flow = shared.flow.subscribe();
    let mut chunk = vec![0; CHUNK];
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        let is_open = |flow: &Flow| match side {
            Side::Toward(_) => flow.toward,
            Side::Back(_) => flow.back,
        };
        if !is_open(&flow.borrow()) {
            shared.touch();
            if flow.wait_for(is_open).await.is_err() {
                return;
            }
        }
        match side {
            Side::Toward(doomed) if shared.has_word(&chunk[..read]) => {
                doomed.send_replace(true);
            }
            Side::Back(doomed) if *doomed.borrow() => {
                shared.touch();
                return;
            }
            Side::Toward(_) | Side::Back(_) => {}
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    tokio::io::copy(&mut reads, &mut writes).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn what_is_held_arrives_later_and_what_is_cut_never() {
        let wire = Wire::to(echo().await).unwrap();
        let mut caller = TcpStream::connect(wire.address()).await.unwrap();
        let mut answer = [0; 3];
        caller.write_all(b"one").await.unwrap();
        caller.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, wire.touched()), (b"one", 0));
        wire.set(Flow::DUMB);
        caller.write_all(b"two").await.unwrap();
        while wire.touched() == 0 {
            tokio::task::yield_now().await;
        }
        wire.set(Flow::OPEN);
        caller.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"two");
        wire.cut_at("end");
        assert!(wire.is_waiting());
        caller.write_all(b"end").await.unwrap();
        assert!(caller.read_exact(&mut answer).await.is_err());
        assert_eq!((wire.touched(), wire.is_waiting()), (2, false));
    }
}
