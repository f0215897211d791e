//! A circuit breaker for one participant: whether to ask it at all, as a pure function of what came back lately.
//!
//! Only silence opens it. An answer that nobody likes (a refusal, a poison command, a fault of one command) is an
//! answer: one kind of saga that cannot be done must not cut off all others. A breaker only says *not now*; it never
//! decides what a saga does, so an open one delays and nothing else. Time is handed in.

use std::time::Duration;

/// The window is forgotten in so many slices.
const SLICES: usize = 10;
/// Fewer calls in a window say nothing.
const CALLS_MIN: u32 = 20;

/// When a breaker opens, and how it finds out that it may close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls of so long count.
    pub window: Duration,
    /// While open, one call in so long goes through.
    pub probe: Duration,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Calls go through.
    #[default]
    Closed,
    /// Calls wait, and one is under way to find out.
    HalfOpen,
    /// Calls wait.
    Open,
}

impl Position {
    /// Every position, in the order of its number.
    pub const ALL: [Position; 3] = [Position::Closed, Position::HalfOpen, Position::Open];

    /// One word, for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Position::Closed => "closed",
            Position::HalfOpen => "half-open",
            Position::Open => "open",
        }
    }

    /// As metrics have it: 0 closed, 1 half-open, 2 open.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Position::Closed => 0,
            Position::HalfOpen => 1,
            Position::Open => 2,
        }
    }
}

/// What a call is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go.
    Go,
    /// Go, and all others wait for what comes back.
    Probe,
    /// Wait so long, or until the breaker closes.
    Wait(Duration),
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The participant is there and does its work.
    Answer,
    /// It is there, but does not do this work now: it sheds load, or does not let us in.
    Unserved,
    /// Nothing, or nothing that tells whether it is there.
    Silence,
}

/// A change of position worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Too little came back.
    Opened,
    /// A probe was answered.
    Closed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u128,
    answers: u32,
    silences: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { probe_at: Duration, is_probing: bool },
}

/// The state of one breaker. `now` is always the time since some fixed instant.
#[derive(Clone, Debug)]
pub struct Breaker {
    limits: Limits,
    slices: [Slice; SLICES],
    state: State,
}

impl Breaker {
    /// Closed.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, slices: [Slice::default(); SLICES], state: State::Closed }
    }

    /// Whether a call may go now.
    pub fn admit(&mut self, now: Duration) -> Admission {
        let probe = self.limits.probe;
        match &mut self.state {
            State::Closed => Admission::Go,
            State::Open { probe_at, .. } if now < *probe_at => Admission::Wait(probe_at.saturating_sub(now)),
            // Whatever became of the probe before: it may have been dropped, and the next must not wait for it.
            State::Open { probe_at, is_probing } => {
                (*probe_at, *is_probing) = (now.saturating_add(probe), true);
                Admission::Probe
            }
        }
    }

    /// Takes in what came back of a call that was admitted like this.
    pub fn hear(&mut self, now: Duration, heard: Heard, admission: Admission) -> Option<Turn> {
        match (self.state, heard) {
            (State::Open { .. }, Heard::Answer | Heard::Unserved) if admission == Admission::Probe => {
                self.slices = [Slice::default(); SLICES];
                self.state = State::Closed;
                Some(Turn::Closed)
            }
            (State::Open { probe_at, .. }, Heard::Silence) if admission == Admission::Probe => {
                self.state = State::Open { probe_at, is_probing: false };
                None
            }
            // Sent before it opened: what the probes find counts.
            (State::Open { .. }, Heard::Answer | Heard::Unserved | Heard::Silence) => None,
            (State::Closed, Heard::Unserved) => None,
            (State::Closed, Heard::Answer) => {
                self.slice(now).answers += 1;
                None
            }
            (State::Closed, Heard::Silence) => {
                self.slice(now).silences += 1;
                self.is_too_silent(now).then(|| {
                    let probe_at = now.saturating_add(self.limits.probe);
                    self.state = State::Open { probe_at, is_probing: false };
                    Turn::Opened
                })
            }
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        match self.state {
            State::Closed => Position::Closed,
            State::Open { is_probing: true, .. } => Position::HalfOpen,
            State::Open { is_probing: false, .. } => Position::Open,
        }
    }

    /// Whether it is open and the next call would be a probe.
    #[must_use]
    pub fn wants_probe(&self, now: Duration) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { probe_at, .. } => now >= probe_at,
        }
    }

    fn is_too_silent(&self, now: Duration) -> bool {
        let current = self.number(now);
        let recent = self.slices.iter().filter(|slice| slice.number + SLICES as u128 > current);
        let (answers, silences) = recent.fold((0_u32, 0_u32), |(answers, silences), slice| {
            (answers.saturating_add(slice.answers), silences.saturating_add(slice.silences))
        });
        answers.saturating_add(silences) >= CALLS_MIN && silences >= answers
    }

    fn number(&self, now: Duration) -> u128 {
        let length = (self.limits.window / SLICES as u32).as_nanos().max(1);
        now.as_nanos() / length
    }

    fn slice(&mut self, now: Duration) -> &mut Slice {
        let number = self.number(now);
        let slice = &mut self.slices[usize::try_from(number % SLICES as u128).unwrap_or_default()];
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        slice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { window: Duration::from_secs(5), probe: Duration::from_secs(1) };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// (answers, silences) in the window, all within its last moments -> position.
    fn after(answers: u32, silences: u32) -> Position {
        let mut breaker = Breaker::new(LIMITS);
        for _ in 0..answers {
            breaker.hear(at(100), Heard::Answer, Admission::Go);
        }
        for _ in 0..silences {
            breaker.hear(at(200), Heard::Silence, Admission::Go);
        }
        breaker.position()
    }

    fn open() -> Breaker {
        let mut breaker = Breaker::new(LIMITS);
        for _ in 0..CALLS_MIN {
            breaker.hear(at(0), Heard::Silence, Admission::Go);
        }
        assert_eq!(breaker.position(), Position::Open);
        breaker
    }

    #[test]
    fn it_opens_at_half_of_at_least_twenty_calls_without_an_answer() {
        let cases = [
            (0, 19, Position::Closed),
            (0, 20, Position::Open),
            (10, 10, Position::Open),
            (11, 9, Position::Closed),
            (1_000, 999, Position::Closed),
            (1_000, 1_000, Position::Open),
        ];
        for (answers, silences, expected) in cases {
            assert_eq!(after(answers, silences), expected, "{answers} answers, {silences} silences");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut breaker = Breaker::new(LIMITS);
        for number in 0..100 {
            // Four a second: never twenty in five seconds.
            breaker.hear(at(number * 300), Heard::Silence, Admission::Go);
        }
        assert_eq!(breaker.position(), Position::Closed);
        for _ in 0..5 {
            breaker.hear(at(30_000), Heard::Silence, Admission::Go);
        }
        assert_eq!(breaker.position(), Position::Open);
    }

    #[test]
    fn an_answer_that_nobody_likes_is_no_silence() {
        let mut breaker = Breaker::new(LIMITS);
        for _ in 0..1_000 {
            assert_eq!(breaker.hear(at(0), Heard::Unserved, Admission::Go), None);
        }
        assert_eq!(breaker.admit(at(1)), Admission::Go);
    }

    #[test]
    fn while_open_one_call_a_second_finds_out() {
        let mut breaker = open();
        let cases = [
            (0, Admission::Wait(at(1_000))),
            (999, Admission::Wait(at(1))),
            (1_000, Admission::Probe),
            (1_001, Admission::Wait(at(999))),
            (1_999, Admission::Wait(at(1))),
            // The probe before never came back: the next one goes all the same.
            (2_000, Admission::Probe),
        ];
        for (ms, expected) in cases {
            assert_eq!(breaker.admit(at(ms)), expected, "at {ms} ms");
        }
        assert_eq!(breaker.position(), Position::HalfOpen);
        assert_eq!(breaker.hear(at(2_100), Heard::Silence, Admission::Probe), None);
        assert_eq!(breaker.position(), Position::Open);
        assert!(!breaker.wants_probe(at(2_999)) && breaker.wants_probe(at(3_000)));
    }

    #[test]
    fn only_an_answered_probe_closes_it_and_the_past_is_forgotten_then() {
        let mut breaker = open();
        assert_eq!(breaker.hear(at(10), Heard::Answer, Admission::Go), None, "sent before it opened");
        assert_eq!(breaker.admit(at(1_000)), Admission::Probe);
        assert_eq!(breaker.hear(at(1_010), Heard::Answer, Admission::Probe), Some(Turn::Closed));
        for number in 1..CALLS_MIN {
            assert_eq!(breaker.hear(at(1_020), Heard::Silence, Admission::Go), None, "silence {number}");
        }
        assert_eq!(breaker.hear(at(1_020), Heard::Silence, Admission::Go), Some(Turn::Opened));
        // A late probe of the time before closes it too: it was answered, and that is what counts.
        assert_eq!(breaker.hear(at(1_030), Heard::Unserved, Admission::Probe), Some(Turn::Closed));
    }
}
