//! Crash points: places at which a process ends as if it had been killed there, if a fault test has armed one.
//!
//! A debug build reads the variable [`ARMED`] once, such as `executor.worked:2`: the process aborts when it comes to
//! that point for the second time. A point may be met for a step in particular, `engine.sending/place_hold:1`. Release
//! builds have none of this: a call of [`point`] is nothing there.

/// Names the point that is armed in this process, and how often it has to be met.
pub const ARMED: &str = "MESH_CRASH_AT";

/// Every point, as `place.moment`. Lanes have five each; the rest is the orchestrator's.
pub const POINTS: &[&str] = &[
    // The participants' write path: inbox, effect and events are one transaction.
    "executor.taken",
    "executor.begun",
    "executor.worked",
    "executor.committed",
    "executor.answered",
    // The durable intent.
    "intents.taken",
    "intents.begun",
    "intents.worked",
    "intents.committed",
    "intents.answered",
    // The step log and the terminal mark.
    "trail.taken",
    "trail.begun",
    "trail.worked",
    "trail.committed",
    "trail.answered",
    // Heartbeats and adoption.
    "upkeep.taken",
    "upkeep.begun",
    "upkeep.worked",
    "upkeep.committed",
    "upkeep.answered",
    // One attempt of one step.
    "engine.sending",
    "engine.heard",
    "engine.undoing",
    "engine.undone",
    // The outcome is in effect; callers know; the mark is written.
    "driver.ended",
    "driver.told",
    "driver.marked",
];

/// Ends the process here, without any goodbye, if this point is armed and its turn has come. `step` narrows the point
/// down where there is one.
#[inline]
pub fn point(place: &str, moment: &str, step: Option<&str>) {
    #[cfg(debug_assertions)]
    armed::met(place, moment, step);
    #[cfg(not(debug_assertions))]
    let _ = (place, moment, step);
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::ARMED;

    static THE_ONE: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) struct Armed {
        place: String,
        moment: String,
        step: Option<String>,
        left: AtomicU32,
    }

    pub(super) fn met(place: &str, moment: &str, step: Option<&str>) {
        let armed = THE_ONE.get_or_init(|| std::env::var(ARMED).ok().as_deref().and_then(Armed::parse));
        if armed.as_ref().is_some_and(|armed| armed.is_due(place, moment, step)) {
            // No destructor, no flush, no signal handler: as near to kill -9 as a process can do to itself.
            std::process::abort();
        }
    }

    impl Armed {
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (name, left) = text.rsplit_once(':').unwrap_or((text, "1"));
            let (name, step) = name.split_once('/').map_or((name, None), |(name, step)| (name, Some(step)));
            let (place, moment) = name.split_once('.')?;
            Some(Self {
                place: place.to_owned(),
                moment: moment.to_owned(),
                step: step.map(str::to_owned),
                left: AtomicU32::new(left.parse().ok()?),
            })
        }

        pub(super) fn is_due(&self, place: &str, moment: &str, step: Option<&str>) -> bool {
            let is_meant = self.place == place
                && self.moment == moment
                && (self.step.is_none() || self.step.as_deref() == step);
            is_meant && self.left.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::POINTS;
    use super::armed::Armed;

    #[test]
    fn a_point_is_due_when_it_is_met_often_enough_and_for_the_right_step() {
        let armed = Armed::parse("engine.sending/open:2").unwrap();
        for (place, moment, step, due) in [
            ("engine", "sending", Some("draft"), false),
            ("engine", "heard", Some("open"), false),
            ("engine", "sending", Some("open"), false),
            ("engine", "sending", Some("open"), true),
            ("engine", "sending", Some("open"), false),
        ] {
            assert_eq!(armed.is_due(place, moment, step), due, "{place}.{moment} {step:?}");
        }
        let any = Armed::parse("executor.worked").unwrap();
        assert!(any.is_due("executor", "worked", None));
        assert!(Armed::parse("nonsense").is_none() && Armed::parse("a.b:x").is_none());
    }

    #[test]
    fn every_point_has_a_place_and_a_moment() {
        for point in POINTS {
            assert_eq!(point.split('.').count(), 2, "{point}");
        }
    }
}
