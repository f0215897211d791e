//! A fresh database for one test, copied from a template that was migrated once.
//!
//! The server is the one named by `TEST_POSTGRES_URL` (started by the test runner), or one per test process.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{Cluster, ClusterOptions};

/// Names the server that tests use: the URL of any of its databases.
pub const TEST_POSTGRES_URL: &str = "TEST_POSTGRES_URL";

/// A database of one test. Dropped, best effort, with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// Where it is.
    pub url: String,
    name: String,
    server: String,
}

impl TestDatabase {
    /// Its name on its server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        // Best effort: the whole server is thrown away in the end.
        drop(janitor().send((self.server.clone(), statement)));
    }
}

/// Creates a database and applies the migrations. No two calls answer with the same database.
///
/// # Errors
/// When there is no server, or when a migration fails.
pub async fn test_database(migrator: Migrator) -> Result<TestDatabase> {
    let server = server_url().await?;
    let template = template_for(&server, &migrator).await?;
    let name = format!("test_{}", Uuid::new_v4().simple());
    let mut admin = connect(&server).await?;
    execute(&mut admin, format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"")).await?;
    admin.close().await.context("close the connection")?;
    Ok(TestDatabase { url: with_database(&server, &name), name, server })
}

async fn server_url() -> Result<String> {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    if let Ok(url) = std::env::var(TEST_POSTGRES_URL) {
        return Ok(with_database(&url, "postgres"));
    }
    // Never dropped: it ends with the process.
    let cluster = SHARED.get_or_try_init(|| Cluster::start(ClusterOptions::default())).await?;
    Ok(cluster.url("postgres"))
}

/// The name of a migrated database that others can be copied from; created by whoever comes first on this server.
async fn template_for(server: &str, migrator: &Migrator) -> Result<String> {
    let key = fingerprint(migrator);
    let name = format!("template_{}", key.simple());
    let lock = i64::from_be_bytes(key.as_bytes()[..8].try_into().unwrap_or_default());
    let mut admin = connect(server).await?;
    // Held by this session, across the statements below, which cannot share a transaction.
    sqlx::query("SELECT pg_advisory_lock($1)").bind(lock).execute(&mut admin).await?;
    // The mark is set last, so a half-migrated template is never used.
    let ready: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await?;
    if !ready {
        execute(&mut admin, format!("DROP DATABASE IF EXISTS \"{name}\"")).await?;
        execute(&mut admin, format!("CREATE DATABASE \"{name}\"")).await?;
        let mut database = connect(&with_database(server, &name)).await?;
        migrator.run(&mut database).await.context("migrate the template database")?;
        database.close().await.context("close the connection")?;
        execute(&mut admin, format!("ALTER DATABASE \"{name}\" IS_TEMPLATE true")).await?;
    }
    admin.close().await.context("close the connection")?;
    Ok(name)
}

/// The same migrations have the same fingerprint.
fn fingerprint(migrator: &Migrator) -> Uuid {
    let mut content = Vec::new();
    for migration in migrator.iter() {
        content.extend_from_slice(&migration.version.to_be_bytes());
        content.extend_from_slice(&migration.checksum);
    }
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &content)
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let authority_at = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority_at..].find('/').map_or(base.len(), |at| authority_at + at);
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("{}/{database}{query}", &base[..end])
}

async fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.context("connect to the test server")
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<()> {
    let what = statement.clone();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.context(what).map(drop)
}

type Chore = (String, String);

/// Drops databases behind the tests' backs.
fn janitor() -> &'static Sender<Chore> {
    static JANITOR: OnceLock<Sender<Chore>> = OnceLock::new();
    JANITOR.get_or_init(|| {
        let (chores, inbox) = channel();
        std::thread::spawn(move || clean(&inbox));
        chores
    })
}

fn clean(inbox: &Receiver<Chore>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    for (server, statement) in inbox.iter() {
        let chore = async {
            let mut admin = connect(&server).await?;
            execute(&mut admin, statement).await
        };
        // Best effort: the whole server is thrown away in the end.
        drop(runtime.block_on(chore));
    }
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://postgres@127.0.0.1:5432/postgres", "postgres://postgres@127.0.0.1:5432/x"),
            ("postgres://postgres@127.0.0.1:5432", "postgres://postgres@127.0.0.1:5432/x"),
            ("postgres://u:p@h:1/a?sslmode=disable", "postgres://u:p@h:1/x?sslmode=disable"),
        ] {
            assert_eq!(with_database(url, "x"), expected);
        }
    }
}
