//! Bad input through the public API: a code, a reason, the fields at fault, and no effect.
//!
//! A request id that comes with another payload is bad input too; `idempotency` tries that on every command.

mod amounts;
mod callers;
mod faults;
mod matches;
mod not_theirs;
mod pages;
mod refused;
