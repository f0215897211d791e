//! What can be asked of the harness.

use std::path::PathBuf;

use clap::Parser;

/// Breaks the mesh in every way of the fault model and checks that nothing is lost.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask chaos", max_term_width = 110)]
pub struct Options {
    /// The counts of the bars instead of the small ones.
    #[arg(long)]
    pub long: bool,
    /// Where every row's randomness starts. Default: a new one, which is printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// These rows only, such as `V5,V6`.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Runs the rows again with other seeds until so many minutes have passed.
    #[arg(long)]
    pub minutes: Option<u64>,
    /// Also writes the report here, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Prints the rows with their counts, and runs none.
    #[arg(long)]
    pub list: bool,
    /// What the services log, as a filter.
    #[arg(long, default_value = "off")]
    pub log: String,
}
