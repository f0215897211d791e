//! What the ledger decides. Pure: no async, no SQL, no wire types, no clock, no randomness.
//!
//! A command becomes a [`Plan`](plan::Plan) by looking at a [`World`](world::World), and the world takes the plan as
//! a whole or not at all. Read `hold` for the rule that keeps an order's money, `ledger` for the rule that keeps
//! everybody's, `settle` for the one movement that is both.

pub mod asset;
pub mod balance;
pub mod command;
pub mod customer;
pub mod decide;
pub mod event;
pub mod fees;
pub mod footprint;
pub mod hold;
pub mod ledger;
pub mod movement;
pub mod place;
pub mod plan;
pub mod rejection;
pub mod settle;
pub mod world;
