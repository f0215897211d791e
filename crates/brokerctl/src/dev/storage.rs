//! Where the mesh keeps things: three databases, and Redis if there is one.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use dev_cluster::{Cluster, ClusterOptions, Redis};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::options::MeshOptions;
use super::service::MeshService;

/// Where the databases of the three services are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseUrls {
    /// order-svc's.
    pub order: String,
    /// asset-svc's.
    pub asset: String,
    /// saga-orchestrator's.
    pub orchestrator: String,
}

impl DatabaseUrls {
    /// The database of one service.
    #[must_use]
    pub fn of(&self, service: MeshService) -> &str {
        match service {
            MeshService::Order => &self.order,
            MeshService::Asset => &self.asset,
            MeshService::Orchestrator => &self.orchestrator,
        }
    }
}

#[derive(Debug)]
pub(super) struct Storage {
    urls: DatabaseUrls,
    redis: Option<Redis>,
    server: Server,
}

#[derive(Debug)]
enum Server {
    Private(Cluster),
    /// Somebody else's, with the names of the databases we made there.
    Shared {
        url: String,
        databases: Vec<String>,
    },
}

impl Storage {
    pub(super) async fn start(options: &MeshOptions) -> Result<Self> {
        let redis = async { if options.redis { Redis::start().await } else { None } };
        let (server, redis) = tokio::join!(Server::start(options), redis);
        let (server, urls) = server?;
        Ok(Self { urls, redis, server })
    }

    pub(super) fn urls(&self) -> &DatabaseUrls {
        &self.urls
    }

    pub(super) fn redis_url(&self) -> Option<String> {
        self.redis.as_ref().map(Redis::url)
    }

    pub(super) fn redis(&mut self) -> Option<&mut Redis> {
        self.redis.as_mut()
    }

    pub(super) fn postgres(&mut self) -> Option<&mut Cluster> {
        match &mut self.server {
            Server::Private(cluster) => Some(cluster),
            Server::Shared { .. } => None,
        }
    }

    pub(super) fn postgres_pid(&self) -> Option<u32> {
        match &self.server {
            Server::Private(cluster) => cluster.pid(),
            Server::Shared { .. } => None,
        }
    }

    pub(super) fn redis_pid(&self) -> Option<u32> {
        self.redis.as_ref().and_then(Redis::pid)
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        if let Some(mut redis) = self.redis.take() {
            redis.stop()?;
        }
        match &mut self.server {
            Server::Private(cluster) => cluster.stop(),
            Server::Shared { url, databases } => {
                for name in std::mem::take(databases) {
                    execute(url, format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await?;
                }
                Ok(())
            }
        }
    }
}

impl Server {
    async fn start(options: &MeshOptions) -> Result<(Self, DatabaseUrls)> {
        match &options.postgres_url {
            Some(url) => Self::share(url).await,
            None => Self::private(options).await,
        }
    }

    async fn private(options: &MeshOptions) -> Result<(Self, DatabaseUrls)> {
        let cluster =
            Cluster::start(ClusterOptions { data_dir: options.data_dir.clone(), durable: options.durable })
                .await?;
        for service in MeshService::ALL {
            cluster.create_database(service.database()).await?;
        }
        let urls = urls(|service| cluster.url(service.database()));
        Ok((Self::Private(cluster), urls))
    }

    async fn share(url: &str) -> Result<(Self, DatabaseUrls)> {
        let run = format!("{:08x}", fastrand::u32(..));
        let name = |service: MeshService| format!("mesh_{run}_{}", service.database());
        let mut databases = Vec::new();
        for service in MeshService::ALL {
            execute(url, format!("CREATE DATABASE \"{}\"", name(*service))).await?;
            databases.push(name(*service));
        }
        let urls = urls(|service| with_database(url, &name(service)));
        Ok((Self::Shared { url: url.to_owned(), databases }, urls))
    }
}

fn urls(of: impl Fn(MeshService) -> String) -> DatabaseUrls {
    DatabaseUrls {
        order: of(MeshService::Order),
        asset: of(MeshService::Asset),
        orchestrator: of(MeshService::Orchestrator),
    }
}

/// The same database by another way.
pub(super) fn rerouted(url: &str, by: impl FnOnce(SocketAddr) -> Result<SocketAddr>) -> Result<String> {
    let (scheme, rest) = url.split_once("://").context("a database URL has a scheme")?;
    let (user, rest) = rest.split_once('@').map_or(("", rest), |(user, rest)| (user, rest));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A name, or no port: nothing here stands in its way.
    let Ok(to) = host.parse::<SocketAddr>() else { return Ok(url.to_owned()) };
    let at = if user.is_empty() { "" } else { "@" };
    Ok(format!("{scheme}://{user}{at}{}/{path}", by(to)?))
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority_at = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority_at..].find('/').map_or(base.len(), |at| authority_at + at);
    format!("{}/{database}{query}", &base[..end])
}

async fn execute(url: &str, statement: String) -> Result<()> {
    let mut admin = PgConnection::connect(url).await.context("connect to the Postgres server")?;
    let what = statement.clone();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.context(what)?;
    admin.close().await.context("close the connection")
}

#[cfg(test)]
mod tests {
    use super::{rerouted, with_database};

    #[test]
    fn a_url_that_is_rerouted_keeps_everything_but_the_address() {
        let url = rerouted("postgres://postgres@127.0.0.1:5432/x?a=b", |to| {
            assert_eq!(to.port(), 5432);
            Ok(([127, 0, 0, 1], 9).into())
        });
        assert_eq!(url.unwrap(), "postgres://postgres@127.0.0.1:9/x?a=b");
    }

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://postgres@127.0.0.1:5432/postgres", "postgres://postgres@127.0.0.1:5432/x"),
            ("postgres://u:p@h", "postgres://u:p@h/x"),
            ("postgres://h:1/a?sslmode=disable", "postgres://h:1/x?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "x"), expected);
        }
    }
}
