//! Pushing manifests (the specification's "Pushing Manifests").

use std::collections::HashSet;
use std::sync::Arc;

use smol::future::zip;
use smol::io::AsyncBufRead;

use crate::meta::{Command, ManifestRow, PutManifestCommand, check_references, check_tags};
use crate::registry::error::RegistryError;
use crate::registry::operations::spool::Spool;
use crate::registry::operations::uploads::{body_broken, supported};
use crate::registry::types::{Condition, PushManifest, PutManifest, PutManifestOutcome, PutTarget};
use crate::registry::uploads::body::{BodyPiece, BodyPieces};
use crate::registry::uploads::memory::ReservedMemory;
use crate::registry::{Inner, Registry};
use crate::spec::{Algorithm, ContentDigest, Descriptor, Digest, Manifest, MediaType, RepoName, Tag};

/// How many tags one push by digest may set (the specification asks for at least 10).
pub const TAGS_PER_PUT_MAX: usize = 100;

/// The longest manifest that is examined on the caller's thread; a longer one would delay other requests.
pub(in crate::registry) const EXAMINED_INLINE_MAX_BYTES: u64 = 16 * 1024;

/// The bytes of a manifest that has come.
#[derive(Clone)]
enum ManifestBytes {
    InMemory(Arc<[u8]>),
    Spooled(Arc<Spool>),
}

/// Memory for a manifest that is not short, until its work has ended.
type ManifestReservation = Option<Arc<ReservedMemory>>;

/// What the request says of the bytes.
struct PushTarget {
    target: PutTarget,
    content_type: Option<MediaType>,
    condition: Condition,
}

impl Registry {
    /// Stores a manifest as it comes in, and sets tags to it (the specification's "Pushing Manifests"). The
    /// manifest and all that it references are durable when this returns.
    ///
    /// A slow body takes no memory until all of it has come.
    pub async fn push_manifest<B: AsyncBufRead + Unpin + Send>(
        &self,
        repo: &RepoName,
        push: PushManifest<B>,
    ) -> Result<PutManifestOutcome, RegistryError> {
        let PushManifest { target, content_type, condition, body, length } = push;
        let max = self.inner.options.manifest_size_max_bytes;
        if length.is_some_and(|length| length > max) {
            return Err(RegistryError::ManifestTooLarge { max });
        }
        let algorithm = target.algorithm()?;
        let said = PushTarget { target, content_type, condition };
        let mut source = BodyPieces::new(body, max.saturating_add(1));
        let first = source.next(&self.inner.pool).await.map_err(body_broken)?;
        // Most bodies come at once: these are written once, under their final name. One that would have to
        // wait for memory waits in a file: here it would keep a buffer from others.
        if first.is_none() || source.has_ended_now().await {
            let bytes = first.as_ref().map(BodyPiece::bytes).unwrap_or_default();
            check_length(bytes.len() as u64, length, max)?;
            if let Some(memory) = self.memory_now(bytes.len() as u64) {
                let come = ManifestBytes::InMemory(bytes.into());
                drop(first);
                return self.store_manifest(repo, said, come, memory).await;
            }
        }
        self.check_writable(0, length.unwrap_or(0)).await?;
        self.inner.check_quota(repo, length.unwrap_or(0), None)?;
        let spool = Spool::begin(&self.inner, algorithm);
        let pushed = async {
            self.fill(&spool, source, first, length).await?;
            check_length(spool.length(), length, max)?;
            let memory = self.memory_for(spool.length()).await;
            self.store_manifest(repo, said, ManifestBytes::Spooled(Arc::clone(&spool)), memory).await
        };
        let pushed = pushed.await;
        if pushed.is_err() {
            self.inner.permits.write(move || drop(spool)).await;
        }
        pushed
    }

    /// Stores a manifest whose bytes have come, as [`Self::push_manifest`] does.
    pub async fn put_manifest(
        &self,
        repo: &RepoName,
        put: PutManifest,
    ) -> Result<PutManifestOutcome, RegistryError> {
        let PutManifest { target, content_type, bytes, condition } = put;
        let length = bytes.len() as u64;
        check_length(length, None, self.inner.options.manifest_size_max_bytes)?;
        let memory = self.memory_for(length).await;
        let said = PushTarget { target, content_type, condition };
        self.store_manifest(repo, said, ManifestBytes::InMemory(bytes), memory).await
    }

    /// Writes the body into the spool, each piece while the next one comes.
    async fn fill<B: AsyncBufRead + Unpin + Send>(
        &self,
        spool: &Arc<Spool>,
        mut source: BodyPieces<B>,
        first: Option<BodyPiece>,
        length: Option<u64>,
    ) -> Result<(), RegistryError> {
        let (mut next, mut come) = (first, 0);
        while let Some(piece) = next {
            come += piece.bytes().len() as u64;
            let coming = length.unwrap_or(come).saturating_sub(come);
            let spool = Arc::clone(spool);
            let write = self.inner.permits.write(move || spool.append(piece.bytes(), coming));
            let (written, following) = zip(write, source.next(&self.inner.pool)).await;
            written?;
            next = following.map_err(body_broken)?;
        }
        Ok(())
    }

    /// Reserves the memory that a manifest takes from now on; short ones need no reservation.
    async fn memory_for(&self, length: u64) -> ManifestReservation {
        match length <= EXAMINED_INLINE_MAX_BYTES {
            true => None,
            false => Some(Arc::new(self.inner.manifest_memory.reserve(length).await)),
        }
    }

    /// Does the same, unless the memory must be waited for.
    fn memory_now(&self, length: u64) -> Option<ManifestReservation> {
        match length <= EXAMINED_INLINE_MAX_BYTES {
            true => Some(None),
            false => self.inner.manifest_memory.try_reserve(length).map(|memory| Some(Arc::new(memory))),
        }
    }

    async fn store_manifest(
        &self,
        repo: &RepoName,
        said: PushTarget,
        come: ManifestBytes,
        memory: ManifestReservation,
    ) -> Result<PutManifestOutcome, RegistryError> {
        let PushTarget { target, content_type, condition } = said;
        let (inner, for_repo, length) = (Arc::clone(&self.inner), repo.clone(), come.length());
        // Work outlasts a caller that gives up, and so does its memory.
        let (examined, held) = (come.clone(), memory.clone());
        let on = condition.clone();
        let examine = Arc::new(move || {
            let _held = &held;
            let said = (&target, &on);
            examined.with_bytes(|bytes| inner.examine(&for_repo, bytes, said, content_type.as_ref()))
        });
        let is_short = matches!(come, ManifestBytes::InMemory(_)) && length <= EXAMINED_INLINE_MAX_BYTES;
        let Examined { named: (digest, tags, outcome_tags), row, references } = loop {
            let examine = Arc::clone(&examine);
            let examined =
                if is_short { examine() } else { self.inner.permits.manifest(move || examine()).await };
            if let Some(examined) = examined? {
                break examined;
            }
            // What it needs is being removed, and whether that is gone is certain only once that is durable.
            self.settled().await?;
        };

        self.inner.check_quota(repo, length, Some(&digest))?;
        self.check_writable(0, length).await?;
        let (inner, repo, set) = (Arc::clone(&self.inner), repo.clone(), tags.clone());
        let (subject, stored, held) = (row.subject.clone(), come.clone(), memory.clone());
        self.store_then_command(digest, move || {
            let _held = held;
            let blob = match stored {
                ManifestBytes::InMemory(bytes) => inner.store_manifest(digest, &bytes),
                ManifestBytes::Spooled(spool) => spool.store(digest),
            }?;
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
        if let ManifestBytes::InMemory(bytes) = &come {
            self.inner.cache.keep(digest, bytes);
        }
        drop(memory);
        Ok(PutManifestOutcome { digest, subject, tags: outcome_tags })
    }
}

impl ManifestBytes {
    fn length(&self) -> u64 {
        match self {
            Self::InMemory(bytes) => bytes.len() as u64,
            Self::Spooled(spool) => spool.length(),
        }
    }

    /// Runs `work` with the bytes, after reading back those of a spool.
    fn with_bytes<T>(
        &self,
        work: impl FnOnce(&[u8]) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        match self {
            Self::InMemory(bytes) => work(bytes),
            Self::Spooled(spool) => work(&spool.read_back()?),
        }
    }
}

impl PutTarget {
    /// Returns the algorithm that the manifest is named by.
    fn algorithm(&self) -> Result<Algorithm, RegistryError> {
        match self {
            Self::Tag(_) => Ok(Algorithm::Sha256),
            Self::Digest { digest, .. } => Ok(supported(digest)?.algorithm()),
        }
    }
}

/// Refuses a manifest whose length differs from the announced one or exceeds the limit.
fn check_length(got: u64, said: Option<u64>, max: u64) -> Result<(), RegistryError> {
    match said {
        Some(said) if said != got => Err(RegistryError::SizeInvalid { said, got }),
        _ if got > max => Err(RegistryError::ManifestTooLarge { max }),
        _ => Ok(()),
    }
}

type Named = (ContentDigest, Vec<Tag>, Vec<Tag>);

/// Returns the manifest's digest, the tags to set, and those of them that came as `?tag=`.
fn named_by(target: &PutTarget, bytes: &[u8]) -> Result<Named, RegistryError> {
    match target {
        PutTarget::Tag(tag) => {
            Ok((ContentDigest::of(Algorithm::Sha256, bytes), vec![tag.clone()], Vec::new()))
        }
        PutTarget::Digest { digest: said, tags } => {
            if tags.len() > TAGS_PER_PUT_MAX {
                return Err(RegistryError::TooManyTags { count: tags.len(), max: TAGS_PER_PUT_MAX });
            }
            let digest = supported(said)?;
            let actual = ContentDigest::of(digest.algorithm(), bytes);
            if actual != digest {
                return Err(RegistryError::DigestMismatch { said: said.clone(), actual: actual.into() });
            }
            Ok((digest, tags.clone(), tags.clone()))
        }
    }
}

/// A manifest that a client wants to push, and that the repository could take.
struct Examined {
    named: Named,
    row: ManifestRow,
    references: References,
}

impl Inner {
    /// Examines a manifest that a client wants to push: whether it is valid, and whether its repository has
    /// what it needs. Leases what the repository has of its references. Returns `None` while something that
    /// it needs is being removed.
    fn examine(
        &self,
        repo: &RepoName,
        bytes: &[u8],
        (target, condition): (&PutTarget, &Condition),
        content_type: Option<&MediaType>,
    ) -> Result<Option<Examined>, RegistryError> {
        let named = named_by(target, bytes)?;
        let manifest = Manifest::parse(bytes, content_type)?;
        let references = References::of(&manifest, self.options.sparse_indexes);
        if !self.lease(repo, &references)? {
            return Ok(None);
        }
        // Check before writing a manifest that would be refused. The writer checks again, and its answer is
        // final.
        let (view, (digest, tags, _)) = (self.meta.view(), &named);
        check_references(view, repo, &references.blobs, &references.children)?;
        check_tags(view, &self.options.policies, repo, (tags, *digest), condition)?;
        Ok(Some(Examined { named, row: ManifestRow::of(&manifest), references }))
    }

    /// Leases the references of a manifest that the repository has. Returns `false` while a required one is
    /// being removed.
    fn lease(&self, repo: &RepoName, references: &References) -> Result<bool, RegistryError> {
        let all: Vec<ContentDigest> = references.all.iter().filter_map(Digest::content).collect();
        // Lease only what exists, so that made-up digests cannot fill the leases.
        for content in self.meta.view().known_among(repo, &all)? {
            let needed = || {
                let reference = Digest::from(content);
                references.blobs.contains(&reference) || references.children.contains(&reference)
            };
            if !self.leases.take(repo, &content) && needed() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The references of a manifest, each once. Its repository must have `blobs` and `children`.
struct References {
    blobs: Arc<[Digest]>,
    children: Arc<[Digest]>,
    /// Also those that the repository need not have.
    all: Arc<[Digest]>,
}

impl References {
    fn of(manifest: &Manifest, sparse_indexes: bool) -> Self {
        let children = manifest.children().filter(|_| !sparse_indexes);
        Self {
            blobs: each_once(manifest.blobs().map(digest)),
            children: each_once(children.map(digest)),
            all: each_once(manifest.all_references()),
        }
    }
}

fn digest(descriptor: &Descriptor) -> Digest {
    descriptor.digest.clone()
}

fn each_once(all: impl Iterator<Item = Digest>) -> Arc<[Digest]> {
    let mut seen = HashSet::new();
    all.filter(|digest| seen.insert(digest.clone())).collect()
}
