//! What a manifest leads to in its repository.

use std::collections::HashSet;

use crate::admin::error::AdminError;
use crate::meta::{IndexError, ManifestRow};
use crate::registry::Registry;
use crate::spec::{ContentDigest, Digest, Manifest, RepoName};

/// How many referrers of a subject are read at once.
const REFERRERS_PER_STEP_MAX: usize = 256;

/// Content of a repository that a manifest leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) digest: ContentDigest,
    pub(super) size: u64,
    pub(super) is_manifest: bool,
}

/// Finds what manifests of a repository lead to.
pub(super) struct Reach<'a> {
    registry: &'a Registry,
    repo: &'a RepoName,
    referrers: bool,
    /// Manifests that could not be read.
    pub(super) unreadable: u64,
}

impl<'a> Reach<'a> {
    /// Follows blobs and children, as a pull does.
    pub(super) fn of_pull(registry: &'a Registry, repo: &'a RepoName) -> Self {
        Self { registry, repo, referrers: false, unreadable: 0 }
    }

    /// Follows blobs, children, and what refers to any of these, as it is kept or removed together.
    pub(super) fn of_image(registry: &'a Registry, repo: &'a RepoName) -> Self {
        Self { registry, repo, referrers: true, unreadable: 0 }
    }

    /// Visits what a manifest leads to, itself first; `visit` tells whether it is new.
    pub(super) fn from(
        &mut self,
        root: ContentDigest,
        mut visit: impl FnMut(Reached) -> bool,
    ) -> Result<(), AdminError> {
        let view = self.registry.view();
        let mut waiting = vec![root];
        while let Some(digest) = waiting.pop() {
            let Some(row) = view.manifest(self.repo, &digest)? else {
                // Build caches list blobs as the children of an index.
                if let Some(row) = view.link(self.repo, &digest)? {
                    visit(Reached { digest, size: row.size, is_manifest: false });
                }
                continue;
            };
            if !visit(Reached { digest, size: row.size, is_manifest: true }) {
                continue;
            }
            if self.referrers {
                waiting.extend(referrers(self.registry, self.repo, digest)?);
            }
            let Some(manifest) = read(self.registry, digest, &row) else {
                self.unreadable += 1;
                continue;
            };
            for blob in manifest.all_blobs().filter_map(|blob| blob.digest.content()) {
                if let Some(row) = view.link(self.repo, &blob)? {
                    visit(Reached { digest: blob, size: row.size, is_manifest: false });
                }
            }
            waiting.extend(manifest.all_children().filter_map(|child| child.digest.content()));
        }
        Ok(())
    }
}

/// Returns the bytes of a manifest, of the blobs it names, and of all that an index lists.
pub(super) fn pulled_bytes(
    registry: &Registry,
    repo: &RepoName,
    root: ContentDigest,
) -> Result<u64, AdminError> {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    Reach::of_pull(registry, repo).from(root, |reached| {
        let new = seen.insert(reached.digest);
        if new {
            bytes += reached.size;
        }
        new
    })?;
    Ok(bytes)
}

/// Reads a manifest, or returns `None` where it is damaged or was just deleted.
pub(super) fn read(registry: &Registry, digest: ContentDigest, row: &ManifestRow) -> Option<Manifest> {
    let bytes = registry.manifest_bytes_now(digest).ok()?;
    Manifest::parse(&bytes, Some(&row.media_type)).ok()
}

/// Returns the referrers of a manifest.
pub(super) fn referrers(
    registry: &Registry,
    repo: &RepoName,
    subject: ContentDigest,
) -> Result<Vec<ContentDigest>, IndexError> {
    let subject = Digest::from(subject);
    let mut found: Vec<ContentDigest> = Vec::new();
    loop {
        let view = registry.view();
        let page = view.referrers(repo, &subject, found.last(), REFERRERS_PER_STEP_MAX)?;
        let at_end = page.len() < REFERRERS_PER_STEP_MAX;
        found.extend(page);
        if at_end {
            return Ok(found);
        }
    }
}
