//! `cargo xtask chaos`: breaks the mesh in every way of the fault model, over real processes, and checks its promises.
//!
//! # How a row is written
//! A row is one file `rows/vNN_….rs` with `pub async fn run(stage: &Stage) -> Result<Findings>`, and one line in the
//! table in [`rows`]: id, claim, and its stated counts in the short and in the long form.
//!
//! - [`stage::Stage`] says how much to do: `stage.count("kills")?`, `stage.rng()`, `stage.is_long()`.
//! - `stage.world(Plan { replicas: 2, ..Plan::default() }).await?` is a mesh of real processes with databases of its
//!   own: [`world::World`]. Its `mesh` kills, freezes, drains and restarts processes; `urls()` are the databases;
//!   `api()` is everything public, as an administrator.
//! - [`load::Crowd`] is the load: clients that create, cancel and match, ask again under the same request id until
//!   they are answered, and keep a [`load::History`] each. Start it, break things while `crowd.until_more(n)` waits for
//!   progress, then `crowd.finish()`.
//! - `world.prove(&histories, &mut findings)` ends a row: every saga ends (that is the time to heal), every
//!   acknowledged answer is still true and given again under its request id, and `audit verify` is clean.
//! - [`findings::Findings`] is what a row reports. A row is red if it returned an error, injected no fault, found a
//!   contradiction, or missed a bar (`findings.bar("…", holds, seen)`).
//! - [`wait::until`] waits for a state. Nothing here sleeps to synchronise.
//!
//! Every process of the mesh is this program again, started as `mesh-chaos serve SERVICE`.
//! What is not here: the protocol model and the simulator, and faults that a test can inject inside
//! one process (`crates/test-mesh`).

pub mod bank;
pub mod contest;
pub mod effects;
pub mod findings;
pub mod fuzz;
pub mod harness;
pub mod hot;
pub mod load;
pub mod nemesis;
pub mod options;
pub mod postgres;
pub mod proxy;
pub mod ready;
pub mod redis;
pub mod report;
pub mod rows;
pub mod spells;
pub mod stage;
pub mod volley;
pub mod wait;
pub mod world;
