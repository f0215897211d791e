//! `brokerctl audit verify`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{SAGA_AGE_MAX, Urls, verify_within};
use crate::cli::Connection;
use crate::databases::DatabaseArgs;
use crate::failure::Failure;
use crate::output::{Format, say};

/// Checks of the books.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Prove from the raw tables that every lira and share is where the orders say.
    Verify(VerifyArgs),
}

/// See [`AuditVerb::Verify`].
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    databases: DatabaseArgs,
    /// A saga has to end within so many seconds.
    #[arg(long, default_value_t = SAGA_AGE_MAX.as_secs())]
    saga_seconds_max: u64,
}

impl AuditVerb {
    /// Checks, prints, and fails if anything is wrong.
    ///
    /// # Errors
    /// The first contradiction that was found; or a database that cannot be read.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        match self {
            AuditVerb::Verify(args) => args.run(connection.output).await,
        }
    }
}

impl VerifyArgs {
    async fn run(self, format: Format) -> Result<(), Failure> {
        let urls = Urls::from(self.databases.resolve()?);
        let report = verify_within(&urls, Duration::from_secs(self.saga_seconds_max)).await?;
        match format {
            Format::Table => say(report.to_table()),
            Format::Json => say(report.to_json()),
        }
        match report.first_break() {
            None => Ok(()),
            Some((id, what)) => Err(Failure::check(format!("{id} does not hold: {what}"))),
        }
    }
}

impl From<crate::dev::DatabaseUrls> for Urls {
    fn from(urls: crate::dev::DatabaseUrls) -> Self {
        Self { order: urls.order, asset: urls.asset, orchestrator: urls.orchestrator }
    }
}
