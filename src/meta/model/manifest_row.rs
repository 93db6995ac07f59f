//! A summary of a manifest, for uses where reading it would take too long.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::meta::model::optional::Optional;
use crate::spec::{
    Annotations, ContentDigest, Digest, Manifest, ManifestKind, MediaType, Referrer, json_length,
};

/// The longest annotations that a summary repeats, in bytes of JSON.
const SUMMARY_ANNOTATIONS_MAX_BYTES: usize = 2 * 1024;

/// The row about a manifest in the index. In JSON it is shorter than 4 KiB, for any manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestRow {
    /// The media type, without parameters.
    pub media_type: MediaType,
    /// The length in bytes of the manifest.
    pub size: u64,
    /// The digest of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// The artifact type (R6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The annotations, or `None` when they are too long and must be read from the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The store time when the repository got it, or when it last lost its last tag, in milliseconds.
    #[serde(default)]
    pub noted: u64,
    /// What other versions know of it.
    #[serde(default, skip_serializing_if = "Optional::is_empty")]
    pub optional: Optional,
}

impl ManifestRow {
    /// Returns the row of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let annotations = manifest.annotations();
        Self {
            media_type: manifest.media_type().clone(),
            size: manifest.size(),
            subject: manifest.subject().map(|subject| subject.digest.clone()),
            artifact_type: manifest.artifact_type().map(str::to_owned),
            annotations: annotations.filter(|annotations| is_short(annotations)).cloned(),
            noted: 0,
            optional: Optional::default(),
        }
    }

    /// Tells whether another row says the same of the manifest, regardless of when it was noted and of what
    /// is optional.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let said = |row: &Self| Self { optional: Optional::default(), ..row.clone().noted(0) };
        said(self) == said(other)
    }

    /// Tells whether it is an image, which references no manifest.
    pub fn is_image(&self) -> bool {
        self.media_type.kind() == ManifestKind::Image
    }

    /// Returns the row as noted at a time.
    pub fn noted(self, noted: u64) -> Self {
        Self { noted, ..self }
    }

    /// Returns the store time of the last pull that was noted, in milliseconds, by whatever reference.
    /// `Upkeep::pending_pulls` has what no row notes yet. A pull within a day of it need not be noted, and a
    /// power cut loses at most the notes of one more day: a rule that removes something counts from two days
    /// later.
    ///
    /// `None` says that no pull was noted since the row was made: the manifest was not pulled, or not by a
    /// version that notes it, or a power cut took the note. Then count from when the row was noted.
    ///
    /// A pull of an index is noted at the index, and that of one of its manifests at that manifest: the last
    /// pull of an image is the latest of its tag's, its manifest's, and those of what this leads to.
    pub fn last_pull_ms(&self) -> Option<u64> {
        self.optional.pulled()
    }

    /// Returns the row with a pull noted.
    pub(in crate::meta) fn pulled(self, at_ms: u64) -> Self {
        Self { optional: self.optional.with_pull(at_ms), ..self }
    }

    /// Returns the manifest as the referrers of its subject list it (R6), or `None` when that requires
    /// reading the manifest.
    pub fn referrer(&self, digest: ContentDigest) -> Option<Referrer> {
        Some(Referrer {
            media_type: self.media_type.clone(),
            digest,
            size: self.size,
            artifact_type: self.artifact_type.clone(),
            annotations: Annotations::Read(self.annotations.clone()?),
        })
    }
}

fn is_short(annotations: &BTreeMap<String, String>) -> bool {
    json_length(annotations) <= SUMMARY_ANNOTATIONS_MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{DIGEST_LENGTH_MAX_BYTES, MEDIA_TYPE_LENGTH_MAX_CHARS};

    fn manifest_of(annotation: &str) -> Manifest {
        let body = serde_json::json!({
            "mediaType": format!("a/{}", "t".repeat(MEDIA_TYPE_LENGTH_MAX_CHARS - 2)),
            "artifactType": "\"".repeat(MEDIA_TYPE_LENGTH_MAX_CHARS),
            "subject": {"digest": format!("x:{}", "y".repeat(DIGEST_LENGTH_MAX_BYTES - 2)), "size": i64::MAX},
            "annotations": {"a": annotation},
        });
        Manifest::parse(body.to_string().as_bytes(), None).unwrap()
    }

    #[test]
    fn a_summary_is_short_whatever_the_manifest() {
        // `{"a":"…"}` has eight bytes more than its value; a control character takes six.
        for annotation in ["v".repeat(SUMMARY_ANNOTATIONS_MAX_BYTES - 8), "\u{1}".repeat(340)] {
            let summary = ManifestRow::of(&manifest_of(&annotation));
            assert!(summary.annotations.is_some());
            let json = serde_json::to_vec(&summary).unwrap();
            assert!(json.len() < 4096, "{}", json.len());
        }
        for annotation in ["v".repeat(SUMMARY_ANNOTATIONS_MAX_BYTES - 7), "\u{1}".repeat(341)] {
            assert_eq!(ManifestRow::of(&manifest_of(&annotation)).annotations, None);
        }
    }

    #[test]
    fn a_summary_comes_back_from_json() {
        for annotation in ["short".to_owned(), "long".repeat(1000)] {
            let summary = ManifestRow::of(&manifest_of(&annotation));
            let json = serde_json::to_string(&summary).unwrap();
            assert_eq!(serde_json::from_str::<ManifestRow>(&json).unwrap(), summary);
        }
    }

    /// R6
    #[test]
    fn a_summary_lists_the_referrer_as_the_manifest_does() {
        let digest = ContentDigest::sha256_of(b"manifest");
        let manifest = manifest_of("short");
        assert_eq!(ManifestRow::of(&manifest).referrer(digest), manifest.referrer(b"", digest).ok());
        assert_eq!(ManifestRow::of(&manifest_of(&"long".repeat(1000))).referrer(digest), None);
    }
}
