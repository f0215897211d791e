//! The real server on port 0, over its own database.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what tests are built from may panic as they do"
)]

mod bad_input;
mod events;
mod fixture;
mod labels;
mod lives;
mod one_service;
mod optimistic;
mod plans;
mod reads;
mod replicas;
mod step;
mod steps;
