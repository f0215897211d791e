//! Which databases a command looks into: named on the command line, or those of the mesh that runs here.

use std::path::PathBuf;

use clap::Args;

use crate::dev::DatabaseUrls;
use crate::dev::ready::{ReadyFile, default_path};
use crate::failure::Failure;

/// Names the three databases.
#[derive(Clone, Debug, Default, Args)]
pub struct DatabaseArgs {
    /// order-svc's database.
    #[arg(long, env = "BROKERCTL_ORDER_DATABASE_URL", hide_env_values = true)]
    order_database_url: Option<String>,
    /// asset-svc's database.
    #[arg(long, env = "BROKERCTL_ASSET_DATABASE_URL", hide_env_values = true)]
    asset_database_url: Option<String>,
    /// saga-orchestrator's database.
    #[arg(long, env = "BROKERCTL_ORCHESTRATOR_DATABASE_URL", hide_env_values = true)]
    orchestrator_database_url: Option<String>,
    /// A ready file of `brokerctl dev`. Default: the one of the mesh that runs on this machine.
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The mesh that the ready file tells of, if there is one.
    #[must_use]
    pub fn ready_file(&self) -> Option<ReadyFile> {
        ReadyFile::read(&self.ready_file.clone().unwrap_or_else(default_path)).ok()
    }

    /// All three URLs.
    ///
    /// # Errors
    /// When one is neither named nor known from a running mesh.
    pub fn resolve(&self) -> Result<DatabaseUrls, Failure> {
        let running = self.ready_file().map(|ready| ready.databases);
        let pick = |named: &Option<String>, of: fn(&DatabaseUrls) -> &String, option: &str| {
            named.clone().or_else(|| running.as_ref().map(of).cloned()).ok_or_else(|| {
                Failure::usage(format!(
                    "no mesh runs on this machine: start `brokerctl dev`, or give {option}"
                ))
            })
        };
        Ok(DatabaseUrls {
            order: pick(&self.order_database_url, |urls| &urls.order, "--order-database-url")?,
            asset: pick(&self.asset_database_url, |urls| &urls.asset, "--asset-database-url")?,
            orchestrator: pick(
                &self.orchestrator_database_url,
                |urls| &urls.orchestrator,
                "--orchestrator-database-url",
            )?,
        })
    }
}
