//! Orders, trades and instruments: the order state machine, its saga steps and its reads.
//!
//! Reading order: [`domain`] (what may happen to an order), `store::books` (how the executor sees it), `grpc` (how it
//! is called). Money and holds are asset-svc's; which step comes when is the orchestrator's.

pub mod audit;
pub mod domain;
mod grpc;
mod service;
pub mod store;

pub use service::{OrderService, migrations};
