//! The references in a repository: from a manifest to its blobs, from an index to its children, from a
//! subject to its referrers.

use std::collections::HashSet;

use crate::blobs::{BlobError, ContentStore, Verification};
use crate::meta::{IndexError, ManifestRow, View};
use crate::registry::Registry;
use crate::registry::error::RegistryError;
use crate::spec::{ContentDigest, Digest, Manifest, ManifestError, RepoName};

/// How many referrers of a subject are read at once.
const REFERRERS_PER_STEP_MAX: usize = 256;

/// Why a manifest that the index has cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableManifest {
    /// The content is missing, or was just deleted.
    #[error("its content is missing")]
    Missing,
    /// Its bytes have another digest.
    #[error("its content is damaged")]
    Damaged,
    /// Its bytes are not a manifest of the type that it was pushed with.
    #[error(transparent)]
    Malformed(#[from] ManifestError),
    /// The content could not be read.
    #[error(transparent)]
    Store(#[from] BlobError),
}

/// Reads and verifies a manifest of the index from a store.
pub(crate) fn read_manifest(
    blobs: &dyn ContentStore,
    digest: &ContentDigest,
    row: &ManifestRow,
) -> Result<Manifest, UnreadableManifest> {
    match blobs.read_verified(digest, row.size)? {
        Verification::Intact(bytes) => Ok(Manifest::parse(&bytes, Some(&row.media_type))?),
        Verification::Damaged => Err(UnreadableManifest::Damaged),
        Verification::Missing => Err(UnreadableManifest::Missing),
    }
}

/// Returns the referrers of a manifest.
pub(crate) fn referrers(
    view: View<'_>,
    repo: &RepoName,
    subject: ContentDigest,
) -> Result<Vec<ContentDigest>, IndexError> {
    let subject = Digest::from(subject);
    let mut found: Vec<ContentDigest> = Vec::new();
    loop {
        let page = view.referrers(repo, &subject, found.last(), REFERRERS_PER_STEP_MAX)?;
        let at_end = page.len() < REFERRERS_PER_STEP_MAX;
        found.extend(page);
        if at_end {
            return Ok(found);
        }
    }
}

impl Registry {
    /// Reads a manifest of the index through the cache. Returns `None` if it is damaged or was just deleted.
    /// Blocks.
    pub(crate) fn read_manifest(&self, digest: ContentDigest, row: &ManifestRow) -> Option<Manifest> {
        let bytes = self.manifest_bytes_now(digest).ok()?;
        Manifest::parse(&bytes, Some(&row.media_type)).ok()
    }

    /// Returns the bytes of a manifest, of the blobs it names, and of everything that an index lists. Blocks.
    pub(crate) fn pulled_bytes(&self, repo: &RepoName, root: ContentDigest) -> Result<u64, RegistryError> {
        let mut seen = HashSet::new();
        let mut bytes = 0;
        ReferenceWalk::of_pull(self, repo).from(root, |reached| {
            let new = seen.insert(reached.digest);
            if new {
                bytes += reached.size;
            }
            new
        })?;
        Ok(bytes)
    }
}

/// Content of a repository that a walk reached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReachedContent {
    pub(crate) digest: ContentDigest,
    /// In bytes; 0 of a manifest that is out of use.
    pub(crate) size: u64,
    pub(crate) is_manifest: bool,
}

/// Follows the references of a repository's manifests. Blocks.
pub(crate) struct ReferenceWalk<'a> {
    registry: &'a Registry,
    repo: &'a RepoName,
    with_referrers: bool,
    /// How many manifests could not be read.
    pub(crate) unreadable: u64,
}

impl<'a> ReferenceWalk<'a> {
    /// Follows blobs and children, as a pull does.
    pub(crate) fn of_pull(registry: &'a Registry, repo: &'a RepoName) -> Self {
        Self { registry, repo, with_referrers: false, unreadable: 0 }
    }

    /// Follows blobs, children, and the referrers of each: the unit that is kept or removed together.
    pub(crate) fn of_image(registry: &'a Registry, repo: &'a RepoName) -> Self {
        Self { registry, repo, with_referrers: true, unreadable: 0 }
    }

    /// Visits everything that `root` leads to, `root` first. The references of a manifest are followed only
    /// if `visit` returns that the manifest is new.
    pub(crate) fn from(
        &mut self,
        root: ContentDigest,
        mut visit: impl FnMut(ReachedContent) -> bool,
    ) -> Result<(), RegistryError> {
        let view = self.registry.view();
        let mut waiting = vec![root];
        while let Some(digest) = waiting.pop() {
            let Some(row) = view.manifest(self.repo, &digest)? else {
                // Build caches list blobs as the children of an index.
                if let Some(row) = view.whole_link(self.repo, &digest)? {
                    visit(ReachedContent { digest, size: row.size, is_manifest: false });
                }
                continue;
            };
            let size = if view.blob(&digest)?.is_some() { row.size } else { 0 };
            if !visit(ReachedContent { digest, size, is_manifest: true }) {
                continue;
            }
            if self.with_referrers {
                waiting.extend(referrers(view, self.repo, digest)?);
            }
            let Some(manifest) = self.registry.read_manifest(digest, &row) else {
                self.unreadable += 1;
                continue;
            };
            for blob in manifest.kept_blobs() {
                if let Some(row) = view.whole_link(self.repo, &blob)? {
                    visit(ReachedContent { digest: blob, size: row.size, is_manifest: false });
                }
            }
            waiting.extend(manifest.kept_children());
        }
        Ok(())
    }
}
