//! The asset service as a process: `serve`, `migrate` or `healthcheck`.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::run::run::<asset_svc::AssetService>()
}
