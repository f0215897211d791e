//! The write path on real Postgres, with the smallest books there can be.

mod counters;
mod executor;
