//! A service that is asked to end does, whatever its database does.

use std::time::Duration;

use service_kit::run::{BootError, Kit};
use service_kit::settings::Settings;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::small::{Running, start};

/// More than a drain may take, and much less than for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database that takes connections and says nothing.
struct Mute {
    listener: TcpListener,
    held: Vec<TcpStream>,
}

impl Mute {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), held: Vec::new() }
    }

    fn settings(&self, migrate: bool) -> Settings {
        let mut settings = Settings::dev();
        settings.database.url = format!("postgres://postgres@{}/mute", self.listener.local_addr().unwrap());
        settings.database.migrate_on_start = migrate;
        settings
    }

    /// Returns when somebody has connected and said something.
    async fn is_asked(&mut self) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        assert!(stream.read_u8().await.is_ok());
        self.held.push(stream);
    }
}

async fn ends(running: Running) -> Result<(), BootError> {
    running.shutdown.cancel();
    tokio::time::timeout(PATIENCE, running.ended).await.expect("it outlives its end").unwrap()
}

#[tokio::test]
async fn a_service_that_waits_for_its_schema_still_ends() {
    let mut mute = Mute::start().await;
    let running = start(mute.settings(true)).await;
    mute.is_asked().await;
    ends(running).await.unwrap();
}

#[tokio::test]
async fn a_service_whose_database_is_mute_lives_and_still_ends() {
    let mut mute = Mute::start().await;
    let running = start(mute.settings(false)).await;
    mute.is_asked().await;
    let address = running.addresses.public;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let request = HealthCheckRequest { service: "liveness".to_owned() };
    HealthClient::new(channel.connect_lazy()).check(request).await.unwrap();
    ends(running).await.unwrap();
}

#[tokio::test]
async fn a_read_of_a_mute_database_ends_without_an_answer() {
    let mut mute = Mute::start().await;
    let kit = Kit::new(mute.settings(false)).unwrap();
    let reads = kit.reads.clone();
    let reading = tokio::spawn(async move {
        reads.run("ask a mute database", |pool| async move { Ok(pool.acquire().await.map(drop)?) }).await
    });
    mute.is_asked().await;
    assert!(reading.await.unwrap().is_err(), "bounded by the wait for a connection");
}
