//! What `random_get` gives to a guest.

use crate::exchange::Random;

/// A source of bytes: the machine's, or a sequence that is the same in every run.
pub(super) enum Source {
    Real,
    Sequence(u64),
}

impl Source {
    pub(super) fn new(random: Random) -> Self {
        match random {
            Random::Real => Self::Real,
            Random::Seed(seed) => Self::Sequence(seed),
        }
    }

    /// Fills `bytes`; false if the machine has no randomness to give.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> bool {
        match self {
            Self::Real => getrandom::fill(bytes).is_ok(),
            Self::Sequence(state) => {
                bytes.chunks_mut(8).for_each(|chunk| {
                    chunk.iter_mut().zip(next(state).to_le_bytes()).for_each(|(byte, random)| *byte = random);
                });
                true
            }
        }
    }
}

/// SplitMix64: a counter, well stirred.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sequence_and_another_seed_another() {
        let bytes = |seed| {
            let mut bytes = [0; 13];
            assert!(Source::new(Random::Seed(seed)).fill(&mut bytes));
            bytes
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn the_machine_gives_what_nobody_knows() {
        let (mut first, mut second) = ([0; 16], [0; 16]);
        assert!(Source::new(Random::Real).fill(&mut first) && Source::new(Random::Real).fill(&mut second));
        assert_ne!(first, second);
    }
}
