//! Clients that push in small steps, ask before they push, and skip what is there.

use std::collections::VecDeque;

use smol::block_on;
use smol::io::Cursor;

use super::content::{MANIFESTS, REPOS, TAGS, blob, blob_digest, manifest};
use super::model::Model;
use crate::base::Chance;
use crate::registry::{Chunk, Condition, PutManifest, PutTarget, Registry, RegistryError};
use crate::spec::{Digest, Reference, RepoName, Tag};

pub(crate) fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

pub(crate) async fn push_blob(registry: &Registry, name: &str, number: usize) -> Result<(), RegistryError> {
    let bytes = blob(number);
    let id = registry.begin_upload(&repo(name), None).await?;
    let length = Some(bytes.len() as u64);
    let chunk = Chunk { body: Cursor::new(bytes), length, range: None };
    registry.finish_upload(&repo(name), id, &blob_digest(number).into(), chunk).await.map(drop)
}

pub(crate) async fn put(
    registry: &Registry,
    name: &str,
    number: usize,
    named: Option<&str>,
) -> Result<(), RegistryError> {
    let content = manifest(number);
    let target = match named {
        Some(named) => PutTarget::Tag(tag(named)),
        None => PutTarget::Digest { digest: content.digest.into(), tags: Vec::new() },
    };
    let (bytes, condition) = (content.bytes.clone(), Condition::Always);
    registry
        .put_manifest(&repo(name), PutManifest { target, content_type: None, bytes, condition })
        .await
        .map(drop)
}

/// Tells whether a repository has a blob, and reads it to its end if so.
pub(crate) async fn read_blob(registry: &Registry, name: &str, number: usize) -> Result<bool, String> {
    let digest: Digest = blob_digest(number).into();
    let reader = match registry.open_blob(&repo(name), &digest).await {
        Ok(reader) => reader,
        Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => return Ok(false),
        Err(error) => return Err(format!("blob {number} of {name}: {error}")),
    };
    let size = usize::try_from(reader.size()).unwrap();
    let read = reader.with_file(move |file| {
        let mut bytes = vec![0; size + 1];
        let mut filled = 0;
        loop {
            match file.read_at(&mut bytes[filled..], filled as u64).unwrap() {
                0 => break,
                more => filled += more,
            }
        }
        bytes.truncate(filled);
        bytes
    });
    if read.await == blob(number) { Ok(true) } else { Err(format!("blob {number} of {name} is damaged")) }
}

/// Pushes a manifest with all that it needs, in the order in which clients do.
pub(crate) async fn push_all(
    registry: &Registry,
    name: &str,
    number: usize,
    named: Option<&str>,
) -> Result<(), RegistryError> {
    for blob in &manifest(number).blobs {
        push_blob(registry, name, *blob).await?;
    }
    for child in &manifest(number).children {
        Box::pin(push_all(registry, name, *child, None)).await?;
    }
    put(registry, name, number, named).await
}

/// One step of a client.
#[derive(Debug, Clone)]
enum Step {
    /// Asks for a blob, and uploads or mounts it only when it is not there.
    Blob {
        name: &'static str,
        blob: usize,
        mounts: bool,
    },
    /// Uploads a blob that was not there.
    Upload {
        name: &'static str,
        blob: usize,
    },
    /// Asks for a manifest that an index lists, and pushes it only when it is not there.
    Child {
        name: &'static str,
        number: usize,
    },
    /// Pushes a manifest.
    Put {
        name: &'static str,
        number: usize,
        named: Option<&'static str>,
    },
    DeleteTag {
        name: &'static str,
        named: &'static str,
    },
    DeleteManifest {
        name: &'static str,
        number: usize,
    },
    DeleteBlob {
        name: &'static str,
        blob: usize,
    },
}

/// What clients do besides pushing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Whether they delete blobs and manifests, which may remove what other clients were told exists.
    pub(crate) delete_content: bool,
    /// Whether a push that was told that all is there may be refused.
    pub(crate) refusals: bool,
}

/// Some clients, each with what it is going to do.
pub(crate) struct Clients {
    plans: Vec<VecDeque<Step>>,
    habits: Habits,
    pub(crate) pushes: u64,
    pub(crate) refused: u64,
}

impl Clients {
    pub(crate) fn new(count: usize, habits: Habits) -> Self {
        Self { plans: vec![VecDeque::new(); count], habits, pushes: 0, refused: 0 }
    }

    /// Has one of them do its next step.
    pub(crate) fn step(&mut self, registry: &Registry, model: &mut Model, chance: &mut Chance) {
        let at = chance.below(self.plans.len() as u64) as usize;
        if self.plans[at].is_empty() {
            self.plans[at] = plan(chance, self.habits, model);
        }
        if let Some(step) = self.plans[at].pop_front() {
            let more = block_on(self.carry_out(registry, model, &step)).unwrap_or_else(|error| {
                panic!("{step:?}: {error}");
            });
            for step in more.into_iter().rev() {
                self.plans[at].push_front(step);
            }
        }
    }

    /// Has all of them end what they have begun. No pass runs meanwhile: the model forgets nothing here.
    pub(crate) fn end(&mut self, registry: &Registry, model: &mut Model) {
        for at in 0..self.plans.len() {
            while let Some(step) = self.plans[at].pop_front() {
                let more = block_on(self.carry_out(registry, model, &step)).unwrap();
                for step in more.into_iter().rev() {
                    self.plans[at].push_front(step);
                }
            }
        }
    }

    /// Does a step, and returns those that follow from its answer.
    async fn carry_out(
        &mut self,
        registry: &Registry,
        model: &mut Model,
        step: &Step,
    ) -> Result<Vec<Step>, RegistryError> {
        match *step {
            Step::Blob { name, blob, mounts } => {
                let digest: Digest = blob_digest(blob).into();
                match registry.blob_size(&repo(name), &digest).await {
                    Ok(_) => return Ok(Vec::new()),
                    Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => {}
                    Err(error) => return Err(error),
                }
                if mounts && registry.mount(&repo(name), &digest, None).await? {
                    model.of(name).deleted_blobs.remove(&blob);
                    return Ok(Vec::new());
                }
                return Ok(vec![Step::Upload { name, blob }]);
            }
            Step::Upload { name, blob } => {
                push_blob(registry, name, blob).await?;
                model.of(name).deleted_blobs.remove(&blob);
            }
            Step::Child { name, number } => {
                let reference = Reference::Digest(manifest(number).digest.into());
                if registry.manifest_info(&repo(name), &reference).await.is_err() {
                    return Ok(push_steps(name, number, None, false));
                }
            }
            Step::Put { name, number, named } => match put(registry, name, number, named).await {
                Ok(()) => {
                    self.pushes += 1;
                    model.lost.remove(&number);
                    let has = model.of(name);
                    has.take_in(number);
                    has.unsure.retain(|tag, _| Some(*tag) != named);
                    has.tags.extend(named.map(|named| (named, number)));
                }
                Err(RegistryError::ManifestBlobUnknown(_)) if self.habits.refusals => self.refused += 1,
                Err(error) => return Err(error),
            },
            Step::DeleteTag { .. } | Step::DeleteManifest { .. } | Step::DeleteBlob { .. } => {
                delete(registry, model, step).await?;
            }
        }
        Ok(Vec::new())
    }
}

/// Deletes something, which may not be there.
async fn delete(registry: &Registry, model: &mut Model, step: &Step) -> Result<(), RegistryError> {
    match *step {
        Step::DeleteTag { name, named } => match registry.delete_tag(&repo(name), &tag(named)).await {
            Ok(()) => drop((model.of(name).tags.remove(named), model.of(name).unsure.remove(named))),
            Err(RegistryError::TagUnknown(_) | RegistryError::NameUnknown(_)) => {}
            Err(error) => return Err(error),
        },
        Step::DeleteManifest { name, number } => {
            match registry.delete_manifest(&repo(name), &manifest(number).digest.into()).await {
                Ok(()) => {
                    let has = model.of(name);
                    has.manifests.remove(&number);
                    has.deleted_manifests.insert(number);
                    has.tags.retain(|_, named| *named != number);
                    has.unsure.retain(|_, named| *named != number);
                }
                Err(RegistryError::ManifestUnknown(_) | RegistryError::NameUnknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Step::DeleteBlob { name, blob } => {
            match registry.delete_blob(&repo(name), &blob_digest(blob).into()).await {
                Ok(()) => drop(model.of(name).deleted_blobs.insert(blob)),
                Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        _ => {}
    }
    Ok(())
}

fn push_steps(name: &'static str, number: usize, named: Option<&'static str>, mounts: bool) -> Vec<Step> {
    let blobs = manifest(number).blobs.iter().map(|blob| Step::Blob { name, blob: *blob, mounts });
    let children = manifest(number).children.iter().map(|child| Step::Child { name, number: *child });
    blobs.chain(children).chain([Step::Put { name, number, named }]).collect()
}

fn plan(chance: &mut Chance, habits: Habits, model: &Model) -> VecDeque<Step> {
    let name = chance.one_of(&REPOS);
    let number = chance.below(MANIFESTS.len() as u64) as usize;
    let named = chance.one_of(&TAGS[..]);
    let has = &model.repos[name];
    let steps = match chance.below(20) {
        0..=3 if !has.tags.is_empty() => vec![Step::DeleteTag { name, named }],
        4 | 5 if habits.delete_content => vec![Step::DeleteManifest { name, number }],
        6 if habits.delete_content => vec![Step::DeleteBlob { name, blob: number % super::content::BLOBS }],
        _ => {
            // A referrer comes to an image that may be there or not.
            let named = (chance.below(4) > 0).then_some(named);
            push_steps(name, number, named, chance.below(2) == 0)
        }
    };
    steps.into()
}
