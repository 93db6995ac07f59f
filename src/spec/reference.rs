//! What a manifest is asked for by.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::base::serde_as_text;
use crate::spec::algorithm::DigestError;
use crate::spec::digest::Digest;
use crate::spec::tag::{Tag, TagError};

/// What a manifest is asked for by: a tag or a digest, nothing else (G4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A name that can move from one manifest to another.
    Tag(Tag),
    /// The manifest's own digest.
    Digest(Digest),
}

/// Why a text is neither a tag nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// It has no colon, and is no tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// It has a colon, and is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Reads a reference: a colon means that it is a digest (G4).
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(formatter),
            Self::Digest(digest) => digest.fmt(formatter),
        }
    }
}

serde_as_text!(Reference);

#[cfg(test)]
mod tests {
    use super::*;

    /// G4
    #[test]
    fn a_colon_makes_it_a_digest() {
        assert_eq!("latest".parse(), Ok(Reference::Tag("latest".parse().unwrap())));
        assert_eq!("x:y".parse(), Ok(Reference::Digest("x:y".parse().unwrap())));
    }

    /// G4
    #[test]
    fn a_malformed_digest_is_not_taken_for_a_tag() {
        let error = "sha256:latest".parse::<Reference>().unwrap_err();
        assert_eq!(error, ReferenceError::Digest(DigestError::Malformed("sha256:latest".to_owned())));
        let error = "-latest".parse::<Reference>().unwrap_err();
        assert_eq!(error, ReferenceError::Tag(TagError::Malformed("-latest".to_owned())));
    }

    #[test]
    fn both_kinds_are_written_as_they_were_read() {
        for text in ["latest", "x:y"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
