//! The write path on real Postgres, with the smallest books there can be; and a whole small service, called over
//! gRPC.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod counters;
mod drain;
mod events;
mod executor;
mod months;
mod seal;
mod serve;
mod small;
