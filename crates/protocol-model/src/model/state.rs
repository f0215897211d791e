//! One state of the model, small enough to keep a million of them.

use brokerage_types::Reason;
use saga_orchestrator::engine::log::Log;

use super::plan::Plan;

/// Most sagas in one scenario.
pub const SAGAS_MAX: usize = 3;
/// Most drivers in one scenario.
pub const DRIVERS_MAX: usize = 6;
/// No driver in this place.
pub const NOBODY: u16 = u16::MAX;

/// What a durable latch says, in the variants that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Latch {
    /// Nothing yet.
    #[default]
    Open,
    /// The saga is given up.
    Abort,
    /// The saga happens.
    Commit,
}

/// What a client was told of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// All effects are in place.
    Completed,
    /// None remains, and why.
    RolledBack(Reason),
}

/// Everything that can still matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Messages that were sent at least once: each may arrive, again and again.
    pub sent: u128,
    /// The participants' rows.
    pub floor: u32,
    /// What each driver knows.
    pub drivers: [u16; DRIVERS_MAX],
    /// What clients were told of each saga.
    pub answers: [Option<Told>; SAGAS_MAX],
    /// One a saga.
    pub latches: [Latch; SAGAS_MAX],
}

/// One driver: what it knows, and its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Driver {
    /// Which saga it drives.
    pub saga: usize,
    /// What it knows.
    pub log: Log,
    /// What it sends along.
    pub epoch: u64,
}

/// What happens between two states.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// A message that was sent earlier arrives; nobody hears the answer.
    Late { message: u8, reply: u8 },
    /// A driver loses everything, and is driven on with this epoch.
    Forgets { driver: u8, epoch: u64, saga: u8 },
    /// A driver gives up.
    GivesUp { driver: u8, saga: u8 },
    /// A driver sends messages, and hears nothing.
    Sends { driver: u8, message: u8 },
    /// A driver sends messages, and hears one answer.
    Hears { driver: u8, message: u8, reply: u8 },
    /// A driver answers its client.
    Answers { driver: u8, saga: u8, told: Told },
    /// A driver sets the durable latch.
    Latches { driver: u8, saga: u8, latch: Latch },
}

impl Plan {
    /// Whether the driver has nothing left to do.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Plan::Completed | Plan::RolledBack(_) => true,
            Plan::Ask(..) | Plan::Latch(_) | Plan::Forget | Plan::Stuck => false,
        }
    }
}
