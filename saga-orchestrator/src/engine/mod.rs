//! The engine: pure files (`definition`, `log`, `decide`, `recover`) and one loop (`drive`).
//!
//! `definition` says what a saga is, `log` what is known of one, `decide` what to do next, `recover` who needs a
//! driver. `drive` is the only loop: decide, call, record.

pub mod control;
pub mod decide;
pub mod definition;
pub mod drive;
pub mod log;
pub mod pace;
pub mod record;
pub mod recover;
pub mod reply;

#[cfg(test)]
mod exploration;
