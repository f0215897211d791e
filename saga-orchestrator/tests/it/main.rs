//! Tests of the orchestrator from outside: stories of its sagas, and the whole service on a real Postgres.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod fakes;
mod handover;
mod mesh;
mod model;
mod operations;
mod operators;
mod outage;
mod plans;
mod stories;
mod trading;
