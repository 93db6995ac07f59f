//! Pulling, pushing and deleting manifests and tags.

use std::collections::HashSet;
use std::sync::Arc;

use crate::blobs::DurableBlob;
use crate::meta::{Command, PutManifestCommand, check_references};
use crate::registry::error::RegistryError;
use crate::registry::operations::uploads::supported;
use crate::registry::protection::leases::Watch;
use crate::registry::types::{
    ManifestContent, ManifestInfo, PutManifest, PutManifestOutcome, PutTarget, UploadId,
};
use crate::registry::{Inner, Registry};
use crate::spec::{
    Algorithm, ContentDigest, Descriptor, Digest, Manifest, ManifestSummary, MediaType, Reference, RepoName,
    Tag,
};

/// How many tags one push by digest may set (the specification asks for at least 10).
pub const TAGS_PER_PUT_MAX: usize = 100;

/// A manifest that is longer is looked at where others do not wait for it.
const EXAMINED_INLINE_MAX_BYTES: usize = 16 * 1024;

impl Registry {
    /// Returns a manifest (the specification's "Pulling manifests").
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<ManifestContent, RegistryError> {
        let (digest, row) = self.find_manifest(repo, reference)?;
        let bytes = match self.stored_bytes(digest).await? {
            Some(bytes) => bytes,
            // It may just have gone: then it is unknown now, or something else, and else it should be there.
            None => {
                let (digest, row) = self.find_manifest(repo, reference)?;
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
        let (digest, row) = self.find_manifest(repo, reference)?;
        Ok(ManifestInfo { digest, media_type: row.media_type, size: row.size })
    }

    fn find_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<(ContentDigest, ManifestSummary), RegistryError> {
        let found = self.look_for_manifest(repo, reference)?;
        #[cfg(test)]
        self.inner.options.between_looks.call();
        // INVARIANT: whoever is told that it is there has a lease on it, and what the index said before that
        // does not count.
        let leases = &self.inner.leases;
        let (may, unknown) = match reference {
            Reference::Tag(tag) => {
                (leases.take_tagged(repo, tag, &found.0), RegistryError::TagUnknown(tag.clone()))
            }
            Reference::Digest(digest) => {
                (leases.take(repo, &found.0), RegistryError::ManifestUnknown(digest.clone()))
            }
        };
        if !may {
            return Err(self.unknown(repo, unknown));
        }
        self.look_for_manifest(repo, reference)
    }

    fn look_for_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<(ContentDigest, ManifestSummary), RegistryError> {
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
                // The tag may move, and what it named may go, between the two reads: look once more.
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

    /// Returns `error`, or says that the repository itself is not known.
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

    /// Returns the exact bytes of a manifest, or `None` where there is no file of them.
    pub(in crate::registry) async fn stored_bytes(
        &self,
        digest: ContentDigest,
    ) -> Result<Option<Arc<[u8]>>, RegistryError> {
        if let Some(bytes) = self.inner.cache.get(&digest) {
            return Ok(Some(bytes));
        }
        self.inner.door.check_reads()?;
        let inner = Arc::clone(&self.inner);
        self.inner.door.read(move || inner.read_manifest(digest)).await
    }

    /// Returns the exact bytes of a manifest that the index has, to one who may block.
    pub(crate) fn manifest_bytes_now(&self, digest: ContentDigest) -> Result<Arc<[u8]>, RegistryError> {
        if let Some(bytes) = self.inner.cache.get(&digest) {
            return Ok(bytes);
        }
        let read = self.inner.read_manifest(digest)?;
        read.ok_or_else(|| self.inner.damaged(&digest, "is missing from the store"))
    }

    /// Stores a manifest and sets tags to it (the specification's "Pushing Manifests"). It is durable when
    /// this returns, and so is all that it references.
    pub async fn put_manifest(
        &self,
        repo: &RepoName,
        put: PutManifest,
    ) -> Result<PutManifestOutcome, RegistryError> {
        let max = self.inner.options.manifest_size_max_bytes;
        if put.bytes.len() as u64 > max {
            return Err(RegistryError::ManifestTooLarge { max });
        }
        let (inner, for_repo, content_type) = (Arc::clone(&self.inner), repo.clone(), put.content_type);
        let (bytes, target) = (Arc::clone(&put.bytes), put.target);
        let examine = move || inner.examine(&for_repo, &bytes, target, content_type.as_ref());
        let examined = if put.bytes.len() <= EXAMINED_INLINE_MAX_BYTES {
            examine()
        } else {
            self.inner.door.check_writes()?;
            self.inner.door.write(examine).await
        };
        let Examined { named: (digest, tags, outcome_tags), manifest, references } = examined?;

        self.inner.check_quota(repo, put.bytes.len() as u64, Some(&digest))?;
        self.check_room(put.bytes.len() as u64)?;
        self.inner.door.check_writes()?;
        let bytes = Arc::clone(&put.bytes);
        let (inner, repo, condition) = (Arc::clone(&self.inner), repo.clone(), put.condition);
        let row = manifest.summary();
        let subject = row.subject.clone();
        let set = tags.clone();
        self.store_then_command(digest, move || {
            let blob = inner.store_manifest(digest, &bytes)?;
            let References { blobs, children, all: references } = references;
            let tags = set;
            Ok(Command::PutManifest(PutManifestCommand {
                repo,
                blob,
                row,
                blobs,
                children,
                references,
                tags,
                condition,
            }))
        })
        .await?;
        self.inner.cache.keep(digest, &put.bytes);
        Ok(PutManifestOutcome { digest, subject, tags: outcome_tags })
    }

    /// Deletes a manifest and all tags that name it.
    pub async fn delete_manifest(&self, repo: &RepoName, digest: &Digest) -> Result<(), RegistryError> {
        let Some(content) = digest.content() else {
            return Err(self.unknown(repo, RegistryError::ManifestUnknown(digest.clone())));
        };
        self.command(Command::DeleteManifest { repo: repo.clone(), digest: content }).await
    }

    /// Begins to look through a repository for what nothing needs: what somebody comes to count on meanwhile
    /// is not deleted by [`Self::delete_untagged`].
    pub(crate) fn watch(&self, repo: &RepoName) -> Watch {
        self.inner.leases.watch(repo)
    }

    /// Deletes a manifest unless a tag names it, and tells whether it is gone.
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
    /// Reads a manifest's bytes from the disk, and serves none but those that its digest names.
    fn read_manifest(&self, digest: ContentDigest) -> Result<Option<Arc<[u8]>>, RegistryError> {
        let Some(bytes) = self.blobs.read_whole(&digest)? else { return Ok(None) };
        let bytes: Arc<[u8]> = bytes.into();
        if ContentDigest::of(digest.algorithm(), &bytes) != digest {
            return Err(self.damaged(&digest, "is damaged in the store"));
        }
        self.cache.keep(digest, &bytes);
        Ok(Some(bytes))
    }

    fn store_manifest(&self, digest: ContentDigest, bytes: &[u8]) -> Result<DurableBlob, RegistryError> {
        let name = self.storing.take(UploadId::random().to_string());
        self.blobs.put(name.as_str(), digest, bytes).map_err(|error| self.not_stored(error))
    }
}

type Named = (ContentDigest, Vec<Tag>, Vec<Tag>);

/// Returns the manifest's digest, the tags to set, and those of them that came as `?tag=`.
fn named_by(target: PutTarget, bytes: &[u8]) -> Result<Named, RegistryError> {
    match target {
        PutTarget::Tag(tag) => Ok((ContentDigest::of(Algorithm::Sha256, bytes), vec![tag], Vec::new())),
        PutTarget::Digest { digest: said, tags } => {
            if tags.len() > TAGS_PER_PUT_MAX {
                return Err(RegistryError::TooManyTags { count: tags.len(), max: TAGS_PER_PUT_MAX });
            }
            let digest = supported(&said)?;
            let actual = ContentDigest::of(digest.algorithm(), bytes);
            if actual != digest {
                return Err(RegistryError::DigestMismatch { said, actual: actual.into() });
            }
            Ok((digest, tags.clone(), tags))
        }
    }
}

/// A manifest that somebody wants to push, and that the repository could take.
struct Examined {
    named: Named,
    manifest: Manifest,
    references: References,
}

impl Inner {
    /// Looks at a manifest that somebody wants to push: whether it is one, and whether its repository has
    /// what it needs, all of which is leased.
    fn examine(
        &self,
        repo: &RepoName,
        bytes: &[u8],
        target: PutTarget,
        content_type: Option<&MediaType>,
    ) -> Result<Examined, RegistryError> {
        let named = named_by(target, bytes)?;
        let manifest = Manifest::parse(bytes, content_type)?;
        let references = References::of(&manifest, self.options.sparse_indexes);
        self.lease(repo, &references)?;
        // A manifest that will be refused shall not be written first; the writer asks again, and that counts.
        check_references(self.meta.view(), repo, &references.blobs, &references.children)?;
        Ok(Examined { named, manifest, references })
    }

    /// Leases to a manifest that is being pushed what the repository has of its references. What it must have
    /// and is going is told at once.
    fn lease(&self, repo: &RepoName, references: &References) -> Result<(), RegistryError> {
        let view = self.meta.view();
        for reference in references.all.iter() {
            // Only what is there: who invents digests shall not fill the leases.
            let Some(content) = reference.content() else { continue };
            if view.link(repo, &content)?.is_none() && view.manifest(repo, &content)?.is_none() {
                continue;
            }
            let needed = || references.blobs.contains(reference) || references.children.contains(reference);
            if !self.leases.take(repo, &content) && needed() {
                return Err(RegistryError::ManifestBlobUnknown(reference.clone()));
            }
        }
        Ok(())
    }
}

/// What a repository must have before it takes a manifest, each once.
struct References {
    blobs: Arc<[Digest]>,
    children: Arc<[Digest]>,
    /// Also what may be absent.
    all: Arc<[Digest]>,
}

impl References {
    fn of(manifest: &Manifest, sparse_indexes: bool) -> Self {
        let children = manifest.children().filter(|_| !sparse_indexes);
        Self {
            blobs: each_once(manifest.blobs()),
            children: each_once(children),
            all: each_once(manifest.all_blobs().chain(manifest.all_children())),
        }
    }
}

fn each_once<'a>(all: impl Iterator<Item = &'a Descriptor>) -> Arc<[Digest]> {
    let mut seen = HashSet::new();
    all.map(|descriptor| &descriptor.digest).filter(|digest| seen.insert(*digest)).cloned().collect()
}
