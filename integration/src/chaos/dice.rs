//! Chance that can be repeated: the same seed throws the same dice. What the machine's scheduler does is not repeated, so a seed
//! brings back the plan of a run and not its every interleaving.

use std::time::Duration;

/// A generator for choices, never for secrets (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice of one actor of a run, by its number.
    pub(crate) const fn new(seed: u64, actor: u64) -> Self {
        Self(seed ^ actor.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(crate) fn percent(&mut self, of_100: u64) -> bool {
        self.below(100) < of_100
    }

    /// One of `all`.
    pub(crate) fn one<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.below(u64::try_from(all.len()).unwrap_or(1));
        all.get(usize::try_from(at).unwrap_or(0))
    }

    /// A time between the two, in milliseconds.
    pub(crate) fn time(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most.saturating_sub(least) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_throws_the_same_for_each_actor_and_different_for_two() {
        let throw = |seed, actor| {
            let mut dice = Dice::new(seed, actor);
            (0..8).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throw(7, 1), throw(7, 1));
        assert_ne!(throw(7, 1), throw(7, 2));
        assert_ne!(throw(7, 1), throw(8, 1));
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut dice = Dice::new(1, 1);
        for _ in 0..1_000 {
            assert!(dice.below(3) < 3);
            let time = dice.time(5, 6).as_millis();
            assert!((5..=6).contains(&time));
        }
        assert_eq!(dice.one::<u8>(&[]), None);
    }
}
