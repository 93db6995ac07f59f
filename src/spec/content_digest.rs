//! Digests that pulk can compute, and so the names of content.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::base::{excerpt, serde_as_text};
use crate::spec::algorithm::{Algorithm, DigestError, split};

/// The length of the longest hash.
const HASH_LENGTH_MAX_BYTES: usize = 64;

/// Room for the longest text: the name of an algorithm, a colon, and two digits for each byte of a hash.
pub(in crate::spec) const TEXT_LENGTH_MAX_BYTES: usize = 8 + 1 + 2 * HASH_LENGTH_MAX_BYTES;

/// The digest of content by an algorithm that pulk can compute (G6 to G8). It orders like its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest {
    algorithm: Algorithm,
    // INVARIANT: zero after the algorithm's length, so that equal digests are equal byte for byte.
    hash: [u8; HASH_LENGTH_MAX_BYTES],
}

impl ContentDigest {
    /// Makes a digest of a finished hash; `hash` has the length that `algorithm` yields.
    pub(in crate::spec) fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        debug_assert_eq!(hash.len(), algorithm.length_bytes());
        let mut padded = [0; HASH_LENGTH_MAX_BYTES];
        for (to, from) in padded.iter_mut().zip(hash) {
            *to = *from;
        }
        Self { algorithm, hash: padded }
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the hash, as long as the algorithm has it.
    pub fn bytes(&self) -> &[u8] {
        // INVARIANT: no algorithm's hash is longer than the longest.
        self.hash.get(..self.algorithm.length_bytes()).unwrap_or_default()
    }

    /// Returns the hash as lower-case hexadecimal digits: what stands after the colon.
    pub fn encoded(&self) -> String {
        let mut encoded = String::with_capacity(self.algorithm.encoded_length());
        encoded.extend(self.bytes().iter().copied().flat_map(hexadecimal_digits).map(char::from));
        encoded
    }
}

impl Ord for ContentDigest {
    fn cmp(&self, other: &Self) -> Ordering {
        // Names of algorithms and hexadecimal digits order like what they stand for.
        self.algorithm.cmp(&other.algorithm).then_with(|| self.hash.cmp(&other.hash))
    }
}

impl PartialOrd for ContentDigest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // On the stack: a request writes several digests, of which most only live in the key of a row.
        let mut text = [0; TEXT_LENGTH_MAX_BYTES];
        let name = self.algorithm.as_str();
        let (head, digits) = text.split_at_mut(name.len() + 1);
        for (to, from) in head.iter_mut().zip(name.bytes().chain([b':'])) {
            *to = from;
        }
        for (to, byte) in digits.chunks_exact_mut(2).zip(self.bytes()) {
            to.copy_from_slice(&hexadecimal_digits(*byte));
        }
        let text = text.get(..name.len() + 1 + self.algorithm.encoded_length());
        formatter.pad(text.and_then(|text| std::str::from_utf8(text).ok()).ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ContentDigest({self})")
    }
}

impl FromStr for ContentDigest {
    type Err = DigestError;

    /// Reads a digest; one that the grammar allows but pulk can't compute is an unsupported algorithm (G9).
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed(excerpt(text));
        let (name, encoded) = split(text)?;
        let algorithm: Algorithm = name.parse()?;
        if encoded.len() != algorithm.encoded_length() {
            return Err(malformed());
        }
        let mut hash = [0; HASH_LENGTH_MAX_BYTES];
        for (byte, digits) in hash.iter_mut().zip(encoded.as_bytes().chunks(2)) {
            *byte = byte_of(digits).ok_or_else(malformed)?;
        }
        Ok(Self { algorithm, hash })
    }
}

serde_as_text!(ContentDigest);

fn hexadecimal_digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|value| if value < 10 { b'0' + value } else { b'a' + (value - 10) })
}

fn byte_of(digits: &[u8]) -> Option<u8> {
    match digits {
        [high, low] => Some((value_of(*high)? << 4) | value_of(*low)?),
        _ => None,
    }
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::digest::Digest;

    fn any_content_digest() -> impl Strategy<Value = ContentDigest> {
        (prop::sample::select(&Algorithm::ALL), any::<[u8; HASH_LENGTH_MAX_BYTES]>()).prop_map(
            |(algorithm, hash)| ContentDigest::from_hash(algorithm, &hash[..algorithm.length_bytes()]),
        )
    }

    /// G6 to G8: published test vectors of the three algorithms.
    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        let known = [
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
            "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ];
        for text in known {
            let digest: ContentDigest = text.parse().unwrap();
            assert_eq!(ContentDigest::of(digest.algorithm(), b""), digest);
        }
    }

    #[test]
    fn sha256_is_the_usual_algorithm() {
        let digest = ContentDigest::sha256_of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.encoded(), &text[7..]);
        assert_eq!(digest.bytes().len(), 32);
        assert_eq!(format!("{digest:?}"), format!("ContentDigest({text})"));
    }

    /// G9
    #[test]
    fn content_has_no_digest_of_an_unknown_algorithm() {
        let unsupported = DigestError::UnsupportedAlgorithm("sha999".to_owned());
        assert_eq!("sha999:00".parse::<ContentDigest>(), Err(unsupported.clone()));
        let digest: Digest = "sha999:00".parse().unwrap();
        assert_eq!(ContentDigest::try_from(&digest), Err(unsupported));
    }

    #[test]
    fn upper_case_digits_are_malformed() {
        let text = format!("sha256:{}A", "0".repeat(63));
        assert_eq!(text.parse::<ContentDigest>(), Err(DigestError::Malformed(text.clone())));
    }

    proptest! {
        #[test]
        fn text_and_json_give_the_digest_back(digest in any_content_digest()) {
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            let json = serde_json::to_string(&digest).unwrap();
            prop_assert_eq!(&json, &format!("\"{digest}\""));
            prop_assert_eq!(serde_json::from_str::<ContentDigest>(&json).unwrap(), digest);
        }

        #[test]
        fn order_is_the_order_of_the_text(one in any_content_digest(), other in any_content_digest()) {
            prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        }

        #[test]
        fn both_kinds_of_digest_compare(one in any_content_digest(), other in any_content_digest()) {
            let wide = Digest::from(one);
            prop_assert_eq!(wide.content(), Some(one));
            prop_assert!(wide == one);
            prop_assert!(one == wide);
            prop_assert_eq!(wide == other, one == other);
        }
    }
}
