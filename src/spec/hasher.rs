//! Digests computed piece by piece, and put aside in between.

use std::fmt;
use std::ops::Range;

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};

use crate::spec::algorithm::Algorithm;
use crate::spec::content_digest::ContentDigest;

// A saved SHA-2 state is the chaining value, the count of whole blocks (little-endian), the fill of the last
// block and that block. The highest bytes of the count are zero until content has 16 PiB: a state that sets
// them is damaged, and would make the count of bits overflow.
const SHA256_COUNT_HIGHEST: Range<usize> = 38..40;
const SHA512_COUNT_HIGHEST: Range<usize> = 70..80;

/// Computes the digest of content that arrives in pieces.
#[derive(Clone)]
pub struct Hasher(HashState);

#[derive(Clone)]
enum HashState {
    Sha256(Sha256),
    Sha512(Sha512),
    // Boxed, since it is many times as large as the others.
    Blake3(Box<blake3::Hasher>),
}

impl ContentDigest {
    /// Computes the digest of `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// Computes the digest of `content` by the algorithm that is used where none is named.
    pub fn sha256_of(content: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, content)
    }
}

impl Hasher {
    /// Makes a hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => HashState::Sha256(Sha256::new()),
            Algorithm::Sha512 => HashState::Sha512(Sha512::new()),
            Algorithm::Blake3 => HashState::Blake3(Box::default()),
        })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            HashState::Sha256(_) => Algorithm::Sha256,
            HashState::Sha512(_) => Algorithm::Sha512,
            HashState::Blake3(_) => Algorithm::Blake3,
        }
    }

    /// Takes the next piece of the content.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            HashState::Sha256(state) => state.update(piece),
            HashState::Sha512(state) => state.update(piece),
            HashState::Blake3(state) => {
                state.update(piece);
            }
        }
    }

    /// Returns the digest of all the pieces in a row.
    pub fn finish(self) -> ContentDigest {
        match self.0 {
            HashState::Sha256(state) => ContentDigest::from_hash(Algorithm::Sha256, &state.finalize()),
            HashState::Sha512(state) => ContentDigest::from_hash(Algorithm::Sha512, &state.finalize()),
            HashState::Blake3(state) => {
                ContentDigest::from_hash(Algorithm::Blake3, state.finalize().as_bytes())
            }
        }
    }

    /// Returns the state for [`Hasher::restore`], or `None` for BLAKE3, whose state can't be read.
    ///
    /// The bytes hold the end of the last, unfinished block of the content as it is.
    pub fn save(&self) -> Option<Vec<u8>> {
        match &self.0 {
            HashState::Sha256(state) => Some(state.serialize().to_vec()),
            HashState::Sha512(state) => Some(state.serialize().to_vec()),
            HashState::Blake3(_) => None,
        }
    }

    /// Goes on where [`Hasher::save`] left off, or returns `None` when these bytes are no such state.
    pub fn restore(algorithm: Algorithm, saved: &[u8]) -> Option<Self> {
        let state = match algorithm {
            Algorithm::Sha256 => restore_sha2(saved, SHA256_COUNT_HIGHEST).map(HashState::Sha256),
            Algorithm::Sha512 => restore_sha2(saved, SHA512_COUNT_HIGHEST).map(HashState::Sha512),
            Algorithm::Blake3 => None,
        };
        state.map(Self)
    }
}

impl fmt::Debug for Hasher {
    /// Shows the algorithm alone: the state says things about the content.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

fn restore_sha2<Sha2: SerializableState>(saved: &[u8], count_highest: Range<usize>) -> Option<Sha2> {
    let plausible = saved.get(count_highest)?.iter().all(|byte| *byte == 0);
    let saved = SerializedState::<Sha2>::try_from(saved).ok()?;
    plausible.then(|| Sha2::deserialize(&saved).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA_2: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    #[test]
    fn a_hasher_tells_its_algorithm() {
        for algorithm in Algorithm::ALL {
            let hasher = Hasher::new(algorithm);
            assert_eq!(hasher.algorithm(), algorithm);
            assert_eq!(hasher.finish().algorithm(), algorithm);
        }
    }

    #[test]
    fn blake3_cannot_be_put_aside() {
        assert_eq!(Hasher::new(Algorithm::Blake3).save(), None);
        assert!(Hasher::restore(Algorithm::Blake3, &[0; 105]).is_none());
    }

    #[test]
    fn a_state_of_another_algorithm_or_length_is_refused() {
        let [sha256, sha512] = SHA_2.map(|algorithm| Hasher::new(algorithm).save().unwrap());
        assert!(Hasher::restore(Algorithm::Sha256, &sha512).is_none());
        assert!(Hasher::restore(Algorithm::Sha512, &sha256).is_none());
        assert!(Hasher::restore(Algorithm::Sha256, &sha256[1..]).is_none());
        assert!(Hasher::restore(Algorithm::Sha256, &[]).is_none());
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let saved = Hasher::new(Algorithm::Sha256).save().unwrap();
        for (position, value) in [(38, 1), (39, 0x80), (40, 64), (41, 1)] {
            let mut damaged = saved.clone();
            damaged[position] = value;
            assert!(Hasher::restore(Algorithm::Sha256, &damaged).is_none(), "byte {position}");
        }
    }

    /// States outlive the program that saved them: their layout must stay the one of 2026.
    #[test]
    fn a_state_of_an_older_pulk_is_understood() {
        let mut saved = Vec::new();
        for word in [
            0x6a09e667u32,
            0xbb67ae85,
            0x3c6ef372,
            0xa54ff53a,
            0x510e527f,
            0x9b05688c,
            0x1f83d9ab,
            0x5be0cd19,
        ] {
            saved.extend(word.to_le_bytes());
        }
        saved.extend([0; 8]);
        saved.extend(b"\x02ab");
        saved.resize(104, 0);
        let mut hasher = Hasher::restore(Algorithm::Sha256, &saved).unwrap();
        assert_eq!(hasher.save(), Some(saved));
        hasher.update(b"c");
        assert_eq!(hasher.finish(), ContentDigest::sha256_of(b"abc"));
    }

    #[test]
    fn a_hasher_shows_nothing_of_the_content() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"secret");
        assert_eq!(format!("{hasher:?}"), "Hasher(Sha256)");
    }

    proptest! {
        #[test]
        fn pieces_give_the_digest_of_the_whole(
            algorithm in prop::sample::select(&Algorithm::ALL),
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        ) {
            let mut hasher = Hasher::new(algorithm);
            for piece in &pieces {
                hasher.update(piece);
            }
            prop_assert_eq!(hasher.finish(), ContentDigest::of(algorithm, &pieces.concat()));
        }

        #[test]
        fn a_hasher_put_aside_anywhere_goes_on(
            algorithm in prop::sample::select(&SHA_2),
            content in prop::collection::vec(any::<u8>(), 0..600),
            cut in any::<prop::sample::Index>(),
        ) {
            let (before, after) = content.split_at(cut.index(content.len() + 1));
            let mut hasher = Hasher::new(algorithm);
            hasher.update(before);
            let mut restored = Hasher::restore(algorithm, &hasher.save().unwrap()).unwrap();
            restored.update(after);
            prop_assert_eq!(restored.finish(), ContentDigest::of(algorithm, &content));
        }

        #[test]
        fn a_state_with_damage_anywhere_never_panics(
            algorithm in prop::sample::select(&SHA_2),
            position in any::<prop::sample::Index>(),
            value in any::<u8>(),
        ) {
            let mut saved = Hasher::new(algorithm).save().unwrap();
            let position = position.index(saved.len());
            saved[position] = value;
            if let Some(mut hasher) = Hasher::restore(algorithm, &saved) {
                hasher.update(&[0; 300]);
                prop_assert_eq!(hasher.finish().algorithm(), algorithm);
            }
        }
    }
}
