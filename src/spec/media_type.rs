//! Media types: RFC 6838, and those that image-spec and Docker give to manifests.

use std::sync::Arc;

use thiserror::Error;

use crate::base::bounded_text;

/// The longest media type: 127 characters a side, and the slash (RFC 6838, section 4.2).
pub const MEDIA_TYPE_LENGTH_MAX_CHARS: usize = 255;

/// A media type `type/subtype`, parameters included, in printable ASCII and at most
/// `MEDIA_TYPE_LENGTH_MAX_CHARS` long. Two are equal when their texts are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Arc<str>);

/// What a manifest of some media type holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// A config and layers.
    Image,
    /// Other manifests.
    Index,
    /// Something that no specification pulk knows describes.
    Other,
}

/// Why a text is not a media type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MediaTypeError {
    /// The text does not follow the grammar.
    #[error("malformed media type {0:?}")]
    Malformed(String),
    /// The text is longer than `MEDIA_TYPE_LENGTH_MAX_CHARS`.
    #[error("a media type of {0} characters is longer than {MEDIA_TYPE_LENGTH_MAX_CHARS}")]
    TooLong(usize),
}

impl MediaType {
    /// An image manifest (image-spec manifest.md).
    pub const OCI_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    /// An image index (image-spec image-index.md); what the referrers API answers with, too (R4, R5).
    pub const OCI_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    /// The config of an image (image-spec config.md).
    pub const OCI_CONFIG: &'static str = "application/vnd.oci.image.config.v1+json";
    /// The content `{}`, which stands where a descriptor is required and nothing is to be said.
    pub const OCI_EMPTY: &'static str = "application/vnd.oci.empty.v1+json";
    /// Docker's image manifest, schema 2.
    pub const DOCKER_MANIFEST: &'static str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's list of manifests, schema 2.
    pub const DOCKER_LIST: &'static str = "application/vnd.docker.distribution.manifest.list.v2+json";

    /// Returns the media type up to its first parameter (W5).
    pub fn without_parameters(&self) -> Self {
        match self.0.split_once(';') {
            Some((essence, _)) => Self(essence.trim_end().into()),
            None => self.clone(),
        }
    }

    /// Tells what a manifest of this type holds, whatever the parameters.
    pub fn kind(&self) -> ManifestKind {
        match self.without_parameters().as_str() {
            Self::OCI_MANIFEST | Self::DOCKER_MANIFEST => ManifestKind::Image,
            Self::OCI_INDEX | Self::DOCKER_LIST => ManifestKind::Index,
            _ => ManifestKind::Other,
        }
    }
}

bounded_text!(MediaType, MediaTypeError, is_media_type, MEDIA_TYPE_LENGTH_MAX_CHARS);

/// `token "/" token [ spaces ";" anything printable ]`
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = if essence.len() < text.len() { essence.trim_end_matches(' ') } else { essence };
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~');
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parameters.bytes().all(is_printable)
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media_type(text: &str) -> MediaType {
        text.parse().expect(text)
    }

    #[test]
    fn the_grammar_decides_what_a_media_type_is() {
        for text in ["a/b", MediaType::OCI_MANIFEST, "text/plain; charset=utf-8", "a/b ;v=\"x y\"", "a/b;"] {
            assert_eq!(media_type(text).to_string(), text);
        }
        for text in
            ["", "a", "/", "a/", "/b", "a/b/c", "a b/c", "a/b ", " a/b", "a/b;\n", "a/é", "a/b;é", ";a/b"]
        {
            assert_eq!(text.parse::<MediaType>(), Err(MediaTypeError::Malformed(text.to_owned())));
        }
    }

    #[test]
    fn a_media_type_has_at_most_255_characters() {
        let longest = format!("a/{}", "b".repeat(MEDIA_TYPE_LENGTH_MAX_CHARS - 2));
        assert_eq!(media_type(&longest).as_str(), longest);
        assert_eq!(format!("{longest}b").parse::<MediaType>(), Err(MediaTypeError::TooLong(256)));
    }

    /// W5
    #[test]
    fn parameters_can_be_left_off() {
        for text in ["a/b", "a/b;", "a/b;c=d", "a/b  ; c=d;e"] {
            assert_eq!(media_type(text).without_parameters(), media_type("a/b"));
        }
    }

    /// W13: Docker's types are the same kinds of manifest as the OCI's.
    #[test]
    fn the_kind_follows_from_the_type_alone() {
        for text in [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST] {
            assert_eq!(media_type(text).kind(), ManifestKind::Image);
            assert_eq!(media_type(&format!("{text}; charset=utf-8")).kind(), ManifestKind::Image);
        }
        for text in [MediaType::OCI_INDEX, MediaType::DOCKER_LIST] {
            assert_eq!(media_type(text).kind(), ManifestKind::Index);
        }
        for text in [MediaType::OCI_CONFIG, MediaType::OCI_EMPTY, "application/json"] {
            assert_eq!(media_type(text).kind(), ManifestKind::Other);
        }
    }

    proptest! {
        #[test]
        fn what_is_left_without_parameters_is_a_media_type(
            text in "[a-z+.]{1,9}/[a-z+.]{1,9} {0,2}(;[ -~]{0,9}){1,3}",
        ) {
            let bare = media_type(&text).without_parameters();
            prop_assert_eq!(&media_type(bare.as_str()), &bare);
            prop_assert!(text.starts_with(bare.as_str()) && !bare.as_str().contains([';', ' ']));
        }
    }
}
