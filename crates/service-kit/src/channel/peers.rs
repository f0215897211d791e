//! The processes of one service, as their callers see them: who there is, and whom to ask next.
//!
//! Addresses stay as they are configured. Names are looked up again every few seconds, and at once when a process fails,
//! so calls follow a headless service as its replicas come and go. A process whose connection fails gets no calls until
//! it accepts connections again; one that does not answer in time gets few for a while. If nobody is left, everybody is
//! asked: whether a call is worth it is the caller's to decide, and a refused connection is a quick answer.
//!
//! It never repeats a call.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tonic::body::Body;
use tonic::transport::{Channel, Error};
use tower::{Service, ServiceExt};

use super::{ChannelError, endpoint};

#[cfg(test)]
mod tests;

/// How long a connection may take that only tries whether somebody is there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Who does not answer is asked last for so long.
const DOUBT: Duration = Duration::from_secs(1);
/// A call that was given up earlier says nothing about the process.
const SILENCE_MIN: Duration = Duration::from_millis(20);
/// The port of a URI that names none.
const HTTP_PORT: u16 = 80;

/// The pending answer to a call.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Error>> + Send>>;

/// Finds the addresses behind a name.
pub(super) trait Resolve: Send + Sync + 'static {
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The system's resolver.
pub(super) struct Dns;

impl Resolve for Dns {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// How often things are looked at.
#[derive(Clone, Copy)]
pub(super) struct Rhythm {
    /// Names, while all is well.
    pub resolve: Duration,
    /// Names and processes, while one has failed.
    pub probe: Duration,
}

impl Rhythm {
    pub const USUAL: Self = Self { resolve: Duration::from_secs(5), probe: Duration::from_millis(250) };
}

/// One process.
struct Member {
    channel: Channel,
    /// Where to try whether it is there; unknown for one that is only ever reached by its name.
    address: Option<SocketAddr>,
    is_down: AtomicBool,
    calls: AtomicUsize,
    /// Milliseconds of [`Shared::since`].
    doubted_until: AtomicU64,
}

struct Shared {
    members: watch::Sender<Arc<[Arc<Member>]>>,
    news: Arc<Notify>,
    since: Instant,
}

/// All processes of one service. Clones share them.
#[derive(Clone)]
pub(super) struct Peers(Arc<Shared>);

/// A URI whose host is a name.
struct Name {
    uri: String,
    host: String,
    port: u16,
}

impl Peers {
    /// Who is behind these URIs, now and later. Must be called inside a runtime.
    pub fn new(uris: &str, resolver: impl Resolve, rhythm: Rhythm) -> Result<Self, ChannelError> {
        let (mut fixed, mut names) = (Vec::new(), Vec::new());
        for uri in uris.split(',').map(str::trim).filter(|uri| !uri.is_empty()) {
            let parsed = endpoint(uri)?;
            match named(uri, parsed.uri()) {
                Some(name) => names.push(name),
                None => fixed.push(Arc::new(Member::new(parsed.connect_lazy(), address(parsed.uri())))),
            }
        }
        if fixed.is_empty() && names.is_empty() {
            return Err(ChannelError::Empty(uris.to_owned()));
        }
        let (members, _) = watch::channel(fixed.clone().into());
        let news = Arc::new(Notify::new());
        let shared = Arc::new(Shared { members, news: Arc::clone(&news), since: Instant::now() });
        let keeper = Keeper { shared: Arc::downgrade(&shared), news, fixed, names, resolver, rhythm };
        tokio::spawn(keeper.run());
        Ok(Self(shared))
    }

    /// Passes a call to one of them, once there is one.
    pub fn call(&self, request: http::Request<Body>) -> Answer {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let member = shared.choose().await;
            let mut call = Call::begin(&shared, &member);
            let answer = match member.channel.clone().ready().await {
                Ok(channel) => channel.call(request).await,
                Err(error) => Err(error),
            };
            call.is_answered = true;
            let has_failed = answer.is_err();
            if has_failed != member.is_down.swap(has_failed, Ordering::Relaxed) && has_failed {
                shared.news.notify_one();
            }
            answer
        })
    }
}

impl Shared {
    /// Whom to ask; waits until there is somebody.
    async fn choose(&self) -> Arc<Member> {
        let at_once = self.pick(&self.members.borrow());
        if let Some(member) = at_once {
            return member;
        }
        let mut members = self.members.subscribe();
        loop {
            let chosen = self.pick(&members.borrow_and_update());
            if let Some(member) = chosen {
                return member;
            }
            // Never an error: we hold the sender.
            drop(members.changed().await);
        }
    }

    /// The less busy of two of the best.
    fn pick(&self, members: &[Arc<Member>]) -> Option<Arc<Member>> {
        if let [only] = members {
            return Some(Arc::clone(only));
        }
        let now = self.now();
        let rank = |member: &Member| {
            let is_doubted = member.doubted_until.load(Ordering::Relaxed) > now;
            (member.is_down.load(Ordering::Relaxed), is_doubted)
        };
        // Once each: ranks change under us.
        let ranked: Vec<_> = members.iter().map(|member| (rank(member), member)).collect();
        let best = ranked.iter().map(|(rank, _)| *rank).min()?;
        let best: Vec<_> = ranked.into_iter().filter(|(rank, _)| *rank == best).collect();
        let any = || best.get(fastrand::usize(..best.len())).map(|(_, member)| *member);
        let (one, other) = (any()?, any()?);
        let load = |member: &Member| member.calls.load(Ordering::Relaxed);
        Some(Arc::clone(if load(other) < load(one) { other } else { one }))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The keeper rests; it shall notice that it has nobody left.
        self.news.notify_one();
    }
}

impl Member {
    fn new(channel: Channel, address: Option<SocketAddr>) -> Self {
        let (is_down, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { channel, address, is_down, calls, doubted_until: AtomicU64::new(0) }
    }

    /// Tries whether it accepts connections.
    async fn probe(&self) {
        let Some(address) = self.address else { return self.is_down.store(false, Ordering::Relaxed) };
        let connected = tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await;
        self.is_down.store(!matches!(connected, Ok(Ok(_))), Ordering::Relaxed);
    }
}

/// A call that is under way. Dropped without an answer, it puts its process in doubt.
struct Call {
    shared: Arc<Shared>,
    member: Arc<Member>,
    begun: Instant,
    is_answered: bool,
}

impl Call {
    fn begin(shared: &Arc<Shared>, member: &Arc<Member>) -> Self {
        member.calls.fetch_add(1, Ordering::Relaxed);
        let (shared, member) = (Arc::clone(shared), Arc::clone(member));
        Self { shared, member, begun: Instant::now(), is_answered: false }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.member.calls.fetch_sub(1, Ordering::Relaxed);
        let until = if self.is_answered {
            0
        } else if self.begun.elapsed() >= SILENCE_MIN {
            self.shared.now().saturating_add(u64::try_from(DOUBT.as_millis()).unwrap_or_default())
        } else {
            return;
        };
        self.member.doubted_until.store(until, Ordering::Relaxed);
    }
}

/// Keeps the list of processes right, until nobody uses it.
struct Keeper<R> {
    shared: Weak<Shared>,
    news: Arc<Notify>,
    fixed: Vec<Arc<Member>>,
    names: Vec<Name>,
    resolver: R,
    rhythm: Rhythm,
}

impl<R: Resolve> Keeper<R> {
    async fn run(self) {
        let mut known: HashMap<(usize, SocketAddr), Arc<Member>> = HashMap::new();
        while let Some(shared) = self.shared.upgrade() {
            for (index, name) in self.names.iter().enumerate() {
                self.follow(index, name, &mut known).await;
            }
            let members: Vec<_> = self.fixed.iter().chain(known.values()).map(Arc::clone).collect();
            let down = || members.iter().filter(|member| member.is_down.load(Ordering::Relaxed));
            join_all(down().map(|member| member.probe())).await;
            let is_well = !members.is_empty() && down().next().is_none();
            shared.members.send_replace(members.into());
            drop(shared);
            if is_well {
                let pause = if self.names.is_empty() { Duration::MAX } else { self.rhythm.resolve };
                drop(tokio::time::timeout(pause, self.news.notified()).await);
            } else {
                tokio::time::sleep(self.rhythm.probe).await;
            }
        }
    }

    /// Looks a name up. What cannot be looked up stays as it was: yesterday's addresses are better than none.
    async fn follow(&self, index: usize, name: &Name, known: &mut HashMap<(usize, SocketAddr), Arc<Member>>) {
        let found = match self.resolver.resolve(&name.host, name.port).await {
            Ok(found) if !found.is_empty() => found,
            Ok(_) => return tracing::debug!(host = name.host, "{} has no address", name.host),
            Err(error) => return tracing::debug!(%error, host = name.host, "{} is not found", name.host),
        };
        known.retain(|(of, address), _| *of != index || found.contains(address));
        let mut new = Vec::new();
        for address in found.into_iter().filter(|address| !known.contains_key(&(index, *address))) {
            if let Some(channel) = channel_to(address, &name.uri) {
                tracing::info!(host = name.host, %address, "{} is at {address}", name.host);
                new.push((address, Arc::new(Member::new(channel, Some(address)))));
            }
        }
        // An address may be listed before somebody is there.
        join_all(new.iter().map(|(_, member)| member.probe())).await;
        known.extend(new.into_iter().map(|(address, member)| ((index, address), member)));
    }
}

/// To this address, under the name that the service is known by.
fn channel_to(address: SocketAddr, uri: &str) -> Option<Channel> {
    let at = endpoint(&format!("http://{address}")).ok()?;
    Some(at.origin(uri.parse().ok()?).connect_lazy())
}

fn host(uri: &http::Uri) -> Option<&str> {
    uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']'))
}

fn address(uri: &http::Uri) -> Option<SocketAddr> {
    let ip: IpAddr = host(uri)?.parse().ok()?;
    Some(SocketAddr::new(ip, uri.port_u16().unwrap_or(HTTP_PORT)))
}

/// Nothing for an address, and for what is encrypted: certificates are for names, so that is reached by its name.
fn named(text: &str, uri: &http::Uri) -> Option<Name> {
    if address(uri).is_some() || uri.scheme_str() != Some("http") {
        return None;
    }
    let (host, port) = (host(uri)?.to_owned(), uri.port_u16().unwrap_or(HTTP_PORT));
    Some(Name { uri: text.to_owned(), host, port })
}
