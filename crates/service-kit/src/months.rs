//! Tables that are kept by months: the next partitions are there before they are needed, and old ones go, if settings
//! say so.
//!
//! Such a table has one partition for each month of its UUIDv7 keys (`0005_months.sql`). A missing partition breaks
//! nothing: rows go to the table's rest, and move when the partition is made.

use std::time::Duration;

use sqlx::Connection;

use crate::database;
use crate::run::Kit;

/// How many months are there in advance.
const MONTHS_AHEAD: i32 = 2;
const INTERVAL: Duration = Duration::from_secs(3600);
/// After a round that failed.
const INTERVAL_FAILED: Duration = Duration::from_secs(60);
/// Making a partition locks the table's rest. Writers shall not queue behind that.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '100ms'";

/// Keeps this table's months until the service ends, and drops those that ended at least so many days ago. Any number
/// of processes may do so.
pub async fn keep(kit: Kit, table: &'static str, days: Option<u32>) {
    loop {
        let pause = match round(&kit, table, days).await {
            Ok((made, dropped)) => {
                if made + dropped > 0 {
                    tracing::info!(table, made, dropped, "{table}: {made} months made, {dropped} dropped");
                }
                INTERVAL
            }
            Err(error) => {
                tracing::warn!(table, %error, "the months of {table} cannot be kept; trying again");
                INTERVAL_FAILED
            }
        };
        if tokio::time::timeout(pause, kit.shutdown.cancelled()).await.is_ok() {
            return;
        }
    }
}

async fn round(kit: &Kit, table: &str, days: Option<u32>) -> Result<(i32, i32), sqlx::Error> {
    let settings = &kit.settings.database;
    let work = async {
        let mut connection = database::connect_probe(settings).await?;
        sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut connection).await?;
        let made = sqlx::query_scalar!(r#"SELECT keep_months($1, $2) AS "made!""#, table, MONTHS_AHEAD)
            .fetch_one(&mut connection)
            .await?;
        let mut dropped = 0;
        if let Some(days) = days {
            let days = i32::try_from(days).unwrap_or(i32::MAX);
            dropped = sqlx::query_scalar!(r#"SELECT drop_months($1, $2) AS "dropped!""#, table, days)
                .fetch_one(&mut connection)
                .await?;
        }
        connection.close().await?;
        Ok((made, dropped))
    };
    tokio::time::timeout(database::unanswered_max(settings), work)
        .await
        .unwrap_or_else(|_| Err(database::timed_out()))
}
