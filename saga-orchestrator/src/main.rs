//! The orchestrator's process: serve, migrate, healthcheck.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run::run::<saga_orchestrator::Orchestrator>()
}
