//! New orders leave in platoons: together, and once those before them are home.
//!
//! What a batch of steps costs hardly depends on how many are in it. A few sagas side by side, each at another step, make
//! many small batches; sagas that took their first step together take all of them together. So a saga that finds few
//! others under way waits until they are home. Whoever is alone leaves at once. Where many are under way batches are
//! large anyway, and nobody waits; nor does anybody wait for a mesh that is slow, or long for those who are stuck.
//!
//! This decides when a saga begins, and nothing else: its intent is not written yet while it waits. A repeated request
//! waits as well, for nobody knows yet that it is one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Nobody is waited for when it is away for longer.
const PATIENCE: Duration = Duration::from_millis(50);
/// Clients that ask again as soon as they are answered do so within this time.
const RETURN: Duration = Duration::from_millis(4);
/// From this part on it is usual to ask again at once, and worth waiting for.
const USUAL: f64 = 0.75;
/// How much the last platoon counts, in what is known of all of them.
const NEWS: f64 = 0.3;

/// A handle to the platoons of one process. Clones share them.
#[derive(Clone)]
pub struct Platoons {
    state: Arc<Mutex<State>>,
}

/// A saga's place in its platoon. Drop it when the saga's outcome is told.
pub struct Seat {
    platoons: Platoons,
    number: u64,
    left: Instant,
}

type Ticket = oneshot::Sender<Seat>;

impl Platoons {
    /// Nobody waits where so many wait or are away. With 0 or 1 nobody ever does.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(most))) }
    }

    /// Waits for the platoon to leave. Dropping the future gives up the place.
    pub async fn board(&self) -> Seat {
        let (ticket, seat) = oneshot::channel();
        {
            let mut state = self.state();
            let now = Instant::now();
            state.board(now, ticket);
            self.look(state, now);
        }
        match seat.await {
            Ok(seat) => seat,
            // Never: the state lives as long as this handle, and keeps the ticket.
            Err(_) => Seat { platoons: self.clone(), number: 0, left: Instant::now() },
        }
    }

    /// Lets those leave who may, or sees to it that somebody looks again.
    fn look(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        match state.next(now) {
            Next::Leave { number, tickets } => {
                drop(state);
                for ticket in tickets {
                    // Who does not wait any more gives its seat back at once.
                    drop(ticket.send(Seat { platoons: self.clone(), number, left: now }));
                }
            }
            Next::LookAt(at) => {
                drop(state);
                let platoons = self.clone();
                // Not a tracked task: who waits is in one.
                tokio::spawn(async move {
                    tokio::time::sleep(at.saturating_duration_since(Instant::now())).await;
                    let mut state = platoons.state();
                    state.looks_at.take_if(|looks_at| *looks_at <= at);
                    platoons.look(state, Instant::now().max(at));
                });
            }
            Next::Wait => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.platoons.state();
        let now = Instant::now();
        if now < self.left + PATIENCE {
            state.is_slow = false;
        }
        if state.comes_home(self.number, now) {
            self.platoons.look(state, now);
        }
    }
}

/// Sagas that left together.
struct Away {
    number: u64,
    left: Instant,
    /// How many left.
    size: usize,
    /// How many have not come home.
    missing: usize,
}

/// The last homecoming after which nobody was away.
struct Homecoming {
    at: Instant,
    /// How many came home then.
    size: usize,
    /// How many boarded soon after.
    returned: usize,
}

struct State {
    most: usize,
    last_number: u64,
    waiting: Vec<Ticket>,
    away: VecDeque<Away>,
    home: Option<Homecoming>,
    /// How many boarded since the first of the last platoon came home.
    early: usize,
    /// Whether sagas took longer than anybody waits, when last heard of.
    is_slow: bool,
    /// Which part of those who come home asks again at once, as far as is known.
    returns: f64,
    /// How many to wait for, while nobody is away.
    expected: usize,
    /// When somebody will look again.
    looks_at: Option<Instant>,
}

enum Next {
    /// Nothing to do before somebody boards or comes home.
    Wait,
    LookAt(Instant),
    Leave {
        number: u64,
        tickets: Vec<Ticket>,
    },
}

impl State {
    fn new(most: usize) -> Self {
        Self {
            most,
            last_number: 0,
            waiting: Vec::new(),
            away: VecDeque::new(),
            home: None,
            early: 0,
            is_slow: false,
            returns: 0.0,
            expected: 1,
            looks_at: None,
        }
    }

    fn board(&mut self, now: Instant, ticket: Ticket) {
        self.waiting.push(ticket);
        self.early = self.early.saturating_add(1);
        if let Some(home) = self.home.as_mut().filter(|home| now < home.at + RETURN) {
            home.returned = home.returned.saturating_add(1);
        }
    }

    /// Notes that a saga is home. True if its platoon is.
    fn comes_home(&mut self, number: u64, now: Instant) -> bool {
        self.give_up_on_stuck(now);
        let Some(place) = self.away.iter().position(|platoon| platoon.number == number) else { return false };
        let Some(platoon) = self.away.get_mut(place) else { return false };
        if platoon.missing == platoon.size {
            self.early = 0;
        }
        platoon.missing = platoon.missing.saturating_sub(1);
        // A platoon is home when three of four are: the rest may be stuck.
        if platoon.missing > platoon.size / 4 {
            return false;
        }
        let size = platoon.size;
        self.away.remove(place);
        if !self.away.is_empty() {
            return true;
        }
        self.learn();
        self.home = Some(Homecoming { at: now, size, returned: self.early });
        // Waits for those who ask again only where that is usual.
        let back =
            if self.returns >= USUAL { part(self.returns, size).saturating_sub(self.early) } else { 0 };
        self.expected = self.waiting.len().saturating_add(back);
        true
    }

    /// Takes in how many came back after the homecoming before.
    fn learn(&mut self) {
        let Some(home) = self.home.take() else { return };
        let returned = home.returned.min(home.size);
        let returned = f64::from(u32::try_from(returned).unwrap_or(u32::MAX));
        let size = f64::from(u32::try_from(home.size).unwrap_or(u32::MAX)).max(1.0);
        self.returns += NEWS * (returned / size - self.returns);
    }

    fn next(&mut self, now: Instant) -> Next {
        self.give_up_on_stuck(now);
        let waiting = self.waiting.len();
        if waiting == 0 {
            return Next::Wait;
        }
        let missing: usize = self.away.iter().map(|platoon| platoon.missing).sum();
        if self.is_slow || waiting >= self.most || missing >= self.most {
            return self.leave(now);
        }
        let at = match (self.away.back(), &self.home) {
            (Some(last), _) => last.left + PATIENCE,
            (None, Some(home)) if waiting < self.expected && now < home.at + RETURN => home.at + RETURN,
            (None, _) => return self.leave(now),
        };
        if self.looks_at.is_some_and(|looks_at| looks_at <= at) {
            return Next::Wait;
        }
        self.looks_at = Some(at);
        Next::LookAt(at)
    }

    fn give_up_on_stuck(&mut self, now: Instant) {
        while self.away.front().is_some_and(|platoon| platoon.left + PATIENCE <= now) {
            self.away.pop_front();
            self.is_slow = true;
        }
    }

    fn leave(&mut self, now: Instant) -> Next {
        self.last_number = self.last_number.wrapping_add(1);
        let tickets = std::mem::take(&mut self.waiting);
        let (number, size) = (self.last_number, tickets.len());
        self.away.push_back(Away { number, left: now, size, missing: size });
        Next::Leave { number, tickets }
    }
}

/// So much of so many, to the nearest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a number of clients")]
fn part(share: f64, of: usize) -> usize {
    (share * f64::from(u32::try_from(of).unwrap_or(u32::MAX))).round() as usize
}

#[cfg(test)]
mod tests;
