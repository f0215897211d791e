//! The command line: what can be typed, and what runs.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::audit::command::AuditVerb;
use crate::dev::command::{DevArgs, ServeArgs};
use crate::doctor::{self, DoctorArgs};
use crate::failure::{Exit, Failure};
use crate::output::{Format, say};
use crate::replay::ReplayArgs;
use crate::verbs::asset::AssetVerb;
use crate::verbs::directory::{CustomerVerb, InstrumentVerb};
use crate::verbs::events::EventsArgs;
use crate::verbs::order::OrderVerb;
use crate::verbs::saga::SagaVerb;

const EXIT_CODES: &str = "Exit codes: 0 done · 1 refused, or a check found a difference · 2 wrong usage · \
                          3 unavailable or out of time, try again · 4 fault";

/// The command line client of the brokerage, and the whole mesh for development.
#[derive(Debug, Parser)]
#[command(name = "brokerctl", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

/// Whom to talk to, as whom, and how to print.
#[derive(Clone, Debug, clap::Args)]
pub struct Connection {
    /// The public API.
    #[arg(long, global = true, env = "BROKERCTL_SERVER", default_value = "http://127.0.0.1:50051")]
    pub server: String,
    /// Who is asking. The development mesh knows token-admin, token-customer-a, token-customer-b, …
    #[arg(
        long,
        global = true,
        env = "BROKERCTL_TOKEN",
        default_value = "token-admin",
        hide_env_values = true
    )]
    pub token: String,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole mesh on this machine, for development.
    Dev(DevArgs),
    /// Create, cancel, match and look at orders.
    #[command(subcommand)]
    Order(OrderVerb),
    /// Look at balances and move them.
    #[command(subcommand)]
    Asset(AssetVerb),
    /// Look at sagas, and help those that are stuck.
    #[command(subcommand)]
    Saga(SagaVerb),
    /// Look at what can be traded.
    #[command(subcommand)]
    Instrument(InstrumentVerb),
    /// Look at customers.
    #[command(subcommand)]
    Customer(CustomerVerb),
    /// Follow what happens: every event of one service, from a cursor on.
    Events(EventsArgs),
    /// Play recorded order flow (LOBSTER messages) through the public API and compare the result with the file.
    Replay(ReplayArgs),
    /// Check the books.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Check what the mesh needs, and say how to fix what is missing.
    Doctor(DoctorArgs),
    /// Ask a server whether it serves. For scripts and for tests of an installation.
    Health,
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Run one service, configured by its environment (used by `dev --replicas`).
    #[command(hide = true)]
    Serve(ServeArgs),
}

/// Parses the command line and runs it to its end.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.connection.output;
    match run(cli) {
        Ok(()) => ExitCode::from(Exit::Done as u8),
        Err(failure) => {
            match (format, serde_json::to_string(&failure)) {
                (Format::Json, Ok(json)) => eprintln!("{json}"),
                (Format::Table, _) | (Format::Json, Err(_)) => eprintln!("{failure}"),
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let connection = cli.connection;
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "brokerctl", &mut script);
            say(String::from_utf8_lossy(&script));
            Ok(())
        }
        // A service makes the runtime it wants.
        Command::Serve(args) => Ok(args.run()?),
        Command::Dev(args) => on_runtime(args.run()),
        Command::Order(verb) => on_runtime(verb.run(&connection)),
        Command::Asset(verb) => on_runtime(verb.run(&connection)),
        Command::Saga(verb) => on_runtime(verb.run(&connection)),
        Command::Instrument(verb) => on_runtime(verb.run(&connection)),
        Command::Customer(verb) => on_runtime(verb.run(&connection)),
        Command::Events(args) => on_runtime(args.run(&connection)),
        Command::Replay(args) => on_runtime(args.run(&connection)),
        Command::Audit(verb) => on_runtime(verb.run(&connection)),
        Command::Doctor(args) => on_runtime(args.run(&connection)),
        Command::Health => on_runtime(doctor::health(&connection)),
    }
}

fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(anyhow::Error::from(error).context("start the runtime")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
