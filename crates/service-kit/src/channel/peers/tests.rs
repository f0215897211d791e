//! Replicas on real sockets, behind a name whose addresses the test changes.

use std::sync::{Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::*;

const QUICK: Rhythm = Rhythm { resolve: Duration::from_millis(20), probe: Duration::from_millis(10) };
/// Longer than any answer takes here.
const PATIENCE: Duration = Duration::from_secs(20);
/// Enough that a replica that takes part is asked: with two, one in 2^40 runs would miss it.
const CALLS: usize = 40;

/// What the name means now.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Vec<SocketAddr>>>);

impl Fake {
    fn set(&self, replicas: &[&Replica]) {
        let addresses = replicas.iter().map(|replica| replica.address).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

impl Resolve for Fake {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!((host, port), ("asset-svc", 50052));
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// A process that answers health checks and counts them. It has a runtime of its own, with which everything of it dies.
struct Replica {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    process: Option<Runtime>,
}

impl Replica {
    async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    async fn at(address: SocketAddr) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let counted = move |request| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(request)
        };
        Self::serving(address, asked, |listener| async move {
            let health = HealthService::from_health_reporter(HealthReporter::new());
            let server = Server::builder().add_service(HealthServer::with_interceptor(health, counted));
            server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        })
        .await
    }

    /// Accepts connections and says nothing.
    async fn mute() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::serving(any, Arc::default(), |listener| async move {
            let mut kept = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                kept.push(connection);
            }
        })
        .await
    }

    async fn serving<F: Future<Output = ()> + Send + 'static>(
        address: SocketAddr,
        asked: Arc<AtomicUsize>,
        serve: impl FnOnce(TcpListener) -> F,
    ) -> Self {
        let process = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listening = process.spawn(TcpListener::bind(address));
        let listener = listening.await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        process.spawn(serve(listener));
        Self { address, asked, process: Some(process) }
    }

    /// How often it was asked since the last time.
    fn count(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }
}

impl Service<http::Request<Body>> for Peers {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Peers::call(self, request)
    }
}

fn peers(resolver: &Fake) -> Peers {
    Peers::new("http://asset-svc:50052", resolver.clone(), QUICK).unwrap()
}

/// Makes one call; says whether it was answered in time.
async fn ask(peers: &Peers, patience: Duration) -> bool {
    let mut client = HealthClient::new(peers.clone());
    let request = HealthCheckRequest::default();
    matches!(tokio::time::timeout(patience, client.check(request)).await, Ok(Ok(_)))
}

/// How many of some calls were answered.
async fn answered(peers: &Peers, patience: Duration) -> usize {
    let mut answered = 0;
    for _ in 0..CALLS {
        answered += usize::from(ask(peers, patience).await);
    }
    answered
}

/// Asks until this replica has been asked.
async fn until_asked(peers: &Peers, replica: &Replica) {
    while replica.count() == 0 {
        ask(peers, PATIENCE).await;
    }
}

#[tokio::test]
async fn calls_go_to_the_addresses_that_the_name_has_now() {
    let (one, two, three) = (Replica::start().await, Replica::start().await, Replica::start().await);
    let resolver = Fake::default();
    resolver.set(&[&one, &two]);
    let peers = peers(&resolver);
    assert_eq!(answered(&peers, PATIENCE).await, CALLS);
    assert!(one.count() > 0 && two.count() > 0 && three.count() == 0);
    resolver.set(&[&two, &three]);
    until_asked(&peers, &three).await;
    one.count();
    assert_eq!(answered(&peers, PATIENCE).await, CALLS);
    assert!(one.count() == 0 && two.count() > 0 && three.count() > 0);
}

#[tokio::test]
async fn killing_a_replica_moves_its_calls_and_starting_it_brings_them_back() {
    let (one, two) = (Replica::start().await, Replica::start().await);
    let resolver = Fake::default();
    resolver.set(&[&one, &two]);
    let peers = peers(&resolver);
    until_asked(&peers, &one).await;
    until_asked(&peers, &two).await;
    let address = one.address;
    drop(one);
    // The name still leads to it. At most the call that finds out is lost.
    let lost = CALLS - answered(&peers, PATIENCE).await;
    assert!(lost <= 1, "{lost} calls were lost");
    two.count();
    assert_eq!(answered(&peers, PATIENCE).await, CALLS);
    assert_eq!(two.count(), CALLS);
    let again = Replica::at(address).await;
    until_asked(&peers, &again).await;
    assert_eq!(answered(&peers, PATIENCE).await, CALLS);
}

#[tokio::test]
async fn a_replica_that_says_nothing_gets_few_calls() {
    let (mute, good) = (Replica::mute().await, Replica::start().await);
    let resolver = Fake::default();
    resolver.set(&[&mute, &good]);
    let peers = peers(&resolver);
    let lost = CALLS - answered(&peers, Duration::from_millis(300)).await;
    assert!((1..CALLS / 4).contains(&lost), "{lost} calls were lost");
    assert!(good.count() > CALLS / 2);
}

#[tokio::test]
async fn a_call_waits_until_the_name_has_an_address() {
    let resolver = Fake::default();
    let peers = peers(&resolver);
    let waiting = tokio::spawn(async move { ask(&peers, PATIENCE).await });
    let one = Replica::start().await;
    resolver.set(&[&one]);
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn a_name_that_is_lost_for_a_while_keeps_its_addresses() {
    let one = Replica::start().await;
    let resolver = Fake::default();
    resolver.set(&[&one]);
    let peers = peers(&resolver);
    until_asked(&peers, &one).await;
    resolver.set(&[]);
    assert_eq!(answered(&peers, PATIENCE).await, CALLS);
}

#[test]
fn addresses_and_what_is_encrypted_are_not_looked_up() {
    for (uri, name) in [
        ("http://asset-svc:50052", Some(("asset-svc", 50052))),
        ("http://asset-svc", Some(("asset-svc", 80))),
        ("http://127.0.0.1:50052", None),
        ("http://[::1]:50052", None),
        ("https://asset-svc:50052", None),
    ] {
        let named = named(uri, &uri.parse().unwrap());
        assert_eq!(named.as_ref().map(|name| (name.host.as_str(), name.port)), name, "{uri}");
    }
    assert_eq!(
        address(&"http://[::1]:1".parse().unwrap()),
        Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1)))
    );
}
