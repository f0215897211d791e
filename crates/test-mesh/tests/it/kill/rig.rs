//! The mesh as processes that can be killed, and what must be true of it afterwards.

use std::path::PathBuf;

use brokerctl::api::Api;
use brokerctl::audit::{Urls, verify};
use brokerctl::dev::{ADMIN_TOKEN, Mesh, MeshOptions, MeshService};
use brokerctl::market::Market;
use dev_cluster::TEST_POSTGRES_URL;
use sqlx::{Connection, PgConnection};
use test_mesh::until;
use tokio::sync::{Mutex, MutexGuard};

/// A mesh of processes fills this machine; two of them would only wait for each other.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// A running mesh.
pub struct Rig {
    /// Everything public, as an administrator.
    pub api: Api,
    mesh: Mesh,
    sagas: Mutex<PgConnection>,
    _machine: MutexGuard<'static, ()>,
}

impl Rig {
    /// So many processes of each service, with the demo customers.
    pub async fn start(replicas: usize) -> Self {
        let machine = MACHINE.lock().await;
        let options = MeshOptions {
            replicas: Some(replicas),
            postgres_url: std::env::var(TEST_POSTGRES_URL).ok(),
            durable: false,
            serve_command: Some(PathBuf::from(env!("CARGO_BIN_EXE_mesh-service"))),
            log: "error".to_owned(),
            ..MeshOptions::default()
        };
        let mesh = Mesh::start(options).await.unwrap();
        let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN).unwrap();
        let sagas = Mutex::new(connect(&mesh.database_urls().orchestrator).await);
        Self { api, mesh, sagas, _machine: machine }
    }

    /// A new customer with so much TRY.
    pub async fn customer_with(&self, customer_id: &str, amount: &str) {
        let mut market = Market::new(self.api.clone(), customer_id);
        market.customer(customer_id, "Somebody").await.unwrap();
        market.deposit(customer_id, "TRY", amount).await.unwrap();
    }

    /// Kills a service without warning if that catches at least so many sagas halfway; gives how many. It is started
    /// again at once.
    pub async fn kill_with(&self, service: MeshService, halfway: i64) -> Option<i64> {
        // Frozen for as long as it takes to look, so that what is seen is what it dies with.
        self.mesh.pause(service, 0).unwrap();
        let caught = self.active_sagas().await;
        if caught < halfway {
            self.mesh.resume(service, 0).unwrap();
            return None;
        }
        self.mesh.kill9(service, 0).unwrap();
        Some(caught)
    }

    /// How often a service was started.
    pub fn starts(&self, service: MeshService) -> u32 {
        self.mesh.starts(service, 0).unwrap()
    }

    /// Waits until a service that was killed serves again.
    pub async fn wait_until_up(&self, service: MeshService) {
        self.mesh.wait_until_up(service, 0).await.unwrap();
    }

    /// All sagas end, and every lira is where the orders say.
    pub async fn settles(&self) {
        until("every saga ends", async || (self.active_sagas().await == 0).then_some(())).await;
        let databases = self.mesh.database_urls();
        let urls = Urls {
            order: databases.order.clone(),
            asset: databases.asset.clone(),
            orchestrator: databases.orchestrator.clone(),
        };
        let report = verify(&urls).await.unwrap();
        assert!(report.is_clean(), "the audit found something:\n{}", report.to_table());
    }

    /// Every order's (id, label, status), from the table.
    pub async fn orders(&self) -> Vec<(String, String, String)> {
        let query = "SELECT order_id::text, client_order_id, status FROM orders";
        let mut connection = connect(&self.mesh.database_urls().order).await;
        sqlx::query_as(query).fetch_all(&mut connection).await.unwrap()
    }

    /// Stops everything in order.
    pub async fn stop(self) {
        self.mesh.stop().await.unwrap();
    }

    async fn active_sagas(&self) -> i64 {
        let query = "SELECT count(*) FROM sagas WHERE ended_at IS NULL";
        sqlx::query_scalar(query).fetch_one(&mut *self.sagas.lock().await).await.unwrap()
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}
