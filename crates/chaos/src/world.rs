//! A running mesh of real processes, and what must be true of it in the end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use brokerctl::api::Api;
use brokerctl::audit::{self, Urls};
use brokerctl::dev::{ADMIN_TOKEN, DatabaseUrls, Detour, Mesh, MeshOptions, MeshService};
use brokerctl::market::Market;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::findings::Findings;
use crate::load::History;
use crate::wait::until_within;

/// Sagas that have not ended so long after the last fault are stuck.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// How a world shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Processes of each service.
    pub replicas: usize,
    /// Scales the protocol's times: with 0.1 a lease is 500 ms.
    pub time_scale: f64,
    /// Postgres writes to the disk, and survives being killed.
    pub durable: bool,
    /// A private Redis.
    pub redis: bool,
    /// More settings of a service's processes, such as `DRAIN__GRACE_MS`.
    pub settings: Vec<(MeshService, &'static str, String)>,
    /// What stands between the processes.
    pub detour: Detour,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            replicas: 2,
            time_scale: 1.0,
            durable: false,
            redis: true,
            settings: Vec::new(),
            detour: Detour::default(),
        }
    }
}

/// A running mesh. It ends with this value; [`World::stop`] ends it in order.
#[derive(Debug)]
pub struct World {
    /// Kills, freezes, drains and restarts its processes.
    pub mesh: Mesh,
    /// As planned.
    pub plan: Plan,
    crowds: AtomicU32,
}

impl World {
    /// Starts a mesh with the demo market.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(plan: Plan, log: &str) -> Result<Self> {
        let options = MeshOptions {
            replicas: Some(plan.replicas),
            durable: plan.durable,
            redis: plan.redis,
            time_scale: plan.time_scale,
            settings: plan.settings.clone(),
            detour: plan.detour.clone(),
            log: log.to_owned(),
            ..MeshOptions::default()
        };
        let mesh = Mesh::start(options).await?;
        Ok(Self { mesh, plan, crowds: AtomicU32::new(0) })
    }

    /// The databases of the three services.
    #[must_use]
    pub fn urls(&self) -> &DatabaseUrls {
        self.mesh.database_urls()
    }

    /// Everything public, as an administrator, by way of the mesh's one public port.
    ///
    /// # Errors
    /// The address is none.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.mesh.public_uri(), ADMIN_TOKEN)
    }

    /// A connection to the database of a service.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn connect(&self, service: MeshService) -> Result<PgConnection> {
        let url = self.urls().of(service);
        PgConnection::connect(url).await.with_context(|| format!("connect to {}", service.database()))
    }

    /// A customer of the demo market with so much of some assets.
    ///
    /// # Errors
    /// The mesh refused, or could not be asked.
    pub async fn customer(&self, customer_id: &str, assets: &[(&str, &str)]) -> Result<()> {
        let mut market = Market::new(self.api()?, customer_id);
        market.customer(customer_id, "Somebody").await?;
        for (asset, amount) in assets {
            market.deposit(customer_id, asset, amount).await?;
        }
        Ok(())
    }

    /// A number that no other crowd of this world has.
    pub fn next_crowd(&self) -> u32 {
        self.crowds.fetch_add(1, Ordering::Relaxed)
    }

    /// How many sagas have not ended.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn active_sagas(&self, connection: &mut PgConnection) -> Result<i64> {
        let query = "SELECT count(*) FROM sagas WHERE ended_at IS NULL";
        sqlx::query_scalar(query).fetch_one(connection).await.context("count the active sagas")
    }

    /// Waits until every saga has ended that is under way now; how long that took. New ones may come meanwhile.
    ///
    /// # Errors
    /// Names what is left after a minute.
    pub async fn heal(&self, sagas: &mut PgConnection) -> Result<Duration> {
        let started = Instant::now();
        let under_way: Vec<Uuid> = sqlx::query_scalar("SELECT saga_id FROM sagas WHERE ended_at IS NULL")
            .fetch_all(&mut *sagas)
            .await
            .context("list the active sagas")?;
        until_within(SETTLE_MAX, "what was under way ends", async || {
            let query = "SELECT count(*) FROM sagas WHERE ended_at IS NULL AND saga_id = ANY($1)";
            let left: i64 = sqlx::query_scalar(query).bind(&under_way).fetch_one(&mut *sagas).await?;
            Ok((left == 0).then_some(()))
        })
        .await?;
        Ok(started.elapsed())
    }

    /// Waits until every saga has ended; how long that took.
    ///
    /// # Errors
    /// Names what is left after a minute.
    pub async fn settle(&self) -> Result<Duration> {
        let started = Instant::now();
        let mut sagas = self.connect(MeshService::Orchestrator).await?;
        let settled = until_within(SETTLE_MAX, "every saga ends", async || {
            Ok((self.active_sagas(&mut sagas).await? == 0).then_some(()))
        });
        if let Err(error) = settled.await {
            let left: Vec<String> = sqlx::query_scalar(
                "SELECT concat_ws(' ', saga_id, kind, 'status', status, reason, detail, 'epoch', epoch)
                 FROM sagas WHERE ended_at IS NULL ORDER BY saga_id LIMIT 5",
            )
            .fetch_all(&mut sagas)
            .await?;
            return Err(error.context(format!("left: {}", left.join("; "))));
        }
        Ok(started.elapsed())
    }

    /// The end of a row: every saga ends, every acknowledged answer is still true and is given again, and the books
    /// prove right.
    ///
    /// # Errors
    /// Something cannot be looked at, or does not end.
    pub async fn prove(&self, histories: &[History], findings: &mut Findings) -> Result<()> {
        findings.healed(self.settle().await?);
        crate::load::check(self, histories, findings).await.context("check the histories")?;
        self.audit(findings).await
    }

    /// `audit verify`, as findings.
    ///
    /// # Errors
    /// A database cannot be read.
    pub async fn audit(&self, findings: &mut Findings) -> Result<()> {
        let report = audit::verify(&Urls::from(self.urls().clone())).await.context("audit the books")?;
        for check in &report.checks {
            for what in &check.breaks {
                findings.contradicts(format!("{}: {what}", check.id));
            }
        }
        if !report.is_clean() && report.first_break().is_none() {
            findings.contradicts(format!("the audit is not clean:\n{}", report.to_table()));
        }
        Ok(())
    }

    /// Ends everything in order.
    ///
    /// # Errors
    /// The first thing that did not end well.
    pub async fn stop(self) -> Result<()> {
        self.mesh.stop().await.context("stop the mesh")
    }
}
