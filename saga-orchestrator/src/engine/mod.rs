//! The engine: pure files (`definition`, `log`, `decide`, `recover`, `breaker`, `retries`) and one loop (`drive`).
//!
//! `definition` says what a saga is, `log` what is known of one, `decide` what to do next, `recover` who needs a
//! driver, `breaker` and `retries` whether to ask a participant now. `drive` is the only loop: decide, call, record.

pub mod breaker;
pub mod control;
pub mod decide;
pub mod definition;
pub mod drive;
pub mod links;
pub mod log;
pub mod pace;
pub mod record;
pub mod recover;
pub mod reply;
pub mod retries;
