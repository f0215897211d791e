//! `cargo xtask db prepare | check`: the metadata that lets the tree build without a database.
//!
//! sqlx's macros ask the database named by the variable in a crate's `sqlx.toml` and, when `SQLX_OFFLINE_DIR` is set,
//! write what they learnt there. That directory has to exist, and has to be absolute: the compiler's working directory
//! is the workspace, not the crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use dev_cluster::Cluster;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{cluster, process};

/// A crate whose SQL is checked at compile time.
struct Checked {
    package: &'static str,
    dir: &'static str,
    variable: &'static str,
    database: &'static str,
}

/// Where the kit's migrations are; every service's database has them.
const KIT_MIGRATIONS: &str = "crates/service-kit/migrations";

const CHECKED: &[Checked] = &[
    Checked {
        package: "service-kit",
        dir: "crates/service-kit",
        variable: "KIT_DATABASE_URL",
        database: "kit",
    },
    Checked { package: "order-svc", dir: "order-svc", variable: "ORDER_DATABASE_URL", database: "order" },
    Checked { package: "asset-svc", dir: "asset-svc", variable: "ASSET_DATABASE_URL", database: "asset" },
    Checked {
        package: "saga-orchestrator",
        dir: "saga-orchestrator",
        variable: "ORCHESTRATOR_DATABASE_URL",
        database: "orchestrator",
    },
];

/// Writes every crate's `.sqlx` anew.
///
/// # Errors
/// When a migration or a query does not hold.
pub fn prepare() -> Result<()> {
    let server = cluster::start()?;
    for checked in CHECKED {
        let committed = committed(checked);
        fill(&server, checked, &committed)?;
        eprintln!("{}: {} queries", checked.package, read(&committed)?.len());
    }
    Ok(())
}

/// Fails when a crate's `.sqlx` is not what [`prepare`] would write.
///
/// # Errors
/// Names each query that differs.
pub fn check() -> Result<()> {
    let server = cluster::start()?;
    let mut differences = Vec::new();
    for checked in CHECKED {
        let fresh = Scratch::create(checked.package)?;
        fill(&server, checked, &fresh.0)?;
        let (wanted, found) = (read(&fresh.0)?, read(&committed(checked)).unwrap_or_default());
        differences.extend(compare(&wanted, &found).into_iter().map(|d| format!("{}: {d}", checked.package)));
    }
    ensure!(
        differences.is_empty(),
        "{}\nthe metadata of the SQL is stale: run `cargo xtask db prepare` and commit the result",
        differences.join("\n")
    );
    Ok(())
}

fn committed(checked: &Checked) -> PathBuf {
    process::root().join(checked.dir).join(".sqlx")
}

/// Makes the database, then compiles the crate against it with `into` as the place to write to.
fn fill(server: &Cluster, checked: &Checked, into: &Path) -> Result<()> {
    let root = process::root();
    let manifest = root.join(checked.dir);
    let mut migrations = migrations_in(&root.join(KIT_MIGRATIONS))?;
    if checked.package != "service-kit" {
        migrations.extend(migrations_in(&manifest.join("migrations"))?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(migrate(server, checked.database, &migrations))?;
    empty(into)?;
    touch_sources(&manifest)?;
    let mut command = process::cargo(&["check", "--quiet", "-p", checked.package, "--all-targets"]);
    // Only this crate's variable: a dependency that is compiled along the way keeps its own metadata.
    for other in CHECKED {
        command.env_remove(other.variable);
    }
    command
        .env(checked.variable, server.url(checked.database))
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", into);
    process::run(&mut command)
}

async fn migrate(server: &Cluster, database: &str, migrations: &[PathBuf]) -> Result<()> {
    server.create_database(database).await?;
    let mut connection = PgConnection::connect(&server.url(database)).await.context("connect to Postgres")?;
    for path in migrations {
        let sql = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .with_context(|| format!("apply {}", path.display()))?;
    }
    connection.close().await.context("close the connection")
}

/// The migrations of a directory in the order of their versions; none when there is no such directory.
fn migrations_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version: i64 =
            name.split('_').next().and_then(|digits| digits.parse().ok()).with_context(|| {
                format!("{}: a migration is named `<version>_<what>.sql`", path.display())
            })?;
        if let Some(other) = found.insert(version, path.clone()) {
            bail!("{} and {} have the same version", other.display(), path.display());
        }
    }
    Ok(found.into_values().collect())
}

/// Makes the macros run again: cargo does not know that their answer depends on a database.
fn touch_sources(manifest: &Path) -> Result<()> {
    let now = SystemTime::now();
    for root in ["src/lib.rs", "src/main.rs", "tests/it/main.rs"] {
        let path = manifest.join(root);
        if path.exists() {
            let file = fs::File::options().append(true).open(&path);
            file.and_then(|file| file.set_modified(now))
                .with_context(|| format!("touch {}", path.display()))?;
        }
    }
    Ok(())
}

fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("empty {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))
}

/// Every query of a directory, by file name.
fn read(dir: &Path) -> Result<BTreeMap<String, Value>> {
    let mut queries = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let query = serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        queries.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), query);
    }
    Ok(queries)
}

/// What differs. Which columns may be null is guessed from a plan, so it depends on the version of Postgres: left out.
fn compare(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, query) in wanted {
        match found.get(name) {
            None => differences.push(format!("not committed: {}", sql_of(query))),
            Some(committed) if without_nulls(committed) != without_nulls(query) => {
                differences.push(format!("has changed: {}", sql_of(query)));
            }
            Some(_) => {}
        }
    }
    differences.extend(
        found
            .iter()
            .filter(|(name, _)| !wanted.contains_key(*name))
            .map(|(_, query)| format!("no longer used: {}", sql_of(query))),
    );
    differences
}

fn without_nulls(query: &Value) -> Value {
    let mut query = query.clone();
    if let Some(describe) = query.get_mut("describe").and_then(Value::as_object_mut) {
        describe.remove("nullable");
    }
    query
}

fn sql_of(query: &Value) -> String {
    let sql = query.get("query").and_then(Value::as_str).unwrap_or_default();
    sql.split_whitespace().take(12).collect::<Vec<_>>().join(" ")
}

/// A directory that goes away with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn create(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("sqlx-check-{}-{name}", std::process::id()));
        empty(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: it is in the system's temporary directory.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn queries(of: &[(&str, Value)]) -> BTreeMap<String, Value> {
        of.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_missing_a_changed_and_an_unused_query_are_each_reported() {
        let wanted = queries(&[
            ("a", json!({"query": "SELECT 1", "describe": {"columns": [1], "nullable": [true]}})),
            ("b", json!({"query": "SELECT 2", "describe": {"columns": [1]}})),
            ("c", json!({"query": "SELECT 3", "describe": {"columns": [1]}})),
        ]);
        let found = queries(&[
            ("a", json!({"query": "SELECT 1", "describe": {"columns": [1], "nullable": [false]}})),
            ("b", json!({"query": "SELECT 2", "describe": {"columns": [2]}})),
            ("d", json!({"query": "SELECT 4"})),
        ]);
        assert_eq!(
            compare(&wanted, &found),
            ["has changed: SELECT 2", "not committed: SELECT 3", "no longer used: SELECT 4"]
        );
        assert_eq!(compare(&wanted, &wanted), Vec::<String>::new());
    }

    #[test]
    fn migrations_are_applied_by_version_and_never_share_one() -> Result<()> {
        let scratch = Scratch::create("migrations")?;
        for name in ["1002_b.sql", "1001_a.sql", "notes.md"] {
            fs::write(scratch.0.join(name), "")?;
        }
        let names: Vec<_> = migrations_in(&scratch.0)?
            .iter()
            .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["1001_a.sql", "1002_b.sql"]);
        fs::write(scratch.0.join("1001_again.sql"), "")?;
        assert!(migrations_in(&scratch.0).is_err());
        Ok(())
    }
}
