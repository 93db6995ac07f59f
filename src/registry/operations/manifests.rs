//! Pulling and deleting manifests and tags.

use std::sync::Arc;

use crate::blobs::Verification;
use crate::meta::{Command, ManifestRow};
use crate::registry::error::RegistryError;
use crate::registry::protection::leases::RepoWatch;
use crate::registry::protection::pulls::Noted;
use crate::registry::types::{ManifestContent, ManifestInfo};
use crate::registry::{Inner, Registry};
use crate::spec::{ContentDigest, Digest, Reference, RepoName, Tag};

impl Registry {
    /// Returns a manifest (the specification's "Pulling manifests").
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<ManifestContent, RegistryError> {
        let (digest, row) = self.find_manifest(repo, reference).await?;
        let bytes = match self.stored_bytes(digest).await? {
            Some(bytes) => bytes,
            // It may just have been deleted: then the second look finds nothing or another manifest.
            // Otherwise the file should exist.
            None => {
                let (digest, row) = self.find_manifest(repo, reference).await?;
                let bytes = self.manifest_bytes(digest).await?;
                return Ok(ManifestContent { digest, media_type: row.media_type, bytes });
            }
        };
        Ok(ManifestContent { digest, media_type: row.media_type, bytes })
    }

    /// Returns what the index knows of a manifest.
    pub async fn manifest_info(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<ManifestInfo, RegistryError> {
        let (digest, row) = self.find_manifest(repo, reference).await?;
        Ok(ManifestInfo { digest, media_type: row.media_type, size: row.size })
    }

    async fn find_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<(ContentDigest, ManifestRow), RegistryError> {
        loop {
            if let Some(found) = self.leased_manifest(repo, reference)? {
                self.note_pull(repo, reference, &found.0);
                return Ok(found);
            }
            // It is being removed, and whether it is gone is certain only once that is durable.
            self.settled().await?;
        }
    }

    /// Has the rows note that a manifest is pulled. A client that has the image only asks whether the tag
    /// still names it, so each request for a manifest is a pull.
    fn note_pull(&self, repo: &RepoName, reference: &Reference, digest: &ContentDigest) {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        };
        let meta = &self.inner.meta;
        let noted = self.inner.leases.pulls().note(repo, tag, digest, || meta.clock().ages().now_ms());
        if noted == Noted::WakeWriter {
            meta.note_pulls();
        }
    }

    /// Finds a manifest and leases it. Returns `None` while it, or the tag, is being removed.
    fn leased_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Option<(ContentDigest, ManifestRow)>, RegistryError> {
        let leases = &self.inner.leases;
        self.read_leased(
            || self.look_for_manifest(repo, reference),
            |(digest, _)| match reference {
                Reference::Tag(tag) => leases.take_tagged(repo, tag, digest),
                Reference::Digest(_) => leases.take(repo, digest),
            },
        )
    }

    fn look_for_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<(ContentDigest, ManifestRow), RegistryError> {
        let view = self.inner.meta.view();
        match reference {
            Reference::Digest(digest) => {
                let row = match digest.content() {
                    Some(content) => view.whole_manifest(repo, &content)?.map(|row| (content, row)),
                    None => None,
                };
                row.ok_or_else(|| self.unknown(repo, RegistryError::ManifestUnknown(digest.clone())))
            }
            Reference::Tag(tag) => {
                // The tag may move, or its manifest may be deleted, between the two reads: read once more.
                for _ in 0..2 {
                    let Some(named) = view.tag(repo, tag)? else { break };
                    if let Some(row) = view.whole_manifest(repo, &named.digest)? {
                        return Ok((named.digest, row));
                    }
                }
                Err(self.unknown(repo, RegistryError::TagUnknown(tag.clone())))
            }
        }
    }

    /// Returns `error`, or [`RegistryError::NameUnknown`] when the repository itself is unknown.
    pub(in crate::registry) fn unknown(&self, repo: &RepoName, error: RegistryError) -> RegistryError {
        match self.inner.meta.view().repository(repo) {
            Ok(Some(_)) => error,
            Ok(None) => RegistryError::NameUnknown(repo.clone()),
            Err(failed) => failed.into(),
        }
    }

    /// Returns the exact bytes of a manifest that the index has.
    pub(in crate::registry) async fn manifest_bytes(
        &self,
        digest: ContentDigest,
    ) -> Result<Arc<[u8]>, RegistryError> {
        let missing = || self.inner.damaged(&digest, "is missing from the store");
        self.stored_bytes(digest).await?.ok_or_else(missing)
    }

    /// Returns the exact bytes of a manifest, or `None` if its file is missing.
    pub(in crate::registry) async fn stored_bytes(
        &self,
        digest: ContentDigest,
    ) -> Result<Option<Arc<[u8]>>, RegistryError> {
        if let Some(bytes) = self.inner.cache.get(&digest) {
            return Ok(Some(bytes));
        }
        let inner = Arc::clone(&self.inner);
        self.inner.permits.read(move || inner.read_manifest(digest)).await
    }

    /// Returns the exact bytes of a manifest that the index has. Blocks.
    pub(crate) fn manifest_bytes_now(&self, digest: ContentDigest) -> Result<Arc<[u8]>, RegistryError> {
        if let Some(bytes) = self.inner.cache.get(&digest) {
            return Ok(bytes);
        }
        let read = self.inner.read_manifest(digest)?;
        read.ok_or_else(|| self.inner.damaged(&digest, "is missing from the store"))
    }

    /// Deletes a manifest and all tags that name it, unless it is the child of an index that an immutable tag
    /// leads to, or has such a tag.
    pub async fn delete_manifest(&self, repo: &RepoName, digest: &Digest) -> Result<(), RegistryError> {
        let unknown = || self.unknown(repo, RegistryError::ManifestUnknown(digest.clone()));
        let content = digest.content().ok_or_else(unknown)?;
        // What is not there needs no turn, and has nothing read.
        self.inner.meta.view().manifest(repo, &content)?.ok_or_else(unknown)?;
        let deletion = Command::DeleteManifest { repo: repo.clone(), digest: content };
        self.delete_if_mutable(repo, content, deletion).await
    }

    /// Begins a scan of a repository for what nothing needs: [`Self::delete_untagged`] keeps what is leased
    /// or referenced meanwhile. Blocks.
    pub(crate) fn watch(&self, repo: &RepoName) -> RepoWatch {
        let watch = self.inner.leases.watch(repo);
        self.inner.settle();
        watch
    }

    /// Deletes a manifest unless a tag names it, and returns whether it is gone.
    pub(crate) async fn delete_untagged(
        &self,
        repo: &RepoName,
        digest: ContentDigest,
    ) -> Result<bool, RegistryError> {
        match self.command(Command::DeleteUntagged { repo: repo.clone(), digest }).await {
            Ok(()) => Ok(self.inner.meta.view().manifest(repo, &digest)?.is_none()),
            Err(RegistryError::ManifestUnknown(_) | RegistryError::NameUnknown(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Deletes a tag; what it named stays.
    pub async fn delete_tag(&self, repo: &RepoName, tag: &Tag) -> Result<(), RegistryError> {
        self.command(Command::DeleteTag { repo: repo.clone(), tag: tag.clone() }).await
    }
}

impl Inner {
    /// Reads a manifest's bytes from the disk, and returns them only if they match its digest.
    fn read_manifest(&self, digest: ContentDigest) -> Result<Option<Arc<[u8]>>, RegistryError> {
        let Some(row) = self.meta.view().blob(&digest)? else { return Ok(None) };
        match self.blobs.read_verified(&digest, row.size)? {
            Verification::Intact(bytes) => {
                let bytes: Arc<[u8]> = bytes.into();
                self.cache.keep(digest, &bytes);
                Ok(Some(bytes))
            }
            Verification::Damaged => Err(self.damaged(&digest, "is damaged in the store")),
            Verification::Missing => Ok(None),
        }
    }
}
