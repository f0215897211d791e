//! What every service needs that is not business: settings, telemetry, database, the layer stack, authentication,
//! health, reflection, drain, and the one write path.
//!
//! Reading order: [`run`] (how a service starts and ends), [`executor`] (how anything is written), [`fault`] (what
//! callers are told), [`auth`] (who may call what), [`stack`] (what surrounds each call).

pub mod auth;
pub mod channel;
pub mod clock;
pub mod crash;
pub mod database;
pub mod defect;
pub mod events;
pub mod executor;
pub mod fault;
pub mod health;
pub mod lane;
pub mod metrics;
pub mod months;
pub mod names;
mod ops;
pub mod page;
pub mod reflection;
pub mod run;
pub mod seal;
pub mod settings;
pub mod shutdown;
pub mod stack;
pub mod telemetry;
pub mod validate;

/// Every program that links the kit allocates with this: requests allocate and free many small things on one thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
