//! `brokerctl audit verify` and `brokerctl audit head`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{AnchorSource, Demands, SAGA_AGE_MAX, Urls, heads, verify_against};
use crate::cli::Connection;
use crate::databases::DatabaseArgs;
use crate::failure::Failure;
use crate::output::{Format, say};

/// Checks of the books.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Prove from the raw tables that every lira and share is where the orders say.
    Verify(VerifyArgs),
    /// Print how far every hash chain is sealed. Keep it where nobody who can change the databases can change it.
    Head(HeadArgs),
}

/// See [`AuditVerb::Verify`].
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    databases: DatabaseArgs,
    /// A saga has to end within so many seconds.
    #[arg(long, default_value_t = SAGA_AGE_MAX.as_secs())]
    saga_seconds_max: u64,
    /// A head that was written down earlier: [CHAIN=]SEQ:HASH, or a file of what `audit head -o json` printed over
    /// time. May be given several times.
    #[arg(long, value_name = "FILE|SEQ:HASH")]
    anchor: Vec<AnchorSource>,
}

/// See [`AuditVerb::Head`].
#[derive(Debug, Args)]
pub struct HeadArgs {
    #[command(flatten)]
    databases: DatabaseArgs,
}

impl AuditVerb {
    /// Does it, prints, and fails if anything is wrong.
    ///
    /// # Errors
    /// The first contradiction that was found; or a database that cannot be read.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        match self {
            AuditVerb::Verify(args) => args.run(connection.output).await,
            AuditVerb::Head(args) => args.run(connection.output).await,
        }
    }
}

impl VerifyArgs {
    async fn run(self, format: Format) -> Result<(), Failure> {
        let urls = Urls::from(self.databases.resolve()?);
        let mut anchors = Vec::new();
        for source in &self.anchor {
            anchors.extend(source.read()?);
        }
        let demands = Demands { saga_age_max: Duration::from_secs(self.saga_seconds_max), anchors };
        let report = verify_against(&urls, &demands).await?;
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

impl HeadArgs {
    async fn run(self, format: Format) -> Result<(), Failure> {
        let heads = heads::heads(&Urls::from(self.databases.resolve()?)).await?;
        match format {
            Format::Table => say(heads::to_table(&heads)),
            Format::Json => say(heads::to_json(&heads)),
        }
        Ok(())
    }
}

impl From<crate::dev::DatabaseUrls> for Urls {
    fn from(urls: crate::dev::DatabaseUrls) -> Self {
        Self { order: urls.order, asset: urls.asset, orchestrator: urls.orchestrator }
    }
}
