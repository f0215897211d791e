//! Finds or installs Postgres and Redis and runs private copies of them, for development and tests.
//!
//! Everything started here dies with the process that started it, and is thrown away unless a data directory is
//! named. It deliberately has no production use: authentication is `trust` and only 127.0.0.1 is served.

mod account;
mod binaries;
mod cluster;
mod install;
mod keeper;
mod plans;
mod port;
mod redis;
mod scratch;
mod test_database;

pub use binaries::{on_path, postgres_dir};
pub use cluster::{Cluster, ClusterOptions};
pub use keeper::{Signal, giving_way, send_signal, spawn_kept};
pub use plans::{plan, plans};
pub use port::free_port;
pub use redis::Redis;
pub use test_database::{TEST_POSTGRES_URL, TestDatabase, test_database};
