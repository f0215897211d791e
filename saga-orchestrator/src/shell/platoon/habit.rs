//! Whether clients ask again as soon as they are answered, as far as a process can see.
//!
//! So many clients in a closed loop have so many sagas under way, again and again. Of orders that come at random instants
//! now more are under way, now fewer; for them nobody comes back whose turn it would be, and they would only get later by
//! waiting. So nobody waits where the most that are under way keeps changing.

use std::time::Duration;

use tokio::time::Instant;

/// How long the most that are under way is looked for. Some sagas long.
const WINDOW: Duration = Duration::from_millis(50);
/// How many windows are compared.
const WINDOWS: usize = 16;
/// In so many of them the most must be the same, for a closed loop to be believed in; and for doubts to begin.
const SURE: usize = 12;
const DOUBT: usize = 8;
/// From this part on it is worth waiting for those who have just come home.
const USUAL: f64 = 0.75;
/// How much the last platoon counts, in what is known of all of them.
const NEWS: f64 = 0.3;

/// What is known. At first clients come when they like.
#[derive(Debug)]
pub(super) struct Habit {
    is_closed: bool,
    /// When this window is over.
    window_until: Option<Instant>,
    /// The most that were under way in this window, and in those before.
    most: usize,
    before: [usize; WINDOWS],
    /// Which part of those who came home asked again at once.
    share: f64,
}

impl Habit {
    pub(super) fn new() -> Self {
        Self { is_closed: false, window_until: None, most: 0, before: [0; WINDOWS], share: 0.0 }
    }

    /// Whether clients ask again as soon as they are answered.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// So many are under way or wait, now that one more has come.
    pub(super) fn see(&mut self, under_way: usize, now: Instant) {
        if self.window_until.is_none_or(|until| until <= now) {
            self.before.rotate_left(1);
            if let Some(last) = self.before.last_mut() {
                *last = self.most;
            }
            (self.most, self.window_until) = (0, Some(now + WINDOW));
            self.is_closed = self.alike() >= if self.is_closed { DOUBT } else { SURE };
        }
        self.most = self.most.max(under_way);
    }

    /// So many of a platoon asked again at once.
    pub(super) fn learn(&mut self, asked_again: usize, of: usize) {
        self.share += NEWS * (count(asked_again.min(of)) / count(of).max(1.0) - self.share);
    }

    /// How many of so many are worth waiting for, once they are home.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a number of clients"
    )]
    pub(super) fn expected(&self, of: usize) -> usize {
        if self.share >= USUAL { (self.share * count(of)).round() as usize } else { 0 }
    }

    /// In how many windows the most that were under way was the usual one. One alone is no crowd.
    fn alike(&self) -> usize {
        let crowds = self.before.iter().filter(|most| **most > 1);
        crowds.map(|most| self.before.iter().filter(|other| *other == most).count()).max().unwrap_or_default()
    }
}

fn count(of: usize) -> f64 {
    f64::from(u32::try_from(of).unwrap_or(u32::MAX))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A window after another with these for their most.
    pub(in super::super) fn watch(
        habit: &mut Habit,
        now: &mut Instant,
        most: impl IntoIterator<Item = usize>,
    ) {
        for most in most {
            habit.see(1, *now);
            habit.see(most, *now);
            *now += WINDOW;
        }
        habit.see(1, *now);
    }

    /// What many clients look like who come when they like.
    const OPEN: [usize; WINDOWS] = [23, 28, 31, 22, 25, 27, 33, 24, 26, 29, 25, 24, 30, 27, 28, 25];

    #[test]
    fn a_closed_loop_is_known_by_how_many_are_under_way() {
        let nearly = |count: usize| {
            let mut most = [16; WINDOWS];
            most.iter_mut().take(count).enumerate().for_each(|(i, most)| *most = 17 + i);
            most
        };
        for (most, is_closed) in [
            (nearly(0), true),
            (nearly(4), true),
            (nearly(5), false),
            ([2; WINDOWS], true),
            ([1; WINDOWS], false),
            (OPEN, false),
        ] {
            let (mut habit, mut now) = (Habit::new(), Instant::now());
            assert!(!habit.is_closed());
            watch(&mut habit, &mut now, most);
            assert_eq!(habit.is_closed(), is_closed, "{most:?}");
        }
    }

    #[test]
    fn a_habit_is_not_given_up_for_an_exception_but_soon_enough() {
        let (mut habit, mut now) = (Habit::new(), Instant::now());
        watch(&mut habit, &mut now, [16; WINDOWS]);
        watch(&mut habit, &mut now, OPEN.into_iter().take(WINDOWS - DOUBT));
        assert!(habit.is_closed());
        watch(&mut habit, &mut now, [19]);
        assert!(!habit.is_closed());
        watch(&mut habit, &mut now, [16; 3]);
        assert!(!habit.is_closed());
        watch(&mut habit, &mut now, [16; WINDOWS]);
        assert!(habit.is_closed());
    }

    #[test]
    fn who_hardly_ever_asks_again_is_not_expected() {
        let mut habit = Habit::new();
        assert_eq!(habit.expected(16), 0);
        for _ in 0..10 {
            habit.learn(15, 16);
        }
        assert_eq!(habit.expected(16), 15);
        habit.learn(4, 16);
        habit.learn(4, 16);
        assert_eq!(habit.expected(16), 0);
    }
}
