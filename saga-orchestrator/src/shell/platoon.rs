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
mod tests {
    use std::pin::pin;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    const MANY: usize = 32;

    /// So many who board now, and may have to wait.
    fn board(platoons: &Platoons, count: usize) -> impl Future<Output = Vec<Seat>> + use<> {
        let boarding: Vec<_> = (0..count)
            .map(|_| {
                let platoons = platoons.clone();
                let mut boards = Box::pin(async move { platoons.board().await });
                let seat = boards.as_mut().now_or_never();
                async move {
                    match seat {
                        Some(seat) => seat,
                        None => boards.await,
                    }
                }
            })
            .collect();
        join_all(boarding)
    }

    fn numbers(seats: &[Seat]) -> Vec<u64> {
        seats.iter().map(|seat| seat.number).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_leaves_at_once() {
        let platoons = Platoons::new(MANY);
        for number in 1..5 {
            let seats = board(&platoons, 1).now_or_never().unwrap();
            assert_eq!(numbers(&seats), [number]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_others_away_waits_and_leaves_together_with_all_who_do() {
        let platoons = Platoons::new(MANY);
        let first = board(&platoons, 1).now_or_never().unwrap();
        let mut early = pin!(board(&platoons, 3));
        let mut late = pin!(board(&platoons, 2));
        assert!(early.as_mut().now_or_never().is_none() && late.as_mut().now_or_never().is_none());
        drop(first);
        let (early, late) = (early.now_or_never().unwrap(), late.now_or_never().unwrap());
        assert_eq!((numbers(&early), numbers(&late)), (vec![2; 3], vec![2; 2]));
    }

    #[tokio::test(start_paused = true)]
    async fn where_many_wait_or_are_away_nobody_waits() {
        let platoons = Platoons::new(4);
        let first = board(&platoons, 1).now_or_never().unwrap();
        let mut three = pin!(board(&platoons, 3));
        assert!(three.as_mut().now_or_never().is_none());
        let mut fourth = board(&platoons, 1).now_or_never().unwrap();
        let three = three.await;
        assert_eq!((numbers(&three), numbers(&fourth)), (vec![2; 3], vec![2]));
        // Five are away now, then four, then three.
        fourth.extend(board(&platoons, 1).now_or_never().unwrap());
        assert_eq!(numbers(&fourth), [2, 3]);
        drop((first, fourth));
        let mut next = pin!(board(&platoons, 1));
        assert!(next.as_mut().now_or_never().is_none());
        drop(three);
        assert_eq!(numbers(&next.now_or_never().unwrap()), [4]);
        for none in [0, 1] {
            let never = Platoons::new(none);
            assert_eq!(numbers(&board(&never, 3).now_or_never().unwrap()), [1, 2, 3]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_stuck_keeps_the_others_for_a_moment_only() {
        let platoons = Platoons::new(MANY);
        let stuck = board(&platoons, 1).await;
        let begun = Instant::now();
        let seats = board(&platoons, 2).await;
        assert_eq!((numbers(&seats), begun.elapsed()), (vec![2; 2], PATIENCE));
        // A slow mesh is not waited for, until somebody comes home in time.
        let third = board(&platoons, 1).now_or_never().unwrap();
        drop(stuck);
        let fourth = board(&platoons, 1).now_or_never().unwrap();
        assert_eq!((numbers(&third), numbers(&fourth)), (vec![3], vec![4]));
        drop(fourth);
        let mut next = pin!(board(&platoons, 1));
        drop(third);
        assert!(next.as_mut().now_or_never().is_none());
        drop(seats);
        assert_eq!(numbers(&next.now_or_never().unwrap()), [5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_platoon_is_home_when_three_of_four_are() {
        let platoons = Platoons::new(MANY);
        let first = board(&platoons, 1).await;
        let mut boarding = pin!(board(&platoons, 8));
        assert!(boarding.as_mut().now_or_never().is_none());
        drop(first);
        let mut eight = boarding.await;
        let mut next = pin!(board(&platoons, 1));
        eight.truncate(3);
        assert!(next.as_mut().now_or_never().is_none(), "five of eight are home");
        eight.truncate(2);
        assert_eq!(numbers(&next.now_or_never().unwrap()), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_wait_any_more_is_not_waited_for() {
        let platoons = Platoons::new(MANY);
        let first = board(&platoons, 1).await;
        let leaves = board(&platoons, 1);
        drop(leaves);
        drop(first);
        assert_eq!(numbers(&board(&platoons, 1).now_or_never().unwrap()), [3]);
    }

    /// Two groups of clients, each asking again as soon as it is answered, take turns at first.
    #[tokio::test(start_paused = true)]
    async fn clients_who_ask_again_at_once_find_into_one_platoon() {
        let platoons = Platoons::new(MANY);
        let mut away = board(&platoons, 1).await;
        let mut waiting = Box::pin(board(&platoons, 7));
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(10)).await;
            let answered = away.len();
            drop(away);
            tokio::time::advance(RETURN / 2).await;
            let mut again = Box::pin(board(&platoons, answered));
            away = waiting.as_mut().now_or_never().unwrap();
            if let Some(together) = again.as_mut().now_or_never() {
                assert_eq!(numbers(&together)[0], numbers(&away)[0]);
                return;
            }
            waiting = again;
        }
        panic!("they still take turns");
    }

    fn come(state: &mut State, now: Instant, count: usize) {
        for _ in 0..count {
            state.board(now, oneshot::channel().0);
        }
    }

    fn leave(state: &mut State, now: Instant) -> (u64, usize) {
        let Next::Leave { number, tickets } = state.next(now) else { panic!("nobody leaves") };
        (number, tickets.len())
    }

    /// Four come and go for a while, and so many of them ask again at once; then four are away.
    fn accustomed(again: usize) -> (State, Instant, u64) {
        let (mut state, mut now) = (State::new(MANY), Instant::now());
        come(&mut state, now, 4);
        for _ in 0..20 {
            let (number, count) = leave(&mut state, now);
            assert_eq!(count, 4);
            now += Duration::from_millis(10);
            for _ in 0..count {
                state.comes_home(number, now);
            }
            come(&mut state, now + RETURN / 2, again);
            now += RETURN;
            come(&mut state, now, 4 - again);
        }
        let (number, _) = leave(&mut state, now);
        (state, now, number)
    }

    #[test]
    fn who_comes_home_is_waited_for_only_where_many_ask_again() {
        for (again, is_usual) in [(0, false), (2, false), (4, true)] {
            let (mut state, now, number) = accustomed(again);
            come(&mut state, now, 1);
            assert!(!state.comes_home(number, now) && !state.comes_home(number, now));
            assert!(state.comes_home(number, now));
            if is_usual {
                assert!(matches!(state.next(now), Next::LookAt(at) if at == now + RETURN));
            }
            let at = if is_usual { now + RETURN } else { now };
            assert_eq!(leave(&mut state, at), (number + 1, 1), "{again} of four ask again");
        }
    }

    #[test]
    fn who_asks_again_before_the_last_is_home_is_expected_once() {
        let (mut state, now, number) = accustomed(4);
        assert!(!state.comes_home(number, now) && !state.comes_home(number, now));
        come(&mut state, now, 1);
        assert!(state.comes_home(number, now));
        come(&mut state, now, 2);
        assert!(matches!(state.next(now), Next::LookAt(_)));
        come(&mut state, now, 1);
        assert_eq!(leave(&mut state, now), (number + 1, 4));
    }
}
