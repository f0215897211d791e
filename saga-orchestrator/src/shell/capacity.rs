//! How many sagas a process drives at once. A flood of new ones must not keep it from ending what was begun: the last
//! fifth is for sagas that it takes over, and parked ones do not count. Compensations run in the driver that is there
//! already, so they never wait for room.

/// The bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    most: usize,
}

impl Capacity {
    /// At most so many, old and new together.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1) }
    }

    /// Whether there is room for a new saga beside so many busy ones.
    #[must_use]
    pub fn admits_new(self, busy: usize) -> bool {
        busy < self.most - self.most / 5
    }

    /// How many sagas may be taken over beside so many busy ones.
    #[must_use]
    pub fn room(self, busy: usize) -> usize {
        self.most.saturating_sub(busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fifth_is_for_what_was_begun_elsewhere() {
        // (most, busy) -> a new one is admitted, so many may be taken over
        let cases = [
            (10, 0, true, 10),
            (10, 7, true, 3),
            (10, 8, false, 2),
            (10, 10, false, 0),
            (10, 99, false, 0),
            (1, 0, true, 1),
            (0, 0, true, 1),
            (4, 3, true, 1),
        ];
        for (most, busy, admits, room) in cases {
            let capacity = Capacity::new(most);
            assert_eq!((capacity.admits_new(busy), capacity.room(busy)), (admits, room), "{busy} of {most}");
        }
    }
}
