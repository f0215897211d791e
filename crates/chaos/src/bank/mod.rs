//! The bank test's parts: accounts that everybody shares, clients that read what they wrote, and snapshots of the books.

mod client;
mod snapshot;

pub use client::{ACCOUNTS, ASSETS, BankPlan, Moved, Teller, open};
pub use snapshot::{Camera, Exposures};
