//! Manifests: image-spec manifest.md and image-index.md, Docker's schema 2, and types that pulk doesn't know.

mod annotations;
mod mentions;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::base::excerpt;
use crate::spec::content_digest::ContentDigest;
use crate::spec::descriptor::Descriptor;
use crate::spec::digest::Digest;
use crate::spec::json_object::Object;
use crate::spec::manifest::annotations::ShortAnnotations;
use crate::spec::media_type::{MEDIA_TYPE_LENGTH_MAX_CHARS, ManifestKind, MediaType, MediaTypeError};
use crate::spec::referrer::{Annotations, Referrer};

/// The largest manifest that is accepted where nothing else is configured (W10).
pub const MANIFEST_SIZE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The highest limit on manifests that can be configured, so the largest manifest that a store can have.
pub const MANIFEST_SIZE_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Docker's schema 1, whose references and digests follow rules of their own.
const SCHEMA_1_TYPES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// Why bytes are not a manifest that pulk takes. All of these are a `MANIFEST_INVALID`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// The bytes are not UTF-8, not JSON, or a field has the wrong shape.
    #[error("malformed manifest: {0}")]
    Malformed(String),
    /// Neither the request nor the manifest names a media type (W6).
    #[error("the manifest has no mediaType, and the request no Content-Type")]
    MediaTypeMissing,
    /// The manifest's `mediaType` is none.
    #[error(transparent)]
    MediaTypeMalformed(#[from] MediaTypeError),
    /// The request and the manifest name different media types (W6).
    #[error("the manifest's mediaType is {media_type}, and the request's Content-Type {content_type}")]
    MediaTypeMismatch {
        /// What the manifest says.
        media_type: MediaType,
        /// What the request says.
        content_type: MediaType,
    },
    /// The media type is one that pulk knows and doesn't serve.
    #[error("manifests of the type {0} are not supported")]
    MediaTypeUnsupported(MediaType),
    /// The manifest is of Docker's schema 1, whatever its media type.
    #[error("Docker's schema 1 is not supported: push the image as schema 2 or as an OCI image")]
    Schema1,
    /// The manifest lacks a field that its type requires.
    #[error("a manifest of the type {media_type} needs the field {field:?}")]
    FieldMissing {
        /// The manifest's type.
        media_type: MediaType,
        /// The field.
        field: &'static str,
    },
    /// The manifest has a field that makes it look like another type: clients could disagree about it.
    #[error("a manifest of the type {media_type} can't have the field {field:?}")]
    FieldAmbiguous {
        /// The manifest's type.
        media_type: MediaType,
        /// The field.
        field: &'static str,
    },
    /// The artifact type is longer than a media type can be, or has control characters.
    #[error("malformed artifact type {0:?}")]
    ArtifactTypeMalformed(String),
}

/// A manifest, read once from its exact bytes. It is never written again: those bytes are what clients get.
///
/// Of a type that pulk doesn't know, the fields that the known types have are understood. Any other string in
/// it that is a digest is a mention: what its repository has of that is kept, and need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    media_type: MediaType,
    size: u64,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    blobs: Vec<Descriptor>,
    manifests: Vec<Descriptor>,
    mentions: Vec<ContentDigest>,
    /// `None` where they are long.
    annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a manifest that was sent with `content_type`, whose parameters don't matter (W5).
    ///
    /// Lists may be empty, absent or `null` (W9), and unknown fields are passed over (W13).
    /// A known field must not occur twice, since readers differ in which one they take;
    /// of equal keys of annotations, the last one counts.
    pub fn parse(bytes: &[u8], content_type: Option<&MediaType>) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(malformed)?;
        let Object(body): Object<Body> = serde_json::from_str(text).map_err(malformed)?;
        let media_type = body.agreed_media_type(content_type)?;
        body.check_schema(text)?;
        body.check_fields(&media_type)?;
        let artifact_type = body.found_artifact_type(media_type.kind())?;

        let mut blobs = Vec::from_iter(body.config);
        blobs.extend(body.layers.unwrap_or_default());
        if media_type.kind() == ManifestKind::Other {
            // In the types that pulk knows, `blobs` is a field like any unknown one.
            let Object(artifact): Object<ArtifactBody> = serde_json::from_str(text).map_err(malformed)?;
            blobs.extend(artifact.blobs.unwrap_or_default());
        }
        let manifests = body.manifests.unwrap_or_default();
        let mentions = match media_type.kind() {
            ManifestKind::Other => {
                let known = blobs.iter().chain(&manifests).chain(&body.subject);
                mentions::mentions(text, known.map(|descriptor| &descriptor.digest))
            }
            ManifestKind::Image | ManifestKind::Index => Vec::new(),
        };
        Ok(Self {
            media_type,
            size: bytes.len() as u64,
            artifact_type,
            subject: body.subject,
            blobs,
            manifests,
            mentions,
            annotations: body.annotations.map_or_else(|| Some(BTreeMap::new()), |short| short.0),
        })
    }

    /// Returns the media type, without parameters.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Returns the length in bytes of the content that the manifest was read from.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns what the manifest says something about; it need not exist (W7).
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// Returns the blobs that must exist (W8): config, layers and the `blobs` of an unknown type, in this
    /// order, without those that come from elsewhere.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs.iter().filter(|descriptor| !descriptor.is_foreign())
    }

    /// Returns the content of [`Self::all_blobs`]: what a repository keeps for this manifest.
    pub fn kept_blobs(&self) -> impl Iterator<Item = ContentDigest> {
        self.all_blobs().filter_map(|blob| blob.digest.content())
    }

    /// Returns the content of [`Self::all_children`], likewise, and the mentions of an unknown type. Each is
    /// a manifest or a blob.
    pub fn kept_children(&self) -> impl Iterator<Item = ContentDigest> {
        self.all_children().filter_map(|child| child.digest.content()).chain(self.mentions.iter().copied())
    }

    /// Returns the digests of all that a repository keeps for this manifest, also those that no content has
    /// that pulk can store.
    pub fn all_references(&self) -> impl Iterator<Item = Digest> {
        let described = self.all_blobs().chain(self.all_children()).map(|described| described.digest.clone());
        described.chain(self.mentions.iter().copied().map(Digest::from))
    }

    /// Returns all blobs that the manifest references, also those that may come from elsewhere: a repository
    /// that has them keeps them for it.
    pub fn all_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs.iter()
    }

    /// Returns all that an index lists, also what may come from elsewhere.
    pub fn all_children(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter()
    }

    /// Returns what an index lists and must exist (W8), without what comes from elsewhere.
    ///
    /// These need not be manifests: build caches are indexes that list layers.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|descriptor| !descriptor.is_foreign())
    }

    /// Returns the artifact type (R6): the manifest's own, else that of an image's config.
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// Returns the annotations, or `None` where they are long: a map of them would take too much memory.
    pub fn annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.annotations.as_ref()
    }

    /// Returns the manifest as the referrers of its subject list it (R6). `bytes` are those that it was
    /// parsed from, and `digest` is theirs.
    pub fn referrer(&self, bytes: &[u8], digest: ContentDigest) -> Result<Referrer, ManifestError> {
        let annotations = match &self.annotations {
            Some(short) => Annotations::Read(short.clone()),
            None => {
                let Object(long): Object<LongAnnotations<'_>> =
                    serde_json::from_slice(bytes).map_err(malformed)?;
                Annotations::Written(long.annotations.to_owned())
            }
        };
        Ok(Referrer {
            media_type: self.media_type.clone(),
            digest,
            size: self.size,
            artifact_type: self.artifact_type.clone(),
            annotations,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    payload: Option<IgnoredAny>,
    payload_type: Option<IgnoredAny>,
    signatures: Option<IgnoredAny>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<ShortAnnotations>,
}

/// Annotations as they are written.
#[derive(Deserialize)]
struct LongAnnotations<'a> {
    #[serde(borrow)]
    annotations: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: u64,
}

/// What the withdrawn `application/vnd.oci.artifact.manifest.v1+json` has instead of layers.
#[derive(Deserialize)]
struct ArtifactBody {
    blobs: Option<Vec<Descriptor>>,
}

impl Body {
    /// Refuses Docker's schema 1 by what it is: its label may be any, such as `application/json`. Signed with
    /// its content in the signature (JWS), it has no version; a DSSE envelope has a `payloadType` as well.
    fn check_schema(&self, text: &str) -> Result<(), ManifestError> {
        let is_jws = self.payload.is_some() && self.signatures.is_some() && self.payload_type.is_none();
        // Unknown types may have a version of any shape, and most have a number: it is read by itself.
        let version = serde_json::from_str::<Object<Version>>(text);
        let is_1 = version.is_ok_and(|Object(version)| version.schema_version == 1);
        if is_1 || is_jws { Err(ManifestError::Schema1) } else { Ok(()) }
    }

    /// W6: both media types must be the same where there are two, and one there must be.
    fn agreed_media_type(&self, content_type: Option<&MediaType>) -> Result<MediaType, ManifestError> {
        let own = match self.media_type.as_deref() {
            None | Some("") => None,
            Some(text) => Some(text.parse::<MediaType>()?.without_parameters()),
        };
        let agreed = match (own, content_type.map(MediaType::without_parameters)) {
            (Some(media_type), Some(content_type)) if media_type != content_type => {
                return Err(ManifestError::MediaTypeMismatch { media_type, content_type });
            }
            (Some(media_type), _) | (None, Some(media_type)) => media_type,
            (None, None) => return Err(ManifestError::MediaTypeMissing),
        };
        if SCHEMA_1_TYPES.contains(&agreed.as_str()) {
            return Err(ManifestError::MediaTypeUnsupported(agreed));
        }
        Ok(agreed)
    }

    /// Refuses an image without a config, and what one client would read as an image and another as an index.
    fn check_fields(&self, media_type: &MediaType) -> Result<(), ManifestError> {
        let kind = media_type.kind();
        let ambiguous = match kind {
            ManifestKind::Image => self.manifests.is_some().then_some("manifests"),
            ManifestKind::Index if self.config.is_some() => Some("config"),
            ManifestKind::Index => self.layers.is_some().then_some("layers"),
            ManifestKind::Other => None,
        };
        if let Some(field) = ambiguous {
            return Err(ManifestError::FieldAmbiguous { media_type: media_type.clone(), field });
        }
        if kind == ManifestKind::Image && self.config.is_none() {
            return Err(ManifestError::FieldMissing { media_type: media_type.clone(), field: "config" });
        }
        Ok(())
    }

    /// R6
    fn found_artifact_type(&self, kind: ManifestKind) -> Result<Option<String>, ManifestError> {
        let own = self.artifact_type.as_deref().filter(|text| !text.is_empty());
        let of_config = || self.config.as_ref().map(|config| config.media_type.as_str());
        let found = match kind {
            ManifestKind::Image => own.or_else(of_config).filter(|text| !text.is_empty()),
            ManifestKind::Index | ManifestKind::Other => own,
        };
        match found {
            Some(text) if text.len() > MEDIA_TYPE_LENGTH_MAX_CHARS || text.contains(char::is_control) => {
                Err(ManifestError::ArtifactTypeMalformed(excerpt(text)))
            }
            _ => Ok(found.map(str::to_owned)),
        }
    }
}

fn malformed(error: impl std::error::Error) -> ManifestError {
    // What is wrong may quote the manifest at any length.
    ManifestError::Malformed(excerpt(&error.to_string()))
}

#[cfg(test)]
mod tests;
