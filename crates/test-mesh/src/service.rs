//! One running copy of one service, on ports of its own.

use service_kit::run::{Addresses, BootError, Listeners, Service, run_until};
use service_kit::settings::Settings;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};

/// A running service. It ends with this value.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    /// For users.
    pub public: Channel,
    /// For services.
    pub internal: Channel,
    stop: DropGuard,
    ended: JoinHandle<Result<(), BootError>>,
}

impl Running {
    /// Starts a service the way its process does. Calls are answered as soon as it serves.
    pub async fn start<S: Service>(settings: Settings) -> Self {
        let listeners = Listeners::local().await.unwrap();
        let addresses = listeners.addresses().unwrap();
        let stop = CancellationToken::new();
        let serving = stop.clone();
        let ended = tokio::spawn(async move {
            let ended = run_until::<S>(settings, listeners, serving).await;
            if let Err(error) = &ended {
                eprintln!("{} ended: {error} ({error:?})", S::NAME);
            }
            ended
        });
        let channel = |address| Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self {
            addresses,
            public: channel(addresses.public),
            internal: channel(addresses.internal),
            stop: stop.drop_guard(),
            ended,
        }
    }

    /// Ends it in order, and waits for that.
    pub async fn stop(self) {
        drop(self.stop);
        self.ended.await.unwrap().unwrap();
    }
}
