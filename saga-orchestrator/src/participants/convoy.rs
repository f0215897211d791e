//! Calls to the two participants begin together, where that costs hardly anything.
//!
//! A saga's first stage goes to both at once, and what comes next to one of them. A participant that is done a moment
//! before the other would begin its next call without the steps that the other's answer brings, and these would wait
//! for a whole call: they wait longer, and there are more and smaller batches. So a call waits for the other
//! participant's if that is expected back soon. By itself that keeps the two in step.
//!
//! Nobody waits for a participant that is slow, stuck or out of step, nor where many steps wait already. This decides
//! when a call begins, and nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Nobody waits longer, however long calls usually take.
const PATIENCE: Duration = Duration::from_millis(5);
/// Nobody waits where so many steps do: a large batch gains nothing by a few more.
const MANY: usize = 16;
/// How much the last call counts, in what is known of all of them.
const NEWS: f64 = 0.2;

/// One participant's place in a convoy of two.
pub(super) struct Place {
    convoy: Arc<Convoy>,
    me: usize,
}

/// A call that is under way. Drop it when it is over.
pub(super) struct Trip {
    convoy: Arc<Convoy>,
    me: usize,
}

#[derive(Default)]
struct Convoy {
    sides: Mutex<[Side; 2]>,
    home: Notify,
}

#[derive(Clone, Copy, Default)]
struct Side {
    /// When the call that is under way began.
    left: Option<Instant>,
    /// How long calls take.
    usual: Duration,
}

/// The places of two participants.
pub(super) fn pair() -> (Place, Place) {
    let convoy = Arc::<Convoy>::default();
    (Place { convoy: Arc::clone(&convoy), me: 0 }, Place { convoy, me: 1 })
}

impl Place {
    /// Waits for the other participant's call, if it is worth it. So many steps wait here.
    pub async fn join(&self, waiting: usize) {
        let home = self.convoy.home.notified();
        tokio::pin!(home);
        // From here on no homecoming is missed.
        home.as_mut().enable();
        let most = self.patience(waiting);
        if !most.is_zero() {
            // Either way the call begins now.
            let _ = tokio::time::timeout(most, home).await;
        }
    }

    /// The call begins.
    pub fn leave(&self) -> Trip {
        if let Some(side) = self.convoy.sides().get_mut(self.me) {
            side.left = Some(Instant::now());
        }
        Trip { convoy: Arc::clone(&self.convoy), me: self.me }
    }

    /// How long to wait for the other at most.
    fn patience(&self, waiting: usize) -> Duration {
        let sides = *self.convoy.sides();
        let (Some(mine), Some(other)) = (sides.get(self.me), sides.get(1 - self.me)) else {
            return Duration::ZERO;
        };
        let Some(left) = other.left.filter(|_| waiting < MANY) else { return Duration::ZERO };
        let most = PATIENCE.min(mine.usual / 2);
        // Early or late by no more than that.
        if left.elapsed().abs_diff(other.usual) < most { most } else { Duration::ZERO }
    }
}

impl Convoy {
    fn sides(&self) -> MutexGuard<'_, [Side; 2]> {
        self.sides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        if let Some(side) = self.convoy.sides().get_mut(self.me)
            && let Some(left) = side.left.take()
        {
            side.usual = side.usual.mul_f64(1.0 - NEWS) + left.elapsed().mul_f64(NEWS);
        }
        self.convoy.home.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(4);

    /// Both participants' calls take 4 ms, and neither is under way.
    async fn used() -> (Place, Place) {
        let (order, asset) = pair();
        for _ in 0..40 {
            let trips = (order.leave(), asset.leave());
            tokio::time::advance(USUAL).await;
            drop(trips);
        }
        (order, asset)
    }

    /// How long a call waits with so many steps, if the other's began so long ago and comes back after so long.
    async fn waits(waiting: usize, ago: u64, until_back: u64) -> u128 {
        let (order, asset) = used().await;
        let trip = asset.leave();
        tokio::time::advance(Duration::from_millis(ago)).await;
        let begin = Instant::now();
        let back = async {
            for _ in 0..until_back {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            drop(trip);
        };
        let joined = async {
            order.join(waiting).await;
            begin.elapsed().as_millis()
        };
        tokio::join!(joined, back).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_one_that_is_expected_soon_and_for_no_other() {
        for (case, waiting, ago, until_back, waited) in [
            ("soon back", 1, 3, 1, 1),
            ("a little late", 1, 5, 1, 1),
            ("not back when it should be", 1, 3, 100, 2),
            ("stuck", 1, 60, 100, 0),
            ("has just left", 1, 0, 4, 0),
            ("out of step", 1, 1, 3, 0),
            ("enough steps wait", MANY, 3, 1, 0),
        ] {
            assert_eq!(waits(waiting, ago, until_back).await, waited, "{case}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_who_is_at_home_or_is_not_known() {
        let begin = Instant::now();
        let (order, asset) = pair();
        order.join(1).await;
        let trip = asset.leave();
        order.join(1).await;
        drop(trip);
        let (order, _asset) = used().await;
        let used = Instant::now();
        order.join(1).await;
        assert_eq!(used.elapsed(), Duration::ZERO);
        assert_eq!(begin.elapsed(), USUAL * 40);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_take_seconds_are_waited_for_5_ms_at_most() {
        let (order, asset) = pair();
        for _ in 0..40 {
            let trips = (order.leave(), asset.leave());
            tokio::time::advance(Duration::from_secs(2)).await;
            drop(trips);
        }
        let _trip = asset.leave();
        tokio::time::advance(Duration::from_millis(1_998)).await;
        let begin = Instant::now();
        order.join(1).await;
        assert_eq!(begin.elapsed(), PATIENCE);
    }
}
