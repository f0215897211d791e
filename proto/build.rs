//! Compiles every proto file with protox: no `protoc` on the machine is needed.

use std::path::PathBuf;

/// Every file that holds a service or a message of ours.
const FILES: &[&str] = &[
    "brokerage/common/v1/common.proto",
    "brokerage/common/v1/inbox.proto",
    "brokerage/common/v1/events.proto",
    "brokerage/trading/v1/trading.proto",
    "brokerage/order/v1/order.proto",
    "brokerage/order/v1/participant.proto",
    "brokerage/order/v1/events.proto",
    "brokerage/asset/v1/asset.proto",
    "brokerage/asset/v1/participant.proto",
    "brokerage/asset/v1/events.proto",
    "brokerage/saga/v1/intent.proto",
    "brokerage/saga/v1/saga.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=brokerage");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("fds.bin"), compiler.encode_file_descriptor_set())?;
    let set = compiler.file_descriptor_set();
    tonic_prost_build::configure().emit_rerun_if_changed(false).compile_fds(set)?;
    Ok(())
}
