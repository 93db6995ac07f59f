//! Pushing manifests (the specification's "Pushing Manifests").

use std::collections::HashSet;
use std::sync::Arc;

use crate::blobs::DurableBlob;
use crate::meta::{Command, PutManifestCommand, check_references};
use crate::registry::error::RegistryError;
use crate::registry::operations::uploads::supported;
use crate::registry::types::{PutManifest, PutManifestOutcome, PutTarget, UploadId};
use crate::registry::{Inner, Registry};
use crate::spec::{Algorithm, ContentDigest, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};

/// How many tags one push by digest may set (the specification asks for at least 10).
pub const TAGS_PER_PUT_MAX: usize = 100;

/// A manifest that is longer is looked at where others do not wait for it.
const EXAMINED_INLINE_MAX_BYTES: usize = 16 * 1024;

impl Registry {
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
    fn store_manifest(&self, digest: ContentDigest, bytes: &[u8]) -> Result<DurableBlob, RegistryError> {
        let name = self.storing.take(UploadId::random().to_string());
        self.blobs.put(name.as_str(), digest, bytes).map_err(|error| self.not_stored(error))
    }

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
