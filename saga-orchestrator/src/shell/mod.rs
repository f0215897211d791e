//! What surrounds the engine in a process: drivers as tasks, their notes, recovery, and who hears of changes.
//!
//! Not here: what to do next (`engine/`), SQL (`store/`).

mod capacity;
mod changes;
mod drivers;
mod front_door;
mod links;
mod live;
mod meters;
mod orphans;
mod platoon;
mod recovery;
mod redis_link;
mod scribe;
mod traced;

pub use changes::Changes;
pub use drivers::{Assigned, Drivers, Fate, Running};
pub use front_door::{FrontDoor, Pass};
pub use links::watch_links;
pub use live::Live;
pub use meters::Meters;
pub use orphans::adopt_orphans;
pub use platoon::{Platoons, Seat};
pub use recovery::recover;
pub(crate) use recovery::take_up;
pub use redis_link::RedisLink;
pub use traced::Origin;
