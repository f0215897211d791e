//! The program behind `cargo xtask chaos`, and every process of the meshes that it breaks.

use std::process::ExitCode;

use clap::Parser;

use mesh_chaos::harness;
use mesh_chaos::options::Options;

fn main() -> ExitCode {
    // The mesh starts this very program as its services.
    if std::env::args().nth(1).is_some_and(|word| word == "serve") {
        return brokerctl::cli::main();
    }
    let options = Options::parse();
    // Two: the harness shares the machine with what it breaks, and must notice in time what that does.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(harness::run(&options))));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
