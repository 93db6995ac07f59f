//! What of the store is damaged: which images lead to content that was taken out of use.

use serde::{Deserialize, Serialize};

use crate::base::lock;
use crate::meta::IndexError;
use crate::registry::Registry;
use crate::registry::upkeep::Upkeep;
use crate::spec::{ContentDigest, RepoName, Tag};

/// How many damaged images are listed by default, and kept in memory.
pub(crate) const DAMAGED_LISTED_MAX: usize = 10;

/// How many pieces of content an entry names.
pub(crate) const LACKS_LISTED_MAX: usize = 3;

/// What lacks content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DamagedKind {
    /// What a tag names.
    Image,
    /// A manifest that no tag leads to.
    Manifest,
    /// A blob that no manifest references, as far as manifests can be read.
    Blob,
}

/// Something that cannot be pulled completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedImage {
    /// What it is.
    pub kind: DamagedKind,
    /// The repository.
    pub repository: RepoName,
    /// The tag of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The digest of the manifest that the tag names, else its own.
    pub digest: ContentDigest,
    /// The content that it lacks; the first entries only.
    pub lacks: Vec<ContentDigest>,
    /// How many pieces of content it lacks.
    pub lacks_count: u64,
}

impl DamagedImage {
    /// Returns it as a user refers to it: `app:v1`, `app@sha256:…`.
    pub fn reference(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}", self.repository),
            None => format!("{}@{}", self.repository, self.digest),
        }
    }
}

/// What of a store is damaged, as an examination found it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DamageState {
    /// When it was examined, in milliseconds since 1970.
    pub examined_ms: u64,
    /// Pieces of content that a repository has, and that are damaged or missing.
    pub blobs: u64,
    /// Tags that lead to such content.
    pub images: u64,
    /// Untagged manifests that lead to such content, and such blobs that no manifest references.
    pub others: u64,
    /// The images and the others; the first entries only.
    pub list: Vec<DamagedImage>,
}

impl DamageState {
    /// Tells whether nothing is known to be damaged.
    pub fn is_sound(&self) -> bool {
        self.blobs == 0
    }
}

impl Registry {
    /// Returns what is known to be damaged; `None` until an examination has ended since the start. What it
    /// lists and was healed or removed since then is left out.
    pub fn damage(&self) -> Option<DamageState> {
        let mut state = lock(&self.inner.damage).clone()?;
        let before = state.list.len();
        // What cannot be read is not known to be healed.
        state.list.retain(|one| self.is_still_damaged(one).unwrap_or(true));
        if before as u64 == state.images + state.others {
            state.images = state.list.iter().filter(|one| one.kind == DamagedKind::Image).count() as u64;
            state.others = state.list.len() as u64 - state.images;
            if state.list.is_empty() {
                state.blobs = 0;
            }
        }
        Some(state)
    }

    fn is_still_damaged(&self, one: &DamagedImage) -> Result<bool, IndexError> {
        let view = self.view();
        if let Some(tag) = &one.tag
            && view.tag(&one.repository, tag)?.is_none_or(|row| row.digest != one.digest)
        {
            return Ok(false);
        }
        if one.tag.is_none()
            && view.manifest(&one.repository, &one.digest)?.is_none()
            && view.link(&one.repository, &one.digest)?.is_none()
        {
            return Ok(false);
        }
        if one.lacks_count > one.lacks.len() as u64 {
            return Ok(true);
        }
        for digest in &one.lacks {
            if view.blob(digest)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Upkeep {
    /// Notes what an examination found, for health checks and metrics.
    pub(crate) fn note_damage(&self, mut state: DamageState) {
        state.list.truncate(DAMAGED_LISTED_MAX);
        *lock(&self.inner.damage) = Some(state);
    }
}
