//! Watches the links to the participants: sees to it that somebody finds out when one is back, and shows them in numbers.
//!
//! It needs no database, so an outage of ours does not keep sagas waiting for a participant that is there.

use std::sync::Arc;

use service_kit::run::Kit;

use super::{Drivers, Meters};
use crate::engine::links::Seen;
use crate::sagas::command::Participant;

/// How often it looks while a probe may be due.
const LOOKS_PER_PROBE: u32 = 4;

/// Runs until the service ends.
pub async fn watch_links(kit: Kit, drivers: Arc<Drivers>, meters: Meters) {
    let engine = drivers.engine();
    let pause = engine.pace.breaker_probe / LOOKS_PER_PROBE;
    let mut shown = Participant::ALL.map(|participant| (participant, Seen::default()));
    loop {
        engine.links.probe();
        for (participant, before) in &mut shown {
            let seen = engine.links.to(*participant).seen();
            show(&meters, participant.as_str(), before, &seen);
            *before = seen;
        }
        tokio::select! {
            () = kit.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn show(meters: &Meters, participant: &str, before: &Seen, now: &Seen) {
    meters.breaker_position.with_label_values(&[participant]).set(now.breaker.number());
    let left = i64::try_from(now.retries_left).unwrap_or(i64::MAX);
    meters.retries_left.with_label_values(&[participant]).set(left);
    meters.breaker_opened.with_label_values(&[participant]).inc_by(now.opened - before.opened);
    let by_breaker = now.held_by_breaker - before.held_by_breaker;
    meters.held.with_label_values(&[participant, "breaker"]).inc_by(by_breaker);
    let by_budget = now.held_by_budget - before.held_by_budget;
    meters.held.with_label_values(&[participant, "budget"]).inc_by(by_budget);
}
