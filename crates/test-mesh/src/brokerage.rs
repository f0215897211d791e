//! Three services with a database each, in this process.

use asset_svc::AssetService;
use dev_cluster::{TestDatabase, test_database};
use order_svc::OrderService;
use saga_orchestrator::Orchestrator;
use service_kit::database::migrator;
use service_kit::run::Service;
use service_kit::settings::Settings;
use sqlx::{Connection, PgConnection};
use tonic::transport::Channel;

use crate::identity::Identity;
use crate::market;
use crate::person::Person;
use crate::service::Running;

/// A machine that builds and tests at the same time is slow, and a saga that runs out of time is given up: rightly,
/// but no test here is about that.
const UNHURRIED: f64 = 4.0;

/// How a brokerage starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many orchestrators share their database.
    pub orchestrators: usize,
    /// Scales the protocol's times.
    pub time_scale: f64,
    /// Where traces and metrics go, if anywhere.
    pub otlp_endpoint: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { orchestrators: 1, time_scale: UNHURRIED, otlp_endpoint: None }
    }
}

/// A running brokerage. Everything ends with this value.
pub struct Brokerage {
    /// order-svc.
    pub order: Running,
    /// asset-svc.
    pub asset: Running,
    /// The orchestrators, at least one.
    pub orchestrators: Vec<Running>,
    /// The services' databases.
    pub databases: Databases,
}

/// One database for each service.
pub struct Databases {
    /// order-svc's.
    pub order: TestDatabase,
    /// asset-svc's.
    pub asset: TestDatabase,
    /// The orchestrators'.
    pub orchestrator: TestDatabase,
}

impl Databases {
    async fn fresh() -> Self {
        async fn of<S: Service>() -> TestDatabase {
            test_database(migrator(&S::migrations())).await.unwrap()
        }
        Self {
            order: of::<OrderService>().await,
            asset: of::<AssetService>().await,
            orchestrator: of::<Orchestrator>().await,
        }
    }

    /// A connection to order-svc's database.
    pub async fn order(&self) -> PgConnection {
        PgConnection::connect(&self.order.url).await.unwrap()
    }

    /// A connection to asset-svc's database.
    pub async fn asset(&self) -> PgConnection {
        PgConnection::connect(&self.asset.url).await.unwrap()
    }

    /// A connection to the orchestrators' database.
    pub async fn orchestrator(&self) -> PgConnection {
        PgConnection::connect(&self.orchestrator.url).await.unwrap()
    }
}

impl Brokerage {
    /// With its market and customers; nobody has anything yet.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// The same, otherwise.
    pub async fn start_with(options: Options) -> Self {
        let databases = Databases::fresh().await;
        let order = Running::start::<OrderService>(settings(&databases.order, &options)).await;
        let asset = Running::start::<AssetService>(settings(&databases.asset, &options)).await;
        let mut brokerage = Self { order, asset, orchestrators: Vec::new(), databases };
        for _ in 0..options.orchestrators.max(1) {
            brokerage.add(&options).await;
        }
        market::open(&brokerage.admin()).await;
        brokerage
    }

    /// One more orchestrator over the same database.
    pub async fn add_orchestrator(&mut self, time_scale: f64) {
        self.add(&Options { time_scale, ..Options::default() }).await;
    }

    async fn add(&mut self, options: &Options) {
        let mut settings = settings(&self.databases.orchestrator, options);
        settings.peers.order = format!("http://{}", self.order.addresses.internal);
        settings.peers.asset = format!("http://{}", self.asset.addresses.internal);
        self.orchestrators.push(Running::start::<Orchestrator>(settings).await);
    }

    /// The user of this token, who is this customer, or none.
    #[must_use]
    pub fn person(&self, token: &str, customer_id: &str) -> Person {
        self.caller(&Identity::user(token), customer_id, 0)
    }

    /// Any caller, by way of one of the orchestrators.
    #[must_use]
    pub fn caller(&self, identity: &Identity, customer_id: &str, orchestrator: usize) -> Person {
        let trading = &self.orchestrators[orchestrator].public;
        Person::new(identity, customer_id, [trading, &self.order.public, &self.asset.public])
    }

    /// An administrator.
    #[must_use]
    pub fn admin(&self) -> Person {
        self.person("token-admin", "")
    }

    /// Customer A.
    #[must_use]
    pub fn alice(&self) -> Person {
        self.person("token-customer-a", market::ALICE)
    }

    /// Customer B.
    #[must_use]
    pub fn bob(&self) -> Person {
        self.person("token-customer-b", market::BOB)
    }

    /// An employee to whom Alice is assigned.
    #[must_use]
    pub fn employee(&self) -> Person {
        self.person("token-employee", "")
    }

    /// Sees everything and changes nothing.
    #[must_use]
    pub fn auditor(&self) -> Person {
        self.person("token-auditor", "")
    }

    /// Who is there besides the customers whose tokens are known: Carol, in whose name the administrator acts.
    #[must_use]
    pub fn carol(&self) -> Person {
        self.person("token-admin", market::CAROL)
    }

    /// The public listeners: of the orchestrator, of order-svc, of asset-svc.
    #[must_use]
    pub fn public(&self) -> [&Channel; 3] {
        [&self.orchestrators[0].public, &self.order.public, &self.asset.public]
    }

    /// The internal listeners: of the orchestrator, of order-svc, of asset-svc.
    #[must_use]
    pub fn internal(&self) -> [&Channel; 3] {
        [&self.orchestrators[0].internal, &self.order.internal, &self.asset.internal]
    }

    /// Sets the commission of the standard tier, in parts per million, as an operator would.
    pub async fn charges(&self, fee_ppm: i32) {
        sqlx::query("UPDATE tiers SET fee_ppm = $1 WHERE tier = 'STANDARD'")
            .bind(fee_ppm)
            .execute(&mut self.databases.asset().await)
            .await
            .unwrap();
    }
}

fn settings(database: &TestDatabase, options: &Options) -> Settings {
    let mut settings = Settings::dev();
    settings.database.url.clone_from(&database.url);
    // Copied from a migrated template.
    settings.database.migrate_on_start = false;
    settings.time_scale = options.time_scale;
    settings.telemetry.otlp_endpoint.clone_from(&options.otlp_endpoint);
    settings.telemetry.push_interval_ms = 200;
    settings.drain.grace_ms = 0;
    settings.drain.finish_ms = 0;
    // Debug builds on a busy machine are slow; no test is about that.
    settings.limits.default_deadline_ms = settings.limits.max_deadline_ms;
    settings
}
