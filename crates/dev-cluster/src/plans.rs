//! How a connection would run statements, for tests of plans that are pinned.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, PgConnection, Row};

/// The plan of a statement with so many parameters, all of them NULL, on this connection with its settings.
///
/// # Errors
/// When the statement cannot be planned.
pub async fn plan(connection: &mut PgConnection, statement: &str, parameters: usize) -> Result<String> {
    let nulls = vec!["NULL"; parameters].join(", ");
    let explain = format!("PREPARE it AS {statement}; EXPLAIN EXECUTE it({nulls}); DEALLOCATE it");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(connection).await.context("plan")?;
    let lines: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(lines.join("\n"))
}

/// Statements of the crate in this directory and their plans: of those that are checked against the database when they
/// are compiled (`.sqlx`), the ones that are wanted.
///
/// # Errors
/// When the crate has no such statements, or one cannot be planned.
pub async fn plans(
    connection: &mut PgConnection,
    crate_dir: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(crate_dir).join(".sqlx")).context("read .sqlx")? {
        let query: serde_json::Value = serde_json::from_slice(&fs::read(entry?.path())?)?;
        let statement = query["query"].as_str().context("a file without its statement")?;
        let parameters = query["describe"]["parameters"]["Left"].as_array().map_or(0, Vec::len);
        if is_wanted(statement) {
            found.push((statement.to_owned(), plan(connection, statement, parameters).await?));
        }
    }
    Ok(found)
}
