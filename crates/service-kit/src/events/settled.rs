//! Up to which position the log is settled: every position up to there can be seen, or never will be.
//!
//! Positions have no gaps but those of transactions that have not ended and of those that were rolled back. As long as
//! the visible ones follow on each other, they are settled. Behind a gap we ask who is writing: whoever owns a missing
//! position below a visible one got it before that one could be seen, so it is among the writers of that moment, or has
//! ended. When all of those have ended, what is still missing was rolled back. So a slow transaction delays the log and
//! never falls out of it, and transactions that do not write events delay nothing.
//!
//! Pure but for the [`Sight`] it is given, so that tests can look at a database that they have made up.

use std::collections::HashSet;

/// So many positions in one look.
pub(super) const LOOK_MAX: i64 = 2_000;
/// A prepared transaction keeps its locks under another name than it had: whoever waits must wait for all of them.
const PREPARED: &str = "-1/";

/// What can be seen of a log. Each call is one statement, with a snapshot of its own.
pub(super) trait Sight {
    type Error;
    /// The highest visible position.
    async fn head(&mut self) -> Result<i64, Self::Error>;
    /// The visible positions behind one, in order.
    async fn positions_after(&mut self, after: i64) -> Result<Vec<i64>, Self::Error>;
    /// Whoever may have positions that cannot be seen yet.
    async fn writers(&mut self) -> Result<HashSet<String>, Self::Error>;
}

/// Positions up to `top` are settled once these writers have ended.
struct Wait {
    top: i64,
    writers: HashSet<String>,
}

impl Wait {
    fn is_over(&self, writing: &HashSet<String>) -> bool {
        !writing.iter().any(|writer| self.writers.contains(writer) || writer.starts_with(PREPARED))
    }
}

/// What is known of a log.
#[derive(Default)]
pub(super) struct Settling {
    settled: Option<i64>,
    head: i64,
    wait: Option<Wait>,
    /// The gap of the look before. Most gaps close by themselves before the next.
    gap: Option<i64>,
}

impl Settling {
    /// Up to where it is settled; nothing before the first look is over.
    pub fn settled(&self) -> Option<i64> {
        self.settled
    }

    /// The highest position of the last look.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// Looks once. Says whether looking again at once is worth it.
    pub async fn look<S: Sight>(&mut self, sight: &mut S) -> Result<bool, S::Error> {
        if let Some(wait) = &self.wait
            && wait.is_over(&sight.writers().await?)
        {
            // All that can be settled up to there is visible to whatever is read from now on.
            self.settled = Some(self.settled.unwrap_or_default().max(wait.top));
            self.wait = None;
        }
        let Some(settled) = self.settled else {
            if self.wait.is_none() {
                let top = sight.head().await?;
                self.wait = Some(Wait { top, writers: sight.writers().await? });
                return Ok(true);
            }
            return Ok(false);
        };
        let seen = sight.positions_after(settled).await?;
        let reach = contiguous(settled, &seen);
        self.settled = Some(reach);
        self.wait = self.wait.take().filter(|wait| wait.top > reach);
        let top = seen.last().copied().unwrap_or(settled);
        self.head = top;
        let gap = (top > reach).then_some(reach + 1);
        if gap.is_some() && gap == self.gap && self.wait.is_none() {
            self.wait = Some(Wait { top, writers: sight.writers().await? });
            return Ok(true);
        }
        self.gap = gap;
        Ok(gap.is_none() && i64::try_from(seen.len()) == Ok(LOOK_MAX))
    }
}

/// The last position before the first gap.
fn contiguous(settled: i64, seen: &[i64]) -> i64 {
    seen.iter().fold(settled, |reach, position| if *position == reach + 1 { *position } else { reach })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::convert::Infallible;

    use fastrand::Rng;
    use futures::FutureExt;

    use super::*;

    /// A log and its writers, who do something at random before each look at it.
    struct Fake {
        rng: Rng,
        next: i64,
        visible: BTreeSet<i64>,
        /// What each open transaction has written; it holds the lock from before its first position.
        open: BTreeMap<String, Vec<i64>>,
        begun: u32,
        is_busy: bool,
    }

    impl Fake {
        fn new(seed: u64) -> Self {
            let open = BTreeMap::new();
            let rng = Rng::with_seed(seed);
            Self { rng, next: 1, visible: BTreeSet::new(), open, begun: 0, is_busy: true }
        }

        fn meddle(&mut self) {
            for _ in 0..self.rng.usize(0..6) {
                let names: Vec<String> = self.open.keys().cloned().collect();
                match self.rng.choice(names) {
                    Some(name) if self.rng.f32() < 0.7 || !self.is_busy => match self.rng.u8(0..10) {
                        0..6 if self.is_busy => {
                            self.open.entry(name).or_default().push(self.next);
                            self.next += 1;
                        }
                        0..8 => self.visible.extend(self.open.remove(&name).unwrap_or_default()),
                        8.. => drop(self.open.remove(&name)),
                    },
                    _ if self.is_busy && self.open.len() < 4 => {
                        self.begun += 1;
                        self.open.insert(format!("3/{}", self.begun), Vec::new());
                    }
                    _ => {}
                }
            }
        }
    }

    impl Sight for Fake {
        type Error = Infallible;

        async fn head(&mut self) -> Result<i64, Infallible> {
            self.meddle();
            Ok(self.visible.last().copied().unwrap_or_default())
        }

        async fn positions_after(&mut self, after: i64) -> Result<Vec<i64>, Infallible> {
            self.meddle();
            Ok(self.visible.range(after + 1..).copied().take(5).collect())
        }

        async fn writers(&mut self) -> Result<HashSet<String>, Infallible> {
            self.meddle();
            Ok(self.open.keys().cloned().collect())
        }
    }

    fn look(settling: &mut Settling, fake: &mut Fake) -> bool {
        settling.look(fake).now_or_never().unwrap().unwrap()
    }

    #[test]
    fn nothing_appears_below_what_is_settled_and_all_is_settled_in_the_end() {
        for seed in 0..300 {
            let (mut fake, mut settling) = (Fake::new(seed), Settling::default());
            let mut told = 0;
            for _ in 0..60 {
                look(&mut settling, &mut fake);
                let Some(settled) = settling.settled() else { continue };
                assert!(settled >= told, "seed {seed}: {settled} after {told}");
                told = settled;
                let late = fake.open.values().flatten().find(|position| **position <= settled);
                assert_eq!(late, None, "seed {seed}: still open below {settled}");
            }
            fake.is_busy = false;
            for _ in 0..200 {
                look(&mut settling, &mut fake);
            }
            let top = fake.visible.last().copied().unwrap_or_default();
            assert!(fake.open.is_empty() && settling.settled() >= Some(top), "seed {seed}");
        }
    }

    /// A log that shows what it is told to, one answer for each question.
    struct Script(VecDeque<(i64, &'static [i64], &'static [&'static str])>);

    impl Script {
        fn now(&self) -> (i64, &'static [i64], &'static [&'static str]) {
            self.0.front().copied().unwrap_or((0, &[], &[]))
        }
    }

    impl Sight for Script {
        type Error = Infallible;

        async fn head(&mut self) -> Result<i64, Infallible> {
            Ok(self.now().0)
        }

        async fn positions_after(&mut self, after: i64) -> Result<Vec<i64>, Infallible> {
            Ok(self.now().1.iter().copied().filter(|position| *position > after).collect())
        }

        async fn writers(&mut self) -> Result<HashSet<String>, Infallible> {
            Ok(self.now().2.iter().map(|name| (*name).to_owned()).collect())
        }
    }

    #[test]
    fn a_gap_waits_for_the_writers_of_its_moment_and_for_no_others() {
        let script = [
            // The start: everything visible is settled once those who write now have ended.
            (3, &[1, 2, 3][..], &["3/1"][..], None),
            (3, &[1, 2, 3], &["3/1"], None),
            (3, &[1, 2, 3], &["3/2"], Some(3)),
            // 4 is missing: seen once, asked about at the second look, waited for while 3/3 lives.
            (5, &[1, 2, 3, 5], &["3/3", "3/4"], Some(3)),
            (5, &[1, 2, 3, 5], &["3/3", "3/4"], Some(3)),
            (6, &[1, 2, 3, 5, 6], &["3/3", "3/5"], Some(3)),
            // Prepared transactions go by other names.
            (6, &[1, 2, 3, 5, 6], &["-1/777"], Some(3)),
            (6, &[1, 2, 3, 5, 6], &["3/5"], Some(6)),
        ];
        let mut settling = Settling::default();
        for (index, (head, visible, writers, settled)) in script.into_iter().enumerate() {
            let mut now = Script(VecDeque::from([(head, visible, writers)]));
            settling.look(&mut now).now_or_never().unwrap().unwrap();
            assert_eq!(settling.settled(), settled, "look {index}");
        }
    }
}
