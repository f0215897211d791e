//! What Postgres says about each statement: how often, how long, how much WAL. By `pg_stat_statements`, which has to be
//! loaded when the server starts, costs a little, and so is only used where nothing is compared with a floor.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use dev_cluster::Cluster;
use sqlx::{Connection, PgConnection};

/// Statements that only look are marked with this, and left out.
const MARK: &str = "/* bench */";

/// What a statement has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// How often it ran.
    pub calls: f64,
    /// In Postgres, waiting included, in microseconds.
    pub micros: f64,
    /// Bytes of WAL, commit records not included.
    pub wal_bytes: f64,
}

/// By database and statement.
pub type Statements = BTreeMap<(String, String), Cost>;

/// Restarts the cluster with the extension. Whoever was connected has to connect again.
///
/// # Errors
/// When there is no such extension: it comes with the distribution's Postgres, or in its `contrib` package.
pub async fn enable(cluster: &mut Cluster) -> Result<()> {
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await.context("connect to Postgres")?;
    let there = sqlx::query_scalar::<_, bool>(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')",
    );
    ensure!(
        there.fetch_one(&mut admin).await?,
        "Postgres has no pg_stat_statements: install its contrib package"
    );
    for sql in ["ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'", "CHECKPOINT"] {
        sqlx::raw_sql(sql).execute(&mut admin).await.context(sql)?;
    }
    admin.close().await.context("close the connection")?;
    cluster.restart().context("restart Postgres")?;
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await.context("connect to Postgres")?;
    sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").execute(&mut admin).await?;
    admin.close().await.context("close the connection")
}

/// What was spent so far in these databases. `admin` is connected where the extension is.
///
/// # Errors
/// When Postgres cannot say.
pub async fn read(admin: &mut PgConnection, databases: &[String]) -> Result<Statements> {
    let rows: Vec<(String, String, f64, f64, f64)> = sqlx::query_as(
        "/* bench */ SELECT d.datname::text, s.query, sum(s.calls)::float8, sum(s.total_exec_time)::float8 * 1000,
                sum(s.wal_bytes)::float8
         FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
         WHERE d.datname = ANY($1) GROUP BY 1, 2",
    )
    .bind(databases)
    .fetch_all(admin)
    .await
    .context("ask pg_stat_statements")?;
    let rows = rows.into_iter().filter(|(_, query, ..)| !query.contains(MARK));
    Ok(rows
        .map(|(database, query, calls, micros, wal_bytes)| {
            ((database, query), Cost { calls, micros, wal_bytes })
        })
        .collect())
}

/// What was spent between two readings; statements that did not run are left out.
pub fn between(before: &Statements, after: &Statements) -> Statements {
    let spent = after.iter().map(|(key, now)| {
        let then = before.get(key).copied().unwrap_or_default();
        let spent = Cost {
            calls: now.calls - then.calls,
            micros: now.micros - then.micros,
            wal_bytes: now.wal_bytes - then.wal_bytes,
        };
        (key.clone(), spent)
    });
    spent.filter(|(_, spent)| spent.calls > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ran_in_between_was_spent() {
        let of = |calls| Cost { calls, micros: 10.0 * calls, wal_bytes: 0.0 };
        let key = |query: &str| ("order_svc".to_owned(), query.to_owned());
        let before = Statements::from([(key("a"), of(2.0)), (key("b"), of(7.0))]);
        let after = Statements::from([(key("a"), of(5.0)), (key("b"), of(7.0)), (key("c"), of(1.0))]);
        assert_eq!(between(&before, &after), Statements::from([(key("a"), of(3.0)), (key("c"), of(1.0))]));
    }
}
