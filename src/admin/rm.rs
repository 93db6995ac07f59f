//! Removing tags, manifests and whole repositories.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use smol::{LocalExecutor, block_on};

use crate::admin::ask::Ask;
use crate::admin::error::{AdminError, AdminErrorKind};
use crate::admin::pages::{ROWS_PER_STEP_MAX, count_tags, pages};
use crate::admin::sink::AnswerSink;
use crate::admin::store::OpenStore;
use crate::meta::{IndexError, ManifestRow};
use crate::registry::{Origin, Registry, RegistryError, referrers};
use crate::spec::{ContentDigest, Digest, Manifest, ManifestKind, RepoName, Tag};

/// Asks to remove something from a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RmRequest {
    /// The repository.
    pub(crate) repo: RepoName,
    /// What to remove from it.
    pub(crate) what: RmTarget,
    /// Whether a manifest goes although an index lists it.
    #[serde(default)]
    pub(crate) force: bool,
}

/// What to remove from a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RmTarget {
    /// A tag, and the manifest that it names unless something else needs that.
    Tag(Tag),
    /// A manifest with all its tags.
    Manifest(Digest),
    /// Everything.
    All,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// Tags.
    pub(crate) tags: Vec<Tag>,
    /// Manifests: the requested one, and those that only it needed.
    pub(crate) manifests: Vec<RemovedManifest>,
    /// How many tags, where it was everything.
    pub(crate) tag_count: u64,
    /// How many manifests.
    pub(crate) manifest_count: u64,
    /// How many links of blobs.
    pub(crate) link_count: u64,
    /// Why something that lost its tag was not removed.
    pub(crate) kept: Option<String>,
    /// Indexes that list what was removed, and lack it now.
    pub(crate) lacking: Vec<ContentDigest>,
}

/// A manifest that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedManifest {
    /// Its digest.
    pub(crate) digest: ContentDigest,
    /// Why it went, such as `"no tag names it"`.
    pub(crate) why: String,
}

/// The most tags that a report names.
const TAGS_TOLD_MAX: usize = 1000;

/// How many deletions the writer is asked for at once, so that they share a sync of the journal.
const DELETIONS_AT_ONCE_MAX: usize = 64;

/// How often a repository is gone through again because something was pushed to it meanwhile.
const ROUNDS_MAX: usize = 3;

impl Ask for RmRequest {
    type Item = ();
    type Report = Removed;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<Removed, AdminError> {
        let registry = store.registry.on_behalf_of(origin());
        remove(&registry, &self.repo, (&self.what, self.force), sink)
    }
}

/// Returns what the journal says of what is removed here.
fn origin() -> Origin {
    Origin::default().command("rm")
}

/// Removes something, and says what.
pub(super) fn remove(
    registry: &Registry,
    repo: &RepoName,
    (what, force): (&RmTarget, bool),
    sink: &mut dyn AnswerSink,
) -> Result<Removed, AdminError> {
    // INVARIANT: from before it is read what needs what until the last of it is removed.
    let _watch = registry.watch(repo);
    let mut removing = Removing { registry, repo, unreadable: None, removed: Removed::default() };
    match what {
        RmTarget::Tag(tag) => removing.tag(tag, sink)?,
        RmTarget::Manifest(digest) => removing.manifest(digest, force, sink)?,
        RmTarget::All => removing.all(sink)?,
    }
    Ok(removing.removed)
}

struct Removing<'a> {
    registry: &'a Registry,
    repo: &'a RepoName,
    /// An index that cannot be read: it may need anything.
    unreadable: Option<ContentDigest>,
    removed: Removed,
}

impl Removing<'_> {
    /// Removes a tag, and what it named when nothing else leads there.
    fn tag(&mut self, tag: &Tag, sink: &mut dyn AnswerSink) -> Result<(), AdminError> {
        let view = self.registry.view();
        view.repository(self.repo)?.ok_or_else(|| RegistryError::NameUnknown(self.repo.clone()))?;
        let named = view.tag(self.repo, tag)?.ok_or_else(|| RegistryError::TagUnknown(tag.clone()))?;
        block_on(self.registry.delete_tag(self.repo, tag))?;
        self.removed.tags.push(tag.clone());
        self.removed.tag_count += 1;
        let indexes = self.indexes(sink)?;
        match self.led_to(named.digest, &indexes)? {
            Some(why) => self.removed.kept = Some(format!("{} stays: {why}", named.digest)),
            None => self.remove_with_dependents(named.digest, "no tag names it", &indexes, sink)?,
        }
        Ok(())
    }

    /// Removes a manifest with its tags; one that an index lists only by force.
    fn manifest(
        &mut self,
        digest: &Digest,
        force: bool,
        sink: &mut dyn AnswerSink,
    ) -> Result<(), AdminError> {
        let unknown = || RegistryError::ManifestUnknown(digest.clone());
        let view = self.registry.view();
        let content = digest.content().ok_or_else(unknown)?;
        let row = view.manifest(self.repo, &content)?.ok_or_else(unknown)?;
        self.removed.tags = view.tags_of(self.repo, &content, TAGS_TOLD_MAX)?;
        self.removed.tag_count = self.removed.tags.len() as u64;
        let indexes = self.indexes(sink)?;
        if !force {
            self.check_unlisted(content, &indexes)?;
        }
        self.removed.lacking = indexes.listing(content).to_vec();
        let dependents = self.dependents(content, &row)?;
        block_on(self.registry.delete_manifest(self.repo, digest))?;
        self.told(content, "requested");
        self.remove_unneeded(dependents, &indexes, sink)
    }

    /// Refuses to remove a manifest that an index lists, or may list: that could not be pulled any more.
    fn check_unlisted(&self, digest: ContentDigest, indexes: &Indexes) -> Result<(), AdminError> {
        let listed = match (indexes.listing(digest).first(), self.unreadable) {
            (Some(index), _) => {
                let tag = self.tag_leading_to(*index, indexes)?;
                let named = tag.map(|tag| format!(", which tag {tag} leads to")).unwrap_or_default();
                format!("index {index} lists it{named}")
            }
            (None, Some(index)) if index != digest => format!("index {index} cannot be read and may list it"),
            (None, _) => return Ok(()),
        };
        let why = format!("{digest} stays: {listed}; --force removes it all the same");
        Err(AdminError::new(AdminErrorKind::Refused, why))
    }

    /// Returns a tag that names a manifest, or an index that leads to it.
    fn tag_leading_to(&self, digest: ContentDigest, indexes: &Indexes) -> Result<Option<Tag>, AdminError> {
        let (mut seen, mut waiting) = (HashSet::from([digest]), vec![digest]);
        while let Some(digest) = waiting.pop() {
            if let Some(tag) = self.registry.view().tags_of(self.repo, &digest, 1)?.pop() {
                return Ok(Some(tag));
            }
            waiting.extend(indexes.listing(digest).iter().filter(|index| seen.insert(**index)));
        }
        Ok(None)
    }

    /// Removes everything that a repository has.
    fn all(&mut self, sink: &mut dyn AnswerSink) -> Result<(), AdminError> {
        let (registry, repo, view) = (self.registry, self.repo, self.registry.view());
        view.repository(repo)?.ok_or_else(|| RegistryError::NameUnknown(repo.clone()))?;
        for _ in 0..ROUNDS_MAX {
            self.check_immutable(sink)?;
            let tags = count_tags(view, repo)?;
            all_listed(
                ("removing manifests", &mut self.removed.manifest_count),
                |last| view.manifests(repo, last, ROWS_PER_STEP_MAX),
                |digest| async move { registry.delete_manifest(repo, &digest.into()).await },
                sink,
            )?;
            self.removed.tag_count += tags;
            all_listed(
                ("removing blobs", &mut self.removed.link_count),
                |last| view.links(repo, last, ROWS_PER_STEP_MAX),
                |digest| async move { registry.delete_blob(repo, &digest.into()).await },
                sink,
            )?;
            if view.repository(repo)?.is_none() {
                return Ok(());
            }
        }
        Err(AdminError::new(
            AdminErrorKind::Failed,
            format!("{} is not empty: clients keep pushing to it", self.repo),
        ))
    }

    /// Refuses to begin with what could not be brought to its end.
    fn check_immutable(&self, sink: &dyn AnswerSink) -> Result<(), AdminError> {
        let policy = self.registry.policy(self.repo);
        if !policy.has_immutable() {
            return Ok(());
        }
        let view = self.registry.view();
        let mut immutable = None;
        pages(
            |last: Option<Tag>| view.tag_rows(self.repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(tag, _)| {
                if immutable.is_none() && policy.is_immutable(&tag) {
                    immutable = Some(tag.clone());
                }
                tag
            },
            sink,
        )?;
        immutable.map_or(Ok(()), |tag| {
            let why = format!("tag {tag} is immutable in {}: nothing was removed", self.repo);
            Err(AdminError::new(AdminErrorKind::Refused, why))
        })
    }

    /// Removes a manifest that nothing needs, and what was there only for it.
    fn remove_with_dependents(
        &mut self,
        digest: ContentDigest,
        why: &str,
        indexes: &Indexes,
        sink: &mut dyn AnswerSink,
    ) -> Result<(), AdminError> {
        let Some(row) = self.registry.view().manifest(self.repo, &digest)? else { return Ok(()) };
        let dependents = self.dependents(digest, &row)?;
        let registry = self.registry.on_behalf_of(origin().why(why));
        if block_on(registry.delete_untagged(self.repo, digest))? {
            self.told(digest, why);
            self.remove_unneeded(dependents, indexes, sink)
        } else {
            self.removed.kept = Some(format!("{digest} stays: it was tagged again"));
            Ok(())
        }
    }

    /// Removes those of the dependents of what was removed that nothing needs, and their own dependents.
    fn remove_unneeded(
        &mut self,
        mut dependents: Vec<(ContentDigest, String)>,
        indexes: &Indexes,
        sink: &mut dyn AnswerSink,
    ) -> Result<(), AdminError> {
        while !dependents.is_empty() {
            sink.check_wanted()?;
            let some = dependents.split_off(dependents.len().saturating_sub(DELETIONS_AT_ONCE_MAX));
            let mut unneeded: HashMap<ContentDigest, (String, Dependents)> = HashMap::new();
            for (digest, why) in some {
                let Some(row) = self.registry.view().manifest(self.repo, &digest)? else { continue };
                if !unneeded.contains_key(&digest) && self.still_needed(digest, &row, indexes)?.is_none() {
                    unneeded.insert(digest, (why, self.dependents(digest, &row)?));
                }
            }
            let (digests, more): (Vec<_>, Vec<_>) = unneeded.into_iter().unzip();
            let deleted = at_once(digests.iter().zip(&more).map(|(digest, (why, _))| {
                let (registry, repo) = (self.registry.on_behalf_of(origin().why(why)), self.repo);
                async move { registry.delete_untagged(repo, *digest).await }
            }));
            for ((digest, (why, own)), deleted) in digests.into_iter().zip(more).zip(deleted) {
                if deleted? {
                    self.told(digest, &why);
                    dependents.extend(own);
                }
            }
            sink.progress("removing manifests", self.removed.manifest_count, 0);
        }
        Ok(())
    }

    /// Returns the manifests that perhaps only this one needs: the children of an index, and its referrers.
    fn dependents(&self, digest: ContentDigest, row: &ManifestRow) -> Result<Dependents, AdminError> {
        let manifest = self.registry.read_manifest(digest, row);
        let children = manifest.iter().flat_map(Manifest::kept_children);
        let children = children.map(|child| (child, format!("only {digest} lists it")));
        let referring = referrers(self.registry.view(), self.repo, digest)?;
        let referring = referring.into_iter().map(|referrer| (referrer, format!("it refers to {digest}")));
        Ok(children.chain(referring).collect())
    }

    /// Says what needs a manifest that was there for something else, if anything does.
    fn still_needed(
        &self,
        digest: ContentDigest,
        row: &ManifestRow,
        indexes: &Indexes,
    ) -> Result<Option<String>, AdminError> {
        if let Some(why) = self.led_to(digest, indexes)? {
            return Ok(Some(why));
        }
        // A subject is removed before its referrers, which are then visited again.
        let manifest = self.registry.read_manifest(digest, row);
        let subject =
            manifest.as_ref().and_then(Manifest::subject).and_then(|subject| subject.digest.content());
        match subject {
            Some(subject) if self.registry.view().manifest(self.repo, &subject)?.is_some() => {
                Ok(Some(format!("it refers to {subject}")))
            }
            _ => Ok(None),
        }
    }

    /// Says what leads to a manifest of the repository, if anything does.
    fn led_to(&self, digest: ContentDigest, indexes: &Indexes) -> Result<Option<String>, AdminError> {
        let view = self.registry.view();
        if let Some(tag) = view.tags_of(self.repo, &digest, 1)?.first() {
            return Ok(Some(format!("tag {tag} names it")));
        }
        if let Some(index) = self.unreadable {
            return Ok(Some(format!("{index} cannot be read and may list it")));
        }
        for index in indexes.listing(digest) {
            if view.manifest(self.repo, index)?.is_some() {
                return Ok(Some(format!("{index} lists it")));
            }
        }
        Ok(None)
    }

    /// Reads which manifests the indexes of the repository list.
    fn indexes(&mut self, sink: &mut dyn AnswerSink) -> Result<Indexes, AdminError> {
        let view = self.registry.view();
        let (mut indexes, mut unreadable) = (Indexes::default(), None);
        pages(
            |last| view.manifests(self.repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, row)| {
                if row.media_type.kind() != ManifestKind::Image {
                    match self.registry.read_manifest(digest, &row) {
                        Some(manifest) => {
                            for child in manifest.kept_children() {
                                indexes.listed.entry(child).or_default().push(digest);
                            }
                        }
                        None => unreadable = Some(digest),
                    }
                }
                digest
            },
            sink,
        )?;
        self.unreadable = unreadable;
        Ok(indexes)
    }

    fn told(&mut self, digest: ContentDigest, why: &str) {
        self.removed.manifests.push(RemovedManifest { digest, why: why.to_owned() });
        self.removed.manifest_count += 1;
    }
}

/// What may go with something that is removed, each with why it would.
type Dependents = Vec<(ContentDigest, String)>;

/// What the indexes of a repository list.
#[derive(Default)]
struct Indexes {
    /// For each listed manifest, the indexes that list it.
    listed: HashMap<ContentDigest, Vec<ContentDigest>>,
}

impl Indexes {
    /// Returns the indexes that list a manifest.
    fn listing(&self, digest: ContentDigest) -> &[ContentDigest] {
        self.listed.get(&digest).map_or(&[], Vec::as_slice)
    }
}

/// Deletes all that `page` lists, many at once, and adds to `count` how many went.
fn all_listed<Row, Deleting: Future<Output = Result<(), RegistryError>>>(
    (what, count): (&str, &mut u64),
    page: impl Fn(Option<&ContentDigest>) -> Result<Vec<(ContentDigest, Row)>, IndexError>,
    delete: impl Fn(ContentDigest) -> Deleting,
    sink: &mut dyn AnswerSink,
) -> Result<(), AdminError> {
    let mut last = None;
    loop {
        sink.check_wanted()?;
        let page = page(last.as_ref())?;
        let Some((digest, _)) = page.last() else { return Ok(()) };
        last = Some(*digest);
        for some in page.chunks(DELETIONS_AT_ONCE_MAX) {
            sink.check_wanted()?;
            for deleted in at_once(some.iter().map(|(digest, _)| delete(*digest))) {
                match deleted {
                    Ok(()) => *count += 1,
                    // Another client has deleted it.
                    Err(
                        RegistryError::ManifestUnknown(_)
                        | RegistryError::BlobUnknown(_)
                        | RegistryError::NameUnknown(_),
                    ) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            sink.progress(what, *count, 0);
        }
    }
}

/// Runs futures concurrently, and returns their results in order.
fn at_once<T, F: Future<Output = T>>(works: impl Iterator<Item = F>) -> Vec<T> {
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = works.map(|work| executor.spawn(work)).collect();
    block_on(executor.run(async {
        let mut done = Vec::with_capacity(tasks.len());
        for task in tasks {
            done.push(task.await);
        }
        done
    }))
}

#[cfg(test)]
mod tests;
