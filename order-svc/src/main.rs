//! Runs the order service: `serve`, `migrate` or `healthcheck`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run::run::<order_svc::OrderService>()
}
