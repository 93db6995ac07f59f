//! The operations of clients on a registry, and their expected effects.

use smol::io::Cursor;

use super::content::{blob, manifest};
use crate::registry::{Chunk, Condition, PutManifest, PutTarget, Registry, RegistryError, UploadId};
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// An operation of a client. Uploads that take several requests are identified by the number of their slot.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Pushes a blob in two requests.
    Push { repo: &'static str, blob: usize },
    /// Begins an upload of a blob.
    Begin { slot: usize, repo: &'static str, blob: usize },
    /// Sends an upload's bytes, from its current offset up to a length.
    Append { slot: usize, to: usize },
    /// Ends an upload, and sends the remaining bytes along.
    Finish { slot: usize },
    /// Cancels an upload.
    Cancel { slot: usize },
    /// Mounts a blob.
    Mount { repo: &'static str, from: &'static str, blob: usize },
    /// Pushes a manifest to its digest, with `?tag=` for each tag, or to one tag.
    Put { repo: &'static str, manifest: usize, tags: &'static [&'static str], by_digest: bool },
    /// Deletes a tag.
    DeleteTag { repo: &'static str, tag: &'static str },
    /// Deletes a manifest.
    DeleteManifest { repo: &'static str, manifest: usize },
    /// Deletes a blob from a repository.
    DeleteBlob { repo: &'static str, blob: usize },
}

/// The key of something in the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Blob(&'static str, ContentDigest),
    Manifest(&'static str, ContentDigest),
    Tag(&'static str, &'static str),
}

/// The value of a key: the digest of the content.
pub(crate) type Value = Option<ContentDigest>;

/// An upload that takes several requests.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) repo: &'static str,
    pub(crate) blob: usize,
    /// Known once the registry has answered.
    pub(crate) id: Option<UploadId>,
}

pub(crate) fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub(crate) fn chunk(bytes: &[u8]) -> Chunk<Cursor<Vec<u8>>> {
    Chunk { body: Cursor::new(bytes.to_vec()), length: Some(bytes.len() as u64), range: None }
}

pub(crate) async fn push(registry: &Registry, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
    let repo = repo(name);
    let digest: Digest = ContentDigest::sha256_of(bytes).into();
    let id = registry.begin_upload(&repo, None).await?;
    registry.finish_upload(&repo, id, &digest, chunk(bytes)).await.map(drop)
}

pub(crate) async fn put(
    registry: &Registry,
    name: &str,
    number: usize,
    tags: &[&str],
    by_digest: bool,
) -> Result<(), RegistryError> {
    let content = manifest(number);
    let target = if by_digest {
        PutTarget::Digest { digest: content.digest.into(), tags: tags.iter().map(|name| tag(name)).collect() }
    } else {
        PutTarget::Tag(tag(tags[0]))
    };
    let put = PutManifest {
        target,
        content_type: Some(content.media_type.clone()),
        bytes: content.bytes.clone(),
        condition: Condition::Always,
    };
    registry.put_manifest(&repo(name), put).await.map(drop)
}

/// Sends an upload's bytes from its current offset up to `to`, and returns the offset before.
pub(crate) async fn append(registry: &Registry, upload: &Upload, to: usize) -> Result<u64, RegistryError> {
    let (repo, id) = (repo(upload.repo), upload.id.ok_or(RegistryError::UploadUnknown)?);
    let from = registry.upload_offset(&repo, id).await?;
    let bytes = &blob(upload.blob).bytes[from as usize..to];
    registry.append(&repo, id, chunk(bytes)).await?;
    Ok(from)
}

/// Ends an upload with the bytes that were not sent yet.
pub(crate) async fn finish(registry: &Registry, upload: &Upload) -> Result<(), RegistryError> {
    let (repo, id) = (repo(upload.repo), upload.id.ok_or(RegistryError::UploadUnknown)?);
    let content = blob(upload.blob);
    let from = registry.upload_offset(&repo, id).await?;
    let rest = chunk(&content.bytes[from as usize..]);
    let digest = registry.finish_upload(&repo, id, &content.digest.into(), rest).await?;
    assert_eq!(digest, content.digest);
    Ok(())
}

impl Op {
    /// Returns the slot of the upload that this begins or continues.
    pub(crate) fn slot(&self) -> Option<usize> {
        match self {
            Self::Begin { slot, .. }
            | Self::Append { slot, .. }
            | Self::Finish { slot }
            | Self::Cancel { slot } => Some(*slot),
            _ => None,
        }
    }

    /// Tells whether an answer promises that everything in the journal is durable.
    pub(crate) fn waits_for_the_journal(&self) -> bool {
        !matches!(self, Self::Begin { .. } | Self::Append { .. })
    }

    /// Runs the operation. `upload` is that of its slot; returns an upload's offset before.
    pub(crate) async fn run(&self, registry: &Registry, upload: &mut Upload) -> Result<u64, RegistryError> {
        match *self {
            Self::Push { repo, blob: number } => push(registry, repo, &blob(number).bytes).await?,
            Self::Begin { repo: name, .. } => {
                upload.id = Some(registry.begin_upload(&repo(name), None).await?);
            }
            Self::Append { to, .. } => return append(registry, upload, to).await,
            Self::Finish { .. } => finish(registry, upload).await?,
            Self::Cancel { .. } => {
                let id = upload.id.ok_or(RegistryError::UploadUnknown)?;
                registry.cancel_upload(&repo(upload.repo), id).await?;
            }
            Self::Mount { repo: name, from, blob: number } => {
                let digest = blob(number).digest.into();
                assert!(registry.mount(&repo(name), &digest, Some(&repo(from))).await?);
            }
            Self::Put { repo, manifest, tags, by_digest } => {
                put(registry, repo, manifest, tags, by_digest).await?;
            }
            Self::DeleteTag { repo: name, tag: deleted } => {
                registry.delete_tag(&repo(name), &tag(deleted)).await?;
            }
            Self::DeleteManifest { repo: name, manifest: number } => {
                registry.delete_manifest(&repo(name), &manifest(number).digest.into()).await?;
            }
            Self::DeleteBlob { repo: name, blob: number } => {
                registry.delete_blob(&repo(name), &blob(number).digest.into()).await?;
            }
        }
        Ok(0)
    }

    /// Returns the new value of each key that it touches. `named` returns the tags that may name a manifest.
    pub(crate) fn effects(
        &self,
        upload: &Upload,
        named: impl Fn(&'static str, ContentDigest) -> Vec<Key>,
    ) -> Vec<(Key, Value)> {
        let present = |repo, number| {
            let digest = blob(number).digest;
            vec![(Key::Blob(repo, digest), Some(digest))]
        };
        match *self {
            Self::Push { repo, blob } | Self::Mount { repo, blob, .. } => present(repo, blob),
            Self::Finish { .. } => present(upload.repo, upload.blob),
            Self::Put { repo, manifest: number, tags, .. } => {
                let digest = manifest(number).digest;
                let tags = tags.iter().map(|tag| (Key::Tag(repo, tag), Some(digest)));
                tags.chain([(Key::Manifest(repo, digest), Some(digest))]).collect()
            }
            Self::DeleteTag { repo, tag } => vec![(Key::Tag(repo, tag), None)],
            Self::DeleteManifest { repo, manifest: number } => {
                let digest = manifest(number).digest;
                let tags = named(repo, digest).into_iter().map(|key| (key, None));
                tags.chain([(Key::Manifest(repo, digest), None)]).collect()
            }
            Self::DeleteBlob { repo, blob: number } => {
                vec![(Key::Blob(repo, blob(number).digest), None)]
            }
            Self::Begin { .. } | Self::Append { .. } | Self::Cancel { .. } => Vec::new(),
        }
    }
}
