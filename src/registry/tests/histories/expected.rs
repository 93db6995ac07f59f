//! What a registry should hold after a history: a plain model in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::spec::ErrorCode;

pub(super) const REPOSITORIES: [&str; 3] = ["app", "app/sub", "base"];
pub(super) const CONTENTS: usize = 3;
pub(super) const TAGS: [&str; 3] = ["a", "b", "c"];

pub(super) fn content(number: usize) -> Vec<u8> {
    [vec![], b"small".to_vec(), vec![9; 300_000]][number].clone()
}

pub(super) fn blob_digest(number: usize) -> Digest {
    // One uses another algorithm than the default.
    let algorithm = if number == 1 { Algorithm::Sha512 } else { Algorithm::Sha256 };
    ContentDigest::of(algorithm, &content(number)).into()
}

/// A manifest that can be pushed: an image of a config or an index of an image, with or without a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pushed {
    pub(super) config: usize,
    pub(super) is_index: bool,
    pub(super) has_subject: bool,
}

impl Pushed {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let flags = [(false, false), (true, false), (false, true), (true, true)];
        (0..CONTENTS).flat_map(move |config| {
            flags.map(|(is_index, has_subject)| Self { config, is_index, has_subject })
        })
    }

    pub(super) fn needs(self) -> Digest {
        match self.is_index {
            true => Self { is_index: false, has_subject: false, ..self }.digest(),
            false => blob_digest(self.config),
        }
    }

    pub(super) fn subject(self) -> Option<Digest> {
        self.has_subject.then(|| sha256(b"subject"))
    }

    pub(super) fn bytes(self) -> Arc<[u8]> {
        let needs = serde_json::json!({"mediaType": "a/b", "digest": self.needs(), "size": 5});
        let (media_type, field, needs) = match self.is_index {
            true => (MediaType::OCI_INDEX, "manifests", serde_json::json!([needs])),
            false => (MediaType::OCI_MANIFEST, "config", needs),
        };
        let mut manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media_type, field: needs});
        if !self.is_index {
            manifest["layers"] = serde_json::json!([]);
        }
        if let Some(subject) = self.subject() {
            manifest["subject"] = serde_json::json!({"mediaType": "a/b", "digest": subject, "size": 5});
        }
        manifest.to_string().into_bytes().into()
    }

    pub(super) fn digest(self) -> Digest {
        sha256(&self.bytes())
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Whole,
    Chunks,
    Announced,
    Cancelled,
    Broken,
    Wrong,
}

#[derive(Debug, Clone)]
pub(super) enum Operation {
    PushBlob(usize, usize, Way),
    Mount(usize, usize, Option<usize>),
    PutByTag(usize, Pushed, usize, Condition),
    PutByDigest(usize, Pushed, Vec<usize>),
    DeleteTag(usize, usize),
    DeleteManifest(usize, Pushed),
    DeleteBlob(usize, usize),
    Reopen { clean: bool },
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Repository {
    /// Digests as texts.
    pub(super) blobs: BTreeSet<String>,
    pub(super) manifests: BTreeMap<String, Kept>,
    pub(super) tags: BTreeMap<String, String>,
}

/// A pushed manifest as it must be returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) bytes: Arc<[u8]>,
    pub(super) subject: Option<String>,
}

/// The expected content of the registry.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) repositories: BTreeMap<usize, Repository>,
}

pub(super) type Outcome = Result<bool, ErrorCode>;

impl Model {
    pub(super) fn exists(&self, of: usize) -> bool {
        self.repositories.get(&of).is_some_and(|all| !all.blobs.is_empty() || !all.manifests.is_empty())
    }

    fn known(&mut self, of: usize) -> Result<&mut Repository, ErrorCode> {
        match self.exists(of) {
            true => Ok(self.repositories.entry(of).or_default()),
            false => Err(ErrorCode::NameUnknown),
        }
    }

    fn has_blob(&self, of: usize, digest: &Digest) -> bool {
        self.repositories.get(&of).is_some_and(|all| all.blobs.contains(digest.as_str()))
    }

    fn put(&mut self, to: usize, pushed: Pushed, tags: &[usize], condition: &Condition) -> Outcome {
        let all = self.repositories.entry(to).or_default();
        let needs = pushed.needs();
        let known = all.blobs.contains(needs.as_str())
            || pushed.is_index && all.manifests.contains_key(needs.as_str());
        if !known {
            return Err(ErrorCode::ManifestBlobUnknown);
        }
        let there = tags.iter().all(|tag| all.tags.contains_key(TAGS[*tag]));
        match condition {
            Condition::Exists if !there => return Err(ErrorCode::ManifestInvalid),
            Condition::Absent if there => return Err(ErrorCode::ManifestInvalid),
            _ => {}
        }
        let digest = pushed.digest().to_string();
        let subject = pushed.subject().map(|subject| subject.to_string());
        all.manifests.insert(digest.clone(), Kept { bytes: pushed.bytes(), subject });
        all.tags.extend(tags.iter().map(|tag| (TAGS[*tag].to_owned(), digest.clone())));
        Ok(true)
    }

    pub(super) fn carry_out(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::PushBlob(to, blob, way) => match way {
                Way::Whole | Way::Chunks | Way::Announced => {
                    let all = self.repositories.entry(*to).or_default();
                    all.blobs.insert(blob_digest(*blob).to_string());
                    Ok(true)
                }
                Way::Cancelled => Ok(false),
                Way::Broken => Err(ErrorCode::SizeInvalid),
                Way::Wrong => Err(ErrorCode::DigestInvalid),
            },
            Operation::Mount(to, blob, from) => {
                let digest = blob_digest(*blob);
                let anywhere = (0..REPOSITORIES.len()).any(|of| self.has_blob(of, &digest));
                let found = match from {
                    Some(from) => self.has_blob(*to, &digest) || self.has_blob(*from, &digest),
                    None => anywhere,
                };
                if found {
                    self.repositories.entry(*to).or_default().blobs.insert(digest.to_string());
                }
                Ok(found)
            }
            Operation::PutByTag(to, pushed, tag, condition) => self.put(*to, *pushed, &[*tag], condition),
            Operation::PutByDigest(to, pushed, tags) => self.put(*to, *pushed, tags, &Condition::Always),
            Operation::DeleteTag(of, tag) => {
                let removed = self.known(*of)?.tags.remove(TAGS[*tag]);
                removed.map(|_| true).ok_or(ErrorCode::ManifestUnknown)
            }
            Operation::DeleteManifest(of, pushed) => {
                let all = self.known(*of)?;
                let digest = pushed.digest().to_string();
                all.manifests.remove(&digest).ok_or(ErrorCode::ManifestUnknown)?;
                all.tags.retain(|_, named| *named != digest);
                Ok(true)
            }
            Operation::DeleteBlob(of, blob) => {
                let removed = self.known(*of)?.blobs.remove(blob_digest(*blob).as_str());
                removed.then_some(true).ok_or(ErrorCode::BlobUnknown)
            }
            Operation::Reopen { .. } => Ok(true),
        }
    }
}
