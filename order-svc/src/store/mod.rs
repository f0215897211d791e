//! SQL and the rows behind it. Gives and takes domain values; knows no wire types.
//!
//! Writes are the executor's: `books` plugs the domain into it. Reads have their own queries, here too.

pub mod books;
mod decide;
pub mod in_flight;
mod load;
mod optimistic;
pub mod reads;
pub mod recollection;
mod rows;
mod save;
pub mod world;
