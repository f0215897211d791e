//! `cargo xtask …`: the chores of this project, so that a laptop and CI run the very same thing.
//!
//! Deliberately not here: anything a service needs at run time. This crate runs other programs and reads files.

mod alerts;
mod ci;
mod cluster;
mod db;
mod debezium;
mod deploy;
mod k8s;
mod mutants;
mod observe;
mod pgo;
mod process;
mod sbom;
mod test;
mod tidy;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of this project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs every test of the workspace against one throwaway Postgres server.
    Test {
        /// Passed on to `cargo test --workspace`, such as `-p order-svc` or `some_test_name`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Checks the house rules that the compiler and clippy cannot: layers, sizes, headers, step contexts.
    Tidy,
    /// Everything that has to be green: format, tidy, SQL, clippy, tests, documentation.
    Ci {
        /// Ends with a short run of the benchmark. It prints its ratios; machines differ, so it does not judge them.
        #[arg(long)]
        bench_smoke: bool,
    },
    /// The committed metadata of the SQL that is checked at compile time.
    #[command(subcommand)]
    Db(Db),
    /// Breaks the mesh in every way of the fault model and checks that nothing is lost. `--help` shows its options.
    #[command(disable_help_flag = true)]
    Chaos {
        /// Passed on to the harness, such as `--long`, `--only V5,V6` or `--seed 7`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Seeds known defects one by one and checks that the test named for each fails. See `docs/reliability.md`.
    Mutants {
        /// Only defects whose name contains one of these words.
        only: Vec<String>,
    },
    /// Checks alerts, images, compose and pipeline with their own linters. Needs `cargo xtask tools`, and promtool.
    DeployCheck,
    /// Reads the outbox tables of a mesh with the real Debezium engine. Needs the engine; says how to install it.
    DebeziumCheck,
    /// Checks the Helm chart with helm, schemas, policies and the services themselves. Needs `cargo xtask tools`.
    K8sCheck {
        /// Writes the plain manifests anew instead of comparing them.
        #[arg(long)]
        write: bool,
    },
    /// Starts the mesh, a collector and Prometheus, plays a workload, and looks into every panel and every trace.
    Observe,
    /// Prints what is inside the shipped programs, as CycloneDX.
    Sbom,
    /// Installs the programs that check what is deployed, into `.tools/`.
    Tools,
    /// Builds the shipped programs with a profile of what they do, as they are measured, and copies them.
    Release {
        /// Without a profile: in half the time. The services take a fifth more CPU.
        #[arg(long)]
        plain: bool,
        /// Where to.
        #[arg(long, default_value = "target/dist")]
        output: PathBuf,
    },
    /// Measures the mesh against two pgbench controls; fails when a bar is missed. See `--help` after `--`.
    Bench {
        /// `--plain` builds without a profile; the rest goes to the benchmark, such as `--short` or `--clients 1,64`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Db {
    /// Writes every crate's `.sqlx` anew, from the migrations and the code.
    Prepare,
    /// Fails when a crate's `.sqlx` is not what `prepare` would write.
    Check,
}

fn main() -> ExitCode {
    let chore = Cli::parse().chore;
    let done = match chore {
        Chore::Test { args } => test::run(&args),
        Chore::Tidy => tidy::run(&process::root()),
        Chore::Ci { bench_smoke } => ci::run(bench_smoke),
        Chore::Db(Db::Prepare) => db::prepare(),
        Chore::Db(Db::Check) => db::check(),
        Chore::Chaos { args } => process::chaos(&args),
        Chore::Mutants { only } => mutants::run(&only),
        Chore::DeployCheck => deploy::run(),
        Chore::DebeziumCheck => debezium::check(),
        Chore::K8sCheck { write } => k8s::run(write),
        Chore::Observe => observe::run(),
        Chore::Sbom => sbom::run(),
        Chore::Tools => tools::install(),
        Chore::Release { plain, output } => pgo::release(sbom::PROGRAMS, plain, &output),
        Chore::Bench { args } => process::bench(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
