//! The command line client of the brokerage, and the whole mesh for development.
//!
//! [`api`] talks to the public API, [`verbs`] are the client's commands, [`dev`] runs the mesh on this machine and
//! [`replay`] plays recorded order flow through it. There is no business rule here: the services decide.

pub mod api;
pub mod audit;
pub mod cli;
pub mod databases;
pub mod dev;
pub mod doctor;
pub mod failure;
pub mod market;
pub mod output;
pub mod replay;
pub mod verbs;
