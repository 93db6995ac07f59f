//! A plain model of what clients were told exists, and the comparison of a registry with it.

use std::collections::{BTreeMap, BTreeSet};

use smol::block_on;

use super::clients::{read_blob, repo, tag};
use super::content::{BLOBS, MANIFESTS, REPOS, SIGNATURE, SIGNED, TAGS, blob_digest, manifest};
use super::no_step;
use crate::registry::{Registry, RegistryError};
use crate::spec::{Digest, Reference};

/// What a repository has, by the numbers of its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Has {
    pub(crate) tags: BTreeMap<&'static str, usize>,
    /// Tags that may have gone with what they belong to.
    pub(crate) unsure: BTreeMap<&'static str, usize>,
    pub(crate) manifests: BTreeSet<usize>,
    /// Blobs and manifests that a client deleted since they were last pushed there.
    pub(crate) deleted_blobs: BTreeSet<usize>,
    pub(crate) deleted_manifests: BTreeSet<usize>,
}

impl Has {
    /// A manifest was acknowledged, so it is there, and so is all that it lists, but for what a client
    /// deleted from under what that lists in turn.
    pub(crate) fn take_in(&mut self, number: usize) {
        self.manifests.insert(number);
        self.deleted_manifests.remove(&number);
        for child in &manifest(number).children {
            self.deleted_manifests.remove(child);
            self.take_in_known(*child);
        }
    }

    fn take_in_known(&mut self, number: usize) {
        if !self.deleted_manifests.contains(&number) {
            self.manifests.insert(number);
            manifest(number).children.iter().for_each(|child| self.take_in_known(*child));
        }
    }

    /// Returns those of some manifests that a tag leads to. `signature` is what the signature names, and
    /// stays with what it belongs to, unless `is_alone` says that this is not there.
    fn led_to(
        &self,
        manifests: &BTreeSet<usize>,
        signature: Option<usize>,
        is_alone: bool,
    ) -> BTreeSet<usize> {
        let tags = self.tags.iter().filter(|(tag, _)| **tag != *SIGNATURE);
        let mut kept: BTreeSet<usize> = tags.map(|(_, number)| *number).collect();
        kept.extend(signature.filter(|number| is_alone || *number == SIGNED));
        loop {
            let more: Vec<usize> = (manifests.iter().copied())
                .filter(|number| {
                    kept.iter().any(|parent| manifest(*parent).children.contains(number))
                        || manifest(*number).subject.is_some_and(|subject| kept.contains(&subject))
                        || signature == Some(*number) && kept.contains(&SIGNED)
                })
                .collect();
            let before = kept.len();
            kept.extend(more);
            if kept.len() == before {
                return kept;
            }
        }
    }
}

/// What clients were told exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) repos: BTreeMap<&'static str, Has>,
    /// Whether manifests go that no tag leads to.
    pub(crate) removes_untagged: bool,
    /// Manifests whose bytes are set aside since they were last pushed to any repository.
    pub(crate) lost: BTreeSet<usize>,
}

impl Model {
    pub(crate) fn new(removes_untagged: bool) -> Self {
        let repos = REPOS.into_iter().map(|name| (name, Has::default())).collect();
        Self { repos, removes_untagged, lost: BTreeSet::new() }
    }

    pub(crate) fn of(&mut self, name: &str) -> &mut Has {
        self.repos.get_mut(name).unwrap()
    }

    /// Returns the manifests of a repository that must be there.
    pub(crate) fn required(&self, name: &str) -> BTreeSet<usize> {
        let has = &self.repos[name];
        if !self.removes_untagged {
            return has.manifests.clone();
        }
        let is_alone = has.deleted_manifests.contains(&SIGNED);
        has.led_to(&has.manifests, has.tags.get(*SIGNATURE).copied(), is_alone)
    }

    /// Tells whether the signature of a repository must be there, if it is.
    fn keeps_signature(&self, name: &str) -> bool {
        let has = &self.repos[name];
        !self.removes_untagged
            || has.tags.get(*SIGNATURE).is_none_or(|number| *number == SIGNED)
            || has.deleted_manifests.contains(&SIGNED)
            || self.required(name).contains(&SIGNED)
    }

    /// Forgets manifests that may go at any time: whether they are there is not known from now on.
    pub(crate) fn forget(&mut self) {
        for name in REPOS {
            let (required, keeps) = (self.required(name), self.keeps_signature(name));
            let has = self.of(name);
            has.manifests = required;
            if !keeps && let Some(number) = has.tags.remove(*SIGNATURE) {
                has.unsure.insert(*SIGNATURE, number);
            }
        }
    }

    /// Tells of anything that is missing or not as it was pushed.
    pub(crate) fn check(&self, registry: &Registry) -> Result<(), String> {
        block_on(async {
            for (name, has) in &self.repos {
                for named in *TAGS {
                    let found = read_manifest(registry, name, &Reference::Tag(tag(named))).await?;
                    let may_be_gone = named == *SIGNATURE && !self.keeps_signature(name);
                    if found.is_none() && may_be_gone
                        || found.is_some() && found == has.unsure.get(named).copied()
                    {
                        continue;
                    }
                    let expected = has.tags.get(named).copied().filter(|number| !self.lost.contains(number));
                    if found != expected {
                        return Err(format!("{name}:{named} is {found:?}, not {expected:?}"));
                    }
                }
                let required = self.required(name);
                for number in 0..MANIFESTS.len() {
                    let reference = Reference::Digest(manifest(number).digest.into());
                    let there = read_manifest(registry, name, &reference).await?.is_some();
                    if !there && required.contains(&number) && !self.lost.contains(&number) {
                        return Err(format!("manifest {number} of {name} is missing"));
                    }
                    if there {
                        self.check_whole(registry, name, number).await?;
                    }
                }
            }
            Ok(())
        })
    }

    /// What is there has all that it references, unless a client deleted that.
    async fn check_whole(&self, registry: &Registry, name: &str, number: usize) -> Result<(), String> {
        let has = &self.repos[name];
        let mut lacks = None;
        for needed in &manifest(number).blobs {
            if !read_blob(registry, name, *needed).await? && !has.deleted_blobs.contains(needed) {
                lacks = Some(format!("manifest {number} of {name} lacks blob {needed}"));
            }
        }
        for child in &manifest(number).children {
            let reference = Reference::Digest(manifest(*child).digest.into());
            let there = read_manifest(registry, name, &reference).await?.is_some();
            if !there && !has.deleted_manifests.contains(child) && !self.lost.contains(child) {
                lacks = Some(format!("index {number} of {name} lacks manifest {child}"));
            }
        }
        // Unless it went itself meanwhile, with all that only it needed.
        let reference = Reference::Digest(manifest(number).digest.into());
        match lacks {
            Some(lacks) if read_manifest(registry, name, &reference).await?.is_some() => Err(lacks),
            _ => Ok(()),
        }
    }

    /// After a quiet full cycle there is nothing but what is needed: no row, no file.
    pub(crate) fn check_nothing_else(&self, registry: &Registry) -> Result<(), String> {
        let upkeep = registry.upkeep();
        let view = upkeep.view();
        let mut content = BTreeSet::new();
        for (name, has) in &self.repos {
            let manifests = view.manifests(&repo(name), None, usize::MAX).unwrap();
            let there: BTreeSet<usize> = (0..MANIFESTS.len())
                .filter(|number| manifests.iter().any(|(digest, _)| *digest == manifest(*number).digest))
                .collect();
            // One that might have gone, and that a tag led to before it had, stays.
            let row = view.tag(&repo(name), &tag(*SIGNATURE)).unwrap();
            let signature = row.and_then(|row| MANIFESTS.iter().position(|one| one.digest == row.digest));
            let may_stay = if self.removes_untagged {
                has.led_to(&there, signature, !there.contains(&SIGNED))
            } else {
                has.manifests.clone()
            };
            if let Some(number) = there.iter().find(|number| !may_stay.contains(number)) {
                return Err(format!("{name} still has manifest {number}"));
            }
            let needed: BTreeSet<_> = there
                .iter()
                .flat_map(|number| &manifest(*number).blobs)
                .map(|blob| blob_digest(*blob))
                .collect();
            let links = view.links(&repo(name), None, usize::MAX).unwrap();
            if let Some((digest, _)) = links.iter().find(|(digest, _)| !needed.contains(digest)) {
                return Err(format!("{name} still has {digest}"));
            }
            content.extend(links.into_iter().map(|(digest, _)| digest));
            content.extend(manifests.into_iter().map(|(digest, _)| digest));
            let anything = view.has_anything(&repo(name)).unwrap();
            if view.repository(&repo(name)).unwrap().is_some() != anything {
                return Err(format!("{name} is there with nothing in it, or has something and is not there"));
            }
        }
        let rows: BTreeSet<_> =
            view.content(None, usize::MAX).unwrap().into_iter().map(|(digest, _)| digest).collect();
        if rows != content {
            return Err(format!("there are rows of {rows:?}, and {content:?} is needed"));
        }
        let unnamed = upkeep.unnamed(no_step).unwrap();
        if !unnamed.is_empty() {
            return Err(format!("there are files without a name: {unnamed:?}"));
        }
        if !upkeep.blobs().uploads().unwrap().is_empty() {
            return Err("there are files of uploads".to_owned());
        }
        Ok(())
    }
}

async fn read_manifest(
    registry: &Registry,
    name: &str,
    reference: &Reference,
) -> Result<Option<usize>, String> {
    match registry.manifest(&repo(name), reference).await {
        Ok(found) => {
            let known =
                MANIFESTS.iter().position(|one| one.digest == found.digest && one.bytes == found.bytes);
            known.map(Some).ok_or_else(|| format!("{reference:?} of {name} is something else"))
        }
        Err(
            RegistryError::ManifestUnknown(_) | RegistryError::TagUnknown(_) | RegistryError::NameUnknown(_),
        ) => Ok(None),
        Err(error) => Err(format!("{reference:?} of {name} cannot be read: {error}")),
    }
}

/// Returns the numbers of the blobs that a repository has.
pub(crate) fn blobs_of(registry: &Registry, name: &str) -> Vec<usize> {
    let there = |number: &usize| {
        let digest: Digest = blob_digest(*number).into();
        block_on(registry.blob_size(&repo(name), &digest)).is_ok()
    };
    (0..BLOBS).filter(there).collect()
}
