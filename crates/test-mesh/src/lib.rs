//! A brokerage for tests: three services with a database each, in one process, and people who use them.
//!
//! [`Brokerage`] starts it, [`Person`] has the verbs, [`ByHand`] drives sagas step by step where a test needs an
//! interleaving, [`Snapshot`] shows what a refused command must leave alone, and [`Brokerage::audit`] ends a test.
//! It talks to each service's own listeners. The mesh as users run it, edge included, is `brokerctl`'s.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "this crate is part of tests: what cannot go on panics, and says so"
)]

mod audit;
mod brokerage;
mod by_hand;
mod call;
pub mod collector;
mod identity;
mod market;
mod person;
mod purse;
mod refusal;
mod service;
mod snapshot;
mod wait;

pub use brokerage::{Brokerage, Databases, Options};
pub use by_hand::{ByHand, CancelByHand, CreateByHand, MatchByHand};
pub use call::{Answered, call, every_path, every_request_id_path};
pub use collector::Collector;
pub use identity::{Identity, Wire};
pub use market::{ALICE, BOB, CAROL};
pub use person::{Person, fresh};
pub use purse::{Holding, holding};
pub use refusal::{Refusal, expect_refusal};
pub use service::Running;
pub use snapshot::Snapshot;
pub use wait::until;
