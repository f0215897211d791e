//! The auditor: a small world written by hand is clean, and every kind of damage to it is found.

mod corruptions;
mod live;
mod money;
mod orders;
mod tampering;
mod world;
