//! `brokerctl doctor`: looks at everything the mesh needs, and says how to mend what is broken. Changes nothing.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use service_kit::database;
use service_kit::run::Service;
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::api::endpoint;
use crate::cli::Connection as Server;
use crate::databases::DatabaseArgs;
use crate::dev::{MeshService, PUBLIC_PORT};
use crate::failure::Failure;
use crate::output::{Format, say, table};

const PATIENCE: Duration = Duration::from_secs(3);
/// Older versions lack what the schemas use.
const POSTGRES_VERSION_MIN: i32 = 150_000;
/// Deadlines and `not_after` are wrong when clocks differ by more.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(1);

/// See [`crate::doctor`].
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    databases: DatabaseArgs,
    /// Redis, such as redis://127.0.0.1:6379. Default: the one of the mesh that runs on this machine.
    #[arg(long, env = "BROKERCTL_REDIS_URL")]
    redis_url: Option<String>,
}

/// One look at one thing.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: String,
    ok: bool,
    detail: String,
    /// What to do when it is not ok.
    fix: String,
}

impl Finding {
    fn of(check: impl Into<String>, outcome: Result<String>, fix: impl Into<String>) -> Self {
        let (ok, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(error) => (false, format!("{error:#}")),
        };
        let fix = if ok { String::new() } else { fix.into() };
        Self { check: check.into(), ok, detail, fix }
    }
}

impl DoctorArgs {
    /// Prints every finding.
    ///
    /// # Errors
    /// When something is broken.
    pub async fn run(self, server: &Server) -> Result<(), Failure> {
        let mut findings = programs();
        findings.push(self.port(server));
        let serving = serving(&server.server).await;
        findings.push(Finding::of(
            "public API",
            serving,
            "start a mesh with `brokerctl dev`, or name a running one with --server",
        ));
        findings.extend(self.databases().await);
        findings.push(self.redis().await);
        match server.output {
            Format::Json => say(serde_json::to_string(&findings).context("write JSON")?),
            Format::Table => print_table(&findings),
        }
        let broken = findings.iter().filter(|finding| !finding.ok).count();
        if broken == 0 {
            Ok(())
        } else {
            Err(Failure::check(format!("{broken} of {} checks failed", findings.len())))
        }
    }

    /// The well-known port is either ours or free.
    fn port(&self, server: &Server) -> Finding {
        let ours = self
            .databases
            .ready_file()
            .is_some_and(|ready| ready.public.ends_with(&format!(":{PUBLIC_PORT}")));
        let asked_for = server.server.ends_with(&format!(":{PUBLIC_PORT}"));
        let outcome = match TcpListener::bind((Ipv4Addr::LOCALHOST, PUBLIC_PORT)) {
            Ok(_) => Ok("free".to_owned()),
            Err(_) if ours || asked_for => Ok("in use by the mesh".to_owned()),
            Err(error) => Err(anyhow::Error::from(error)),
        };
        Finding::of(
            format!("port {PUBLIC_PORT}"),
            outcome,
            "end what uses it, or run `brokerctl dev --random-ports`",
        )
    }

    async fn databases(&self) -> Vec<Finding> {
        let urls = match self.databases.resolve() {
            Ok(urls) => urls,
            Err(failure) => {
                let fix = "start a mesh with `brokerctl dev`, or name the databases";
                return vec![Finding::of("databases", Err(anyhow::anyhow!(failure.message)), fix)];
            }
        };
        let mut findings = Vec::new();
        for service in MeshService::ALL {
            findings.extend(database_findings(*service, urls.of(*service)).await);
        }
        findings
    }

    async fn redis(&self) -> Finding {
        let url =
            self.redis_url.clone().or_else(|| self.databases.ready_file().and_then(|ready| ready.redis));
        let outcome = match url {
            Some(url) => ping(&url).await.map(|()| format!("{url} answers")),
            None => Ok("none; nothing needs it".to_owned()),
        };
        Finding::of("redis", outcome, "start it, or go without: it only makes things faster")
    }
}

/// What `brokerctl dev` starts. Missing is fine as long as a package manager can help, so this only informs.
fn programs() -> Vec<Finding> {
    let missing = "not installed; `brokerctl dev` will install it".to_owned();
    let postgres = dev_cluster::postgres_dir().map_or(missing.clone(), |dir| dir.display().to_string());
    let redis = dev_cluster::on_path("redis-server").map_or(missing, |path| path.display().to_string());
    [("postgres programs", postgres), ("redis-server", redis)]
        .map(|(check, detail)| Finding::of(check, Ok(detail), ""))
        .into()
}

/// Says that the server serves.
///
/// # Errors
/// When it does not, or does not answer in time.
pub async fn health(server: &Server) -> Result<(), Failure> {
    say(serving(&server.server).await?);
    Ok(())
}

async fn serving(server: &str) -> Result<String> {
    let channel =
        tokio::time::timeout(PATIENCE, endpoint(server)?.connect()).await.context("no answer in time")??;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?.into_inner();
    match answer.status() {
        ServingStatus::Serving => Ok(format!("{server} is serving")),
        other @ (ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown) => {
            bail!("{server} says {}", other.as_str_name())
        }
    }
}

async fn database_findings(service: MeshService, url: &str) -> Vec<Finding> {
    let name = service.name();
    let mut database = match tokio::time::timeout(PATIENCE, PgConnection::connect(url)).await {
        Ok(Ok(database)) => database,
        Ok(Err(error)) => {
            return vec![Finding::of(
                format!("{name}: database"),
                Err(error.into()),
                "start it, or correct its URL",
            )];
        }
        Err(late) => {
            return vec![Finding::of(
                format!("{name}: database"),
                Err(late.into()),
                "start it, or correct its URL",
            )];
        }
    };
    vec![
        Finding::of(
            format!("{name}: database"),
            version(&mut database).await,
            "upgrade it to PostgreSQL 15 or newer",
        ),
        Finding::of(
            format!("{name}: migrations"),
            migrations(service, &mut database).await,
            format!("run `{name} migrate`, or restart `brokerctl dev`"),
        ),
        Finding::of(
            format!("{name}: clock"),
            clock(&mut database).await,
            "synchronise the clocks, for example by NTP",
        ),
    ]
}

async fn version(database: &mut PgConnection) -> Result<String> {
    let (number, text): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(database)
    .await?;
    if number < POSTGRES_VERSION_MIN {
        bail!("PostgreSQL {text} is too old");
    }
    Ok(format!("PostgreSQL {text}"))
}

async fn migrations(service: MeshService, database: &mut PgConnection) -> Result<String> {
    let own: Migrator = match service {
        MeshService::Order => order_svc::OrderService::migrations(),
        MeshService::Asset => asset_svc::AssetService::migrations(),
        MeshService::Orchestrator => saga_orchestrator::Orchestrator::migrations(),
    };
    let all = database::migrator(&own);
    let current = database::schema_is_current(database, &all).await?;
    if current { Ok(format!("all {} applied", all.iter().count())) } else { bail!("the schema is behind") }
}

async fn clock(database: &mut PgConnection) -> Result<String> {
    let before = Utc::now();
    let theirs: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(database).await?;
    let after = Utc::now();
    // Anywhere between asking and being answered is no difference at all.
    let apart =
        if theirs < before { before - theirs } else { (theirs - after).max(chrono::TimeDelta::zero()) };
    let apart = apart.to_std().unwrap_or_default();
    if apart > CLOCK_DIFFERENCE_MAX {
        bail!("the database's clock is {:.1} s away from ours", apart.as_secs_f64());
    }
    Ok(format!("within {:.0} ms of ours", apart.as_secs_f64() * 1_000.0))
}

async fn ping(url: &str) -> Result<()> {
    let address = url.strip_prefix("redis://").context("a Redis URL starts with redis://")?;
    let address = address.split('/').next().unwrap_or(address);
    let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
    let talk = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, talk).await.context("no answer in time")??;
    // A server that wants a password says so; it is there all the same.
    if &answer == b"+PONG" || &answer == b"-NOAU" { Ok(()) } else { bail!("{url} is not Redis") }
}

fn print_table(findings: &[Finding]) {
    let mut table = table(&["check", "", "detail", "fix"]);
    for finding in findings {
        let mark = if finding.ok { "ok" } else { "BROKEN" };
        table.add_row([finding.check.as_str(), mark, &finding.detail, &finding.fix]);
    }
    say(table);
}
