//! What can be traded.

use brokerage_types::{Instrument, Symbol};
use service_kit::fault::Fault;
use sqlx::PgPool;
use sqlx::types::Json;

/// An instrument and its version.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is.
    pub definition: Instrument,
    /// Grows with every change.
    pub version: i64,
}

/// One instrument.
pub async fn instrument(pool: PgPool, symbol: Symbol) -> Result<Option<Listed>, Fault> {
    let row = sqlx::query!(
        r#"SELECT definition AS "definition: Json<Instrument>", version FROM instruments WHERE symbol = $1"#,
        symbol.as_str()
    )
    .fetch_optional(&pool)
    .await?;
    Ok(row.map(|row| Listed { definition: row.definition.0, version: row.version }))
}

/// At most `limit` instruments after the symbol `after`.
pub async fn instruments(pool: PgPool, after: Option<String>, limit: i64) -> Result<Vec<Listed>, Fault> {
    let rows = sqlx::query!(
        r#"SELECT definition AS "definition: Json<Instrument>", version FROM instruments
           WHERE ($1::text IS NULL OR symbol > $1) ORDER BY symbol LIMIT $2"#,
        after,
        limit
    )
    .fetch_all(&pool)
    .await?;
    Ok(rows.into_iter().map(|row| Listed { definition: row.definition.0, version: row.version }).collect())
}
