//! Who needs a driver: a pure plan over what a scan of the active sagas saw.
//!
//! Not here: the scan, the locks and the new owner's name (`store`), and the driving (`drive`). Two processes that
//! plan the same saga are harmless: the pivot decides, not the owner.

use std::collections::HashSet;

use brokerage_types::SagaId;
use service_kit::defect;
use uuid::Uuid;

/// One active saga, as the scan saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub saga_id: SagaId,
    /// Who drives it, by its row.
    pub owner: Uuid,
    /// Whether that owner's heartbeat is younger than the lease.
    pub owner_lives: bool,
    /// Whether the row has not changed for a lease.
    pub is_quiet: bool,
}

/// The sagas that this process shall drive from now on: those whose owner is gone, and its own that nobody here
/// drives (an intent whose commit had an unknown outcome, a driver that panicked).
#[must_use]
pub fn plan(me: Uuid, driven_here: &HashSet<SagaId>, seen: &[Seen]) -> Vec<SagaId> {
    let needs_driver = |saga: &&Seen| {
        if driven_here.contains(&saga.saga_id) {
            return false;
        }
        let owner_lives = (saga.owner_lives && !defect::is_seeded("living_owner_robbed"))
            || defect::is_seeded("orphans_left_alone");
        if saga.owner == me { saga.is_quiet } else { !owner_lives }
    };
    seen.iter().filter(needs_driver).map(|saga| saga.saga_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_is_taken_if_nobody_alive_drives_it() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let number = SagaId::from(Uuid::from_u128(7));
        // (owner, owner lives, quiet, driven here) -> taken
        let cases = [
            (other, true, true, false, false),
            (other, false, false, false, true),
            (other, false, true, true, false),
            (me, true, false, false, false),
            (me, true, true, false, true),
            (me, true, true, true, false),
            // Our own heartbeat is late: what we drive stays ours.
            (me, false, true, true, false),
        ];
        for (owner, owner_lives, is_quiet, driven, taken) in cases {
            let driven_here = if driven { HashSet::from([number]) } else { HashSet::new() };
            let seen = [Seen { saga_id: number, owner, owner_lives, is_quiet }];
            let planned = plan(me, &driven_here, &seen);
            assert_eq!(!planned.is_empty(), taken, "{owner} {owner_lives} {is_quiet} {driven}");
        }
    }
}
