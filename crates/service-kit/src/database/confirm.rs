//! What is told again is as durable as what was told first.

use sqlx::PgConnection;

use crate::defect;

/// Makes rows that were read, and are told as the outcome of a command, as durable as they were when they were told
/// first. To be called where nothing else is written.
///
/// Where commits wait for a standby, a row can be seen before the standby has it: its commit was cut short by a crash, and
/// recovered. What is written here is behind it in the log, and the commit waits for both. Called twice, it writes twice.
/// Nothing is written where commits wait for nobody.
///
/// # Errors
/// The database's. A server in recovery refuses with 25006, as it does writes.
pub async fn confirm(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if defect::is_seeded("replay_not_confirmed") {
        return Ok(());
    }
    // The first function refuses in recovery. It does not suffice: no commit waits for a bare transaction number.
    sqlx::query!(
        r#"SELECT pg_current_xact_id() IS NULL OR pg_logical_emit_message(true, 'replay', '') IS NULL AS "written?"
           WHERE current_setting('synchronous_standby_names') <> ''"#
    )
    .fetch_optional(connection)
    .await?;
    Ok(())
}
