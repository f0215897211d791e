//! The write path on real Postgres, with the smallest books there can be; and a whole small service, called over
//! gRPC.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod counters;
mod drain;
mod events;
mod executor;
#[expect(clippy::duplicate_mod, reason = "the same promises on the other way through the executor")]
#[path = "executor.rs"]
mod executor_optimistic;
#[expect(clippy::duplicate_mod, reason = "and on the shortest one")]
#[path = "executor.rs"]
mod executor_recalling;
mod first_steps;
mod lane;
mod months;
mod recollection;
mod seal;
mod serve;
mod small;
mod standby;
