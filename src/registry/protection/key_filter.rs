//! A set of keys in a fixed amount of memory, which may take a key for a member that is none.

/// The size of the filter: 4 MiB.
const BITS: u64 = 1 << 25;

/// How many bits each key has. Of other keys, one in 250 000 seems to be a member where there are a million
/// members, and one in 200 where there are three million.
const BITS_PER_KEY: u64 = 8;

/// A Bloom filter of keyed hashes of 64 bits.
#[derive(Debug)]
pub(in crate::registry) struct KeyFilter {
    words: Vec<u64>,
}

impl KeyFilter {
    /// Makes an empty filter.
    pub(in crate::registry) fn new() -> Self {
        Self { words: vec![0; usize::try_from(BITS / 64).unwrap_or_default()] }
    }

    /// Adds a key.
    pub(in crate::registry) fn insert(&mut self, key: u64) {
        for (word, bit) in places(key) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Tells whether a key was added. It may say so of others, too.
    pub(in crate::registry) fn contains(&self, key: u64) -> bool {
        places(key).all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }
}

/// Returns the words and the bits in them that a key sets: the halves of the key are two hashes, and sums of
/// them are as good as further ones.
fn places(key: u64) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (key, key.rotate_left(32) | 1);
    (0..BITS_PER_KEY).map(move |number| {
        let bit = first.wrapping_add(number.wrapping_mul(step)) % BITS;
        (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn it_has_every_member_and_few_others() {
        let (keys, mut filter) = (RandomState::new(), KeyFilter::new());
        for member in 0..100_000_u64 {
            filter.insert(keys.hash_one(member));
        }
        assert!((0..100_000_u64).all(|member| filter.contains(keys.hash_one(member))));
        // About one in 10^13 is expected.
        let others = (100_000..200_000_u64).filter(|other| filter.contains(keys.hash_one(other))).count();
        assert!(others < 10, "{others}");
    }
}
