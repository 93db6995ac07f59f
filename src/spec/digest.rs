//! Digests: `algorithm ":" encoded`, as image-spec descriptor.md, section "Digests", has them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::base::serde_as_text;
use crate::spec::algorithm::{Algorithm, DigestError, split};
use crate::spec::content_digest::ContentDigest;

/// Any digest that the grammar allows (G5), at most `DIGEST_LENGTH_MAX_BYTES` long.
///
/// The algorithm may be one that is not registered (G9). Where pulk knows it, the encoded part is exactly
/// what that algorithm yields (G6 to G8), and [`Digest::content`] tells which content is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what stands before the colon.
    pub fn algorithm_name(&self) -> &str {
        self.parts().0
    }

    /// Returns what stands after the colon.
    pub fn encoded(&self) -> &str {
        self.parts().1
    }

    /// Returns the digest in the form that names content, unless pulk can't compute its algorithm.
    pub fn content(&self) -> Option<ContentDigest> {
        self.as_str().parse().ok()
    }

    fn parts(&self) -> (&str, &str) {
        // INVARIANT: the text has exactly one colon, so there always are two parts.
        self.0.split_once(':').unwrap_or_default()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, _) = split(text)?;
        if name.parse::<Algorithm>().is_ok() {
            text.parse::<ContentDigest>()?;
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl From<ContentDigest> for Digest {
    fn from(digest: ContentDigest) -> Self {
        Self(digest.to_string().into())
    }
}

impl TryFrom<&Digest> for ContentDigest {
    type Error = DigestError;

    fn try_from(digest: &Digest) -> Result<Self, DigestError> {
        digest.as_str().parse()
    }
}

impl PartialEq<Digest> for ContentDigest {
    fn eq(&self, other: &Digest) -> bool {
        other.content() == Some(*self)
    }
}

impl PartialEq<ContentDigest> for Digest {
    fn eq(&self, other: &ContentDigest) -> bool {
        other == self
    }
}

serde_as_text!(Digest);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::algorithm::DIGEST_LENGTH_MAX_BYTES;

    fn malformed(text: &str) -> bool {
        matches!(text.parse::<Digest>(), Err(DigestError::Malformed(excerpt)) if excerpt == text)
    }

    /// G5
    #[test]
    fn the_grammar_decides_what_a_digest_is() {
        for text in [
            "a:b",
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
            "a.b_c-d+e:A=_-",
            "0:0",
        ] {
            assert_eq!(text.parse::<Digest>().expect(text).as_str(), text);
        }
        for text in [
            "", ":", "a:", ":b", "ab", "a::b", "a:b:c", "A:b", "a+:b", "+a:b", "a..b:c", "a:b c", "a:b+",
            "a:é",
        ] {
            assert!(malformed(text), "{text:?}");
        }
    }

    /// G6
    #[test]
    fn sha256_has_64_lower_case_hexadecimal_digits() {
        let digits = "0123456789abcdef".repeat(4);
        let digest: Digest = format!("sha256:{digits}").parse().unwrap();
        assert_eq!((digest.algorithm_name(), digest.encoded()), ("sha256", digits.as_str()));
        assert!(malformed(&format!("sha256:{}", digits.to_uppercase())));
        assert!(malformed(&format!("sha256:{digits}0")));
        assert!(malformed(&format!("sha256:{}", &digits[1..])));
        assert!(malformed(&format!("sha256:g{}", &digits[1..])));
        assert!(malformed(&format!("sha256:={}", &digits[1..])));
    }

    /// G7, G8
    #[test]
    fn each_known_algorithm_has_its_own_length() {
        for (algorithm, length) in [("sha256", 64), ("sha512", 128), ("blake3", 64)] {
            for wrong in [1, 32, length - 1, length + 1, 150] {
                assert!(malformed(&format!("{algorithm}:{}", "a".repeat(wrong))), "{algorithm} of {wrong}");
            }
            let digest: Digest = format!("{algorithm}:{}", "a".repeat(length)).parse().unwrap();
            assert!(digest.content().is_some());
        }
    }

    /// G9
    #[test]
    fn an_unknown_algorithm_is_a_digest_that_names_no_content() {
        let digest: Digest = "sha999:Zz=".parse().unwrap();
        assert_eq!(digest.content(), None);
        assert_eq!(digest.algorithm_name(), "sha999");
    }

    #[test]
    fn a_digest_has_a_greatest_length() {
        let longest = format!("x:{}", "a".repeat(DIGEST_LENGTH_MAX_BYTES - 2));
        assert!(longest.parse::<Digest>().is_ok());
        let error = format!("{longest}a").parse::<Digest>().unwrap_err();
        assert_eq!(error, DigestError::TooLong(DIGEST_LENGTH_MAX_BYTES + 1));
    }

    #[test]
    fn algorithms_are_read_by_the_name_they_are_written_with() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!(
            "SHA256".parse::<Algorithm>(),
            Err(DigestError::UnsupportedAlgorithm("SHA256".to_owned()))
        );
        assert!(Algorithm::ALL.is_sorted_by(|one, next| one < next && one.as_str() < next.as_str()));
    }

    #[test]
    fn json_has_the_text_and_refuses_what_the_grammar_does() {
        let digest: Digest = serde_json::from_str("\"x:y\"").unwrap();
        assert_eq!(serde_json::to_string(&digest).unwrap(), "\"x:y\"");
        assert!(serde_json::from_str::<Digest>("\"sha256:y\"").is_err());
    }

    proptest! {
        #[test]
        fn what_the_specification_generates_is_accepted(
            text in "[a-z0-9]{1,9}([+._-][a-z0-9]{1,9}){0,4}:[a-zA-Z0-9=_-]{1,200}",
        ) {
            let known = text.split(':').next().is_some_and(|name| name.parse::<Algorithm>().is_ok());
            prop_assume!(!known);
            let digest: Digest = text.parse().unwrap();
            prop_assert_eq!(digest.to_string(), text.clone());
            prop_assert_eq!(format!("{}:{}", digest.algorithm_name(), digest.encoded()), text);
        }
    }
}
