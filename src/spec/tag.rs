//! Tags: distribution-spec, section "Pulling manifests".

use std::sync::Arc;

use thiserror::Error;

use crate::base::bounded_text;
use crate::spec::algorithm::Algorithm;
use crate::spec::content_digest::ContentDigest;

/// The longest tag; all its characters are ASCII (G3).
pub const TAG_LENGTH_MAX_CHARS: usize = 128;

/// A tag, such as `latest` (G3), of at most `TAG_LENGTH_MAX_CHARS`. Tags order byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// Why a text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagError {
    /// The text does not follow the grammar.
    #[error("malformed tag {0:?}")]
    Malformed(String),
    /// The text is longer than `TAG_LENGTH_MAX_CHARS`.
    #[error("a tag of {0} characters is longer than {TAG_LENGTH_MAX_CHARS}")]
    TooLong(usize),
}

bounded_text!(Tag, TagError, is_tag, TAG_LENGTH_MAX_CHARS);

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]*`
fn is_tag(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !text.is_empty() && !text.starts_with(['.', '-']) && text.bytes().all(is_allowed)
}

/// How many characters of a hash a tag has that belongs to a subject: all of most, half of the longest (R12).
const SUBJECT_HASH_LENGTH_CHARS: usize = 64;

/// What a tag says that belongs to another manifest: the fallback tag of the referrers API (R12), or the same
/// with a suffix, such as cosign's `sha256-….sig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectOfTag<'a> {
    algorithm: Algorithm,
    hash: &'a str,
}

impl Tag {
    /// Returns the manifest that the tag belongs to, if it has the form of such a tag.
    pub fn subject(&self) -> Option<SubjectOfTag<'_>> {
        let (algorithm, rest) = self.0.split_once('-')?;
        let (hash, suffix) = rest.split_at_checked(SUBJECT_HASH_LENGTH_CHARS)?;
        let is_hash = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let has_end = suffix.is_empty() || suffix.starts_with('.');
        let algorithm = algorithm.parse().ok().filter(|_| is_hash && has_end)?;
        Some(SubjectOfTag { algorithm, hash })
    }
}

impl SubjectOfTag<'_> {
    /// Tells whether the manifest that the tag belongs to comes after another one in the order of digests.
    pub fn is_after(&self, digest: &ContentDigest) -> bool {
        (digest.algorithm(), digest.encoded().as_str()) < (self.algorithm, self.hash)
    }

    /// Tells whether a manifest is the one that the tag belongs to.
    pub fn is(&self, digest: &ContentDigest) -> bool {
        self.algorithm == digest.algorithm() && digest.encoded().starts_with(self.hash)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// G3
    #[test]
    fn the_grammar_decides_what_a_tag_is() {
        for text in ["latest", "v1.2.3-rc.1", "_", "__..--", "A", "0", "a.", "a-"] {
            assert_eq!(text.parse::<Tag>().expect(text).to_string(), text);
        }
        for text in ["", ".a", "-a", "a b", "a/b", "a:b", "a+b", "a\n", "ä", "a%"] {
            assert_eq!(text.parse::<Tag>(), Err(TagError::Malformed(text.to_owned())));
        }
    }

    /// G3
    #[test]
    fn a_tag_has_at_most_128_characters() {
        let longest = "a".repeat(TAG_LENGTH_MAX_CHARS);
        assert!(longest.parse::<Tag>().is_ok());
        assert_eq!(format!("{longest}a").parse::<Tag>(), Err(TagError::TooLong(129)));
    }

    /// R12
    #[test]
    fn a_tag_with_the_hash_of_a_manifest_belongs_to_it() {
        let hash = "0123456789abcdef".repeat(4);
        let long = "0123456789abcdef".repeat(8);
        let digest = |text: &str| text.parse::<ContentDigest>().unwrap();
        for (tag, subject) in [
            (format!("sha256-{hash}"), format!("sha256:{hash}")),
            (format!("sha256-{hash}.sig"), format!("sha256:{hash}")),
            (format!("sha256-{hash}.att.v2"), format!("sha256:{hash}")),
            (format!("sha512-{hash}"), format!("sha512:{long}")),
            (format!("blake3-{hash}.sbom"), format!("blake3:{hash}")),
        ] {
            let tag: Tag = tag.parse().unwrap();
            assert!(tag.subject().unwrap().is(&digest(&subject)), "{tag}");
            assert!(!tag.subject().unwrap().is(&digest(&format!("sha256:{}", "f".repeat(64)))), "{tag}");
        }
        for tag in [
            format!("sha256-{hash}0"),
            format!("sha256-{hash}-sig"),
            format!("sha256-{}", &hash[1..]),
            format!("sha256-{}", hash.to_uppercase()),
            format!("md5-{hash}"),
            format!("sha256.{hash}"),
            "v1".to_owned(),
        ] {
            assert_eq!(tag.parse::<Tag>().unwrap().subject(), None, "{tag}");
        }
    }

    #[test]
    fn json_has_the_text_and_refuses_what_the_grammar_does() {
        let tag: Tag = serde_json::from_str("\"v1\"").unwrap();
        assert_eq!(serde_json::to_string(&tag).unwrap(), "\"v1\"");
        assert!(serde_json::from_str::<Tag>("\"-\"").is_err());
    }

    proptest! {
        /// G3: the specification's own expression.
        #[test]
        fn what_the_specification_generates_is_accepted(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            prop_assert_eq!(text.parse::<Tag>().unwrap().to_string(), text);
        }

        #[test]
        fn tags_order_like_their_bytes(one in "[a-zA-Z0-9_.]{1,4}", other in "[a-zA-Z0-9_.]{1,4}") {
            if let (Ok(tag), Ok(other_tag)) = (one.parse::<Tag>(), other.parse::<Tag>()) {
                prop_assert_eq!(tag.cmp(&other_tag), one.as_bytes().cmp(other.as_bytes()));
            }
        }
    }
}
