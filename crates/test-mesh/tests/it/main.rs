//! The whole brokerage through its public API, with interleavings by hand where time would decide.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests panic")]

mod bad_input;
mod funds;
mod idempotency;
mod kill;
mod lifecycle;
mod matrix;
mod orphans;
mod roles;
mod telemetry;
mod twelve_failures;
mod watchfulness;
