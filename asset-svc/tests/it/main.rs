//! Service tests of asset-svc: the real server on port 0, each test with its own database; and the ledger's model.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall say where")]

mod asks;
mod audit;
mod bad_input;
mod harness;
mod holds;
mod idempotency;
mod journal;
mod model;
mod model_order;
mod model_pure;
mod model_served;
mod optimistic;
mod races;
mod reads;
mod seal;
mod steps;
