//! The load: clients in a closed loop, each starting its next saga when the last one has ended.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;

use crate::Run;
use crate::effects::Order;

/// Not measured: connections open, caches fill. As long as for the mesh.
const WARM_UP: Duration = Duration::from_millis(700);

/// What all clients saw.
#[derive(Debug)]
pub struct Seen {
    /// Microseconds of each saga that ended within the window.
    pub latencies: Histogram<u64>,
    /// Sagas that ended, the warm-up's too.
    pub sagas: u64,
}

/// Gives out the numbers of sagas, like a sequence. They are above those of the floors and of every earlier run.
#[derive(Debug)]
pub struct Numbers(AtomicI64);

impl Numbers {
    /// Begins with the microseconds since 1970.
    ///
    /// # Errors
    /// When the clock stands before 1970.
    pub fn start() -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?;
        Ok(Self(AtomicI64::new(i64::try_from(now.as_micros()).context("read the clock")?)))
    }

    /// The first number that was not given out.
    pub fn next(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// An order of this customer with a number of its own.
    pub fn order(&self, customer: u32) -> Order {
        Order { id: self.0.fetch_add(1, Ordering::Relaxed), customer }
    }
}

/// Runs the clients for the warm-up and the window. Sagas that were begun are waited for.
///
/// # Errors
/// When a saga ends otherwise than with an open order.
pub async fn measure<F, Fut>(run: &Run, numbers: &Numbers, saga: F) -> Result<Seen>
where
    F: Fn(Order) -> Fut + Clone,
    Fut: Future<Output = Result<bool>>,
{
    let begin = Instant::now() + WARM_UP;
    let end = begin + run.time();
    let client = |index: usize| {
        let saga = saga.clone();
        async move {
            let mut seen = Seen { latencies: histogram()?, sagas: 0 };
            let mut random = index as u64 * 0x9e37_79b9 + 1;
            while Instant::now() < end {
                let order = numbers.order(draw(&mut random, run.customers));
                let sent = Instant::now();
                ensure!(saga(order).await?, "saga {} was refused", order.id);
                seen.sagas += 1;
                let now = Instant::now();
                if now >= begin && now < end {
                    let micros = u64::try_from((now - sent).as_micros()).unwrap_or(u64::MAX);
                    seen.latencies.saturating_record(micros.max(1));
                }
            }
            Ok::<_, anyhow::Error>(seen)
        }
    };
    let mut all = Seen { latencies: histogram()?, sagas: 0 };
    for seen in try_join_all((0..run.clients).map(client)).await? {
        all.latencies.add(seen.latencies).context("add up the latencies")?;
        all.sagas += seen.sagas;
    }
    Ok(all)
}

/// A number below `below`, from a xorshift generator.
fn draw(state: &mut u64, below: u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (((*state >> 32) * u64::from(below)) >> 32) as u32
}

fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("make a histogram")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_customer_is_drawn_and_nobody_else() {
        let mut state = 1;
        let drawn: std::collections::BTreeSet<_> = (0..1_000).map(|_| draw(&mut state, 10)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
}
