//! New orders leave in platoons: together, and once those before them are home.
//!
//! What a batch of steps costs hardly depends on how many are in it. A few sagas side by side, each at another step, make
//! many small batches; sagas that took their first step together take all of them together. So a saga that finds few
//! others under way waits until they are home. Whoever is alone leaves at once.
//!
//! Nobody waits where clients come when they like instead of asking again ([`habit`]), where many are under way and
//! batches are large anyway, or while the mesh is slow; and nobody waits long for those who are stuck.
//!
//! This decides when a saga begins, and nothing else: its intent is not written yet while it waits. A repeated request
//! waits as well, for nobody knows yet that it is one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::Histogram;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::habit::Habit;

mod habit;

/// Nobody is waited for when it is away for longer.
const PATIENCE: Duration = Duration::from_millis(50);
/// Clients that ask again as soon as they are answered do so within this time.
const RETURN: Duration = Duration::from_millis(4);

/// A handle to the platoons of one process. Clones share them.
#[derive(Clone)]
pub struct Platoons {
    state: Arc<Mutex<State>>,
    /// How long each waited, in seconds.
    boarding: Histogram,
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
    pub fn new(most: usize, boarding: Histogram) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(most))), boarding }
    }

    /// Waits for the platoon to leave. Dropping the future gives up the place.
    pub async fn board(&self) -> Seat {
        let (ticket, seat) = oneshot::channel();
        let timer = self.boarding.start_timer();
        {
            let mut state = self.state();
            let now = Instant::now();
            state.board(now, ticket);
            self.look(state, now);
        }
        let seat = seat.await;
        timer.observe_duration();
        match seat {
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
    /// Whether what they do next tells something: they waited, and nobody else was away.
    is_telling: bool,
}

/// The last homecoming after which nobody was away.
struct Homecoming {
    at: Instant,
    /// How many had left together.
    size: usize,
    /// See [`Away`].
    is_telling: bool,
}

struct State {
    most: usize,
    last_number: u64,
    waiting: Vec<Ticket>,
    away: VecDeque<Away>,
    home: Option<Homecoming>,
    /// How many boarded since the first of the last platoon came home, until soon after the last did.
    back: usize,
    /// Whether sagas took longer than anybody waits, when last heard of.
    is_slow: bool,
    habit: Habit,
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
            back: 0,
            is_slow: false,
            habit: Habit::new(),
            expected: 1,
            looks_at: None,
        }
    }

    fn board(&mut self, now: Instant, ticket: Ticket) {
        self.waiting.push(ticket);
        if self.home.as_ref().is_none_or(|home| now < home.at + RETURN) {
            self.back = self.back.saturating_add(1);
        }
        self.habit.see(self.waiting.len().saturating_add(self.missing()), now);
    }

    /// Notes that a saga is home. True if its platoon is.
    fn comes_home(&mut self, number: u64, now: Instant) -> bool {
        self.give_up_on_stuck(now);
        let Some(place) = self.away.iter().position(|platoon| platoon.number == number) else { return false };
        let Some(platoon) = self.away.get_mut(place) else { return false };
        if platoon.missing == platoon.size {
            // The first of them: what became of those before is known by now.
            if let Some(home) = self.home.take().filter(|home| home.is_telling) {
                self.habit.learn(self.back, home.size);
            }
            self.back = 0;
        }
        platoon.missing = platoon.missing.saturating_sub(1);
        // A platoon is home when three of four are: the rest may be stuck.
        if platoon.missing > platoon.size / 4 {
            return false;
        }
        let (size, is_telling) = (platoon.size, platoon.is_telling);
        self.away.remove(place);
        if self.away.is_empty() {
            self.home = Some(Homecoming { at: now, size, is_telling });
            self.expected =
                self.waiting.len().saturating_add(self.habit.expected(size).saturating_sub(self.back));
        }
        true
    }

    fn next(&mut self, now: Instant) -> Next {
        self.give_up_on_stuck(now);
        let waiting = self.waiting.len();
        if waiting == 0 {
            return Next::Wait;
        }
        let is_full = waiting >= self.most || self.missing() >= self.most;
        if is_full || self.is_slow || !self.habit.is_closed() {
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

    /// How many are away.
    fn missing(&self) -> usize {
        self.away.iter().map(|platoon| platoon.missing).sum()
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
        let is_telling = self.away.is_empty() && self.habit.is_closed();
        self.away.push_back(Away { number, left: now, size, missing: size, is_telling });
        Next::Leave { number, tickets }
    }
}

#[cfg(test)]
mod tests;
