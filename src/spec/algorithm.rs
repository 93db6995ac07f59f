//! The algorithms of digests, and the grammar that all digests share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base::excerpt;

/// The longest digest that pulk reads, in bytes. The longest registered one, of sha512, has 135.
pub const DIGEST_LENGTH_MAX_BYTES: usize = 512;

/// An algorithm that pulk can compute (G6 to G8). They order like their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// BLAKE3 with its usual output of 256 bits.
    Blake3,
    /// SHA-256, which every registry must know.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Blake3, Self::Sha256, Self::Sha512];

    /// Returns the name that stands before the colon of a digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the length of the hash in bytes.
    pub fn length_bytes(self) -> usize {
        match self {
            Self::Blake3 | Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Returns the length of the encoded part of a digest: two hexadecimal digits a byte.
    pub fn encoded_length(self) -> usize {
        2 * self.length_bytes()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    /// Reads the name of an algorithm that pulk can compute.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| DigestError::UnsupportedAlgorithm(excerpt(text)))
    }
}

/// Why a text is not the digest that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigestError {
    /// The text does not follow the grammar, or has the wrong length or letters for its algorithm.
    #[error("malformed digest {0:?}")]
    Malformed(String),
    /// The algorithm is not one that pulk can compute.
    #[error("unsupported digest algorithm {0:?}")]
    UnsupportedAlgorithm(String),
    /// The text is longer than `DIGEST_LENGTH_MAX_BYTES`.
    #[error("a digest of {0} bytes is longer than {DIGEST_LENGTH_MAX_BYTES} bytes")]
    TooLong(usize),
}

/// Splits a text that follows the grammar of digests, whatever its algorithm, at the colon.
pub(in crate::spec) fn split(text: &str) -> Result<(&str, &str), DigestError> {
    if text.len() > DIGEST_LENGTH_MAX_BYTES {
        return Err(DigestError::TooLong(text.len()));
    }
    text.split_once(':')
        .filter(|(algorithm, encoded)| is_algorithm(algorithm) && is_encoded(encoded))
        .ok_or_else(|| DigestError::Malformed(excerpt(text)))
}

/// `[a-z0-9]+([+._-][a-z0-9]+)*`
fn is_algorithm(text: &str) -> bool {
    let is_component = |component: &str| {
        !component.is_empty() && component.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    };
    text.split(['+', '.', '_', '-']).all(is_component)
}

/// `[a-zA-Z0-9=_-]+`
fn is_encoded(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-');
    !text.is_empty() && text.bytes().all(is_allowed)
}
