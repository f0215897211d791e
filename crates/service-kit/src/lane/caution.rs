//! How little is taken for granted: whoever was wrong looks first for a while.

/// After a batch that took for granted what was not so, so many look first. Each time twice as many, up to a limit; and
/// one less for each batch that was right.
const WARY_BATCHES: u32 = 32;
const WARY_BATCHES_MAX: u32 = 1024;

/// Whether the next batch looks first, by what became of those before. A new one takes everything for granted.
#[derive(Debug, Default)]
pub struct Caution {
    /// How many batches still look first.
    looks: u32,
    /// How many did after the last mistake, less those that were right since.
    doubt: u32,
}

impl Caution {
    /// Whether the batch that begins now looks first. To be asked once for each.
    pub fn looks_first(&mut self) -> bool {
        let looks = self.looks > 0;
        self.looks = self.looks.saturating_sub(1);
        looks
    }

    /// A batch did not look, and what it took for granted was so.
    pub fn was_right(&mut self) {
        self.doubt = self.doubt.saturating_sub(1);
    }

    /// It was not so.
    pub fn was_wrong(&mut self) {
        self.doubt = (self.doubt * 2).clamp(WARY_BATCHES, WARY_BATCHES_MAX);
        self.looks = self.doubt;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many batches look first before one does not.
    fn looks(caution: &mut Caution) -> u32 {
        (0..).take_while(|_| caution.looks_first()).map(|_| 1).sum()
    }

    #[test]
    fn mistakes_in_a_row_cost_twice_as_many_looks_each_time_up_to_a_limit() {
        let mut caution = Caution::default();
        assert_eq!(looks(&mut caution), 0);
        for expected in [32, 64, 128, 256, 512, 1024, 1024] {
            caution.was_wrong();
            assert_eq!(looks(&mut caution), expected);
        }
    }

    #[test]
    fn doubt_wears_off_with_batches_that_were_right() {
        for (right, expected) in [(0, 128), (1, 126), (40, 48), (64, 32), (1000, 32)] {
            let mut caution = Caution::default();
            caution.was_wrong();
            caution.was_wrong();
            looks(&mut caution);
            (0..right).for_each(|_| caution.was_right());
            caution.was_wrong();
            assert_eq!(looks(&mut caution), expected, "after {right} that were right");
        }
    }
}
