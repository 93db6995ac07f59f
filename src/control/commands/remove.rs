//! Removing tags, manifests and whole repositories.

use smol::block_on;

use crate::control::commands::reach::{read, referrers};
use crate::control::commands::usage::{ROWS_PER_STEP_MAX, count_tags, pages};
use crate::control::failure::{Failure, FailureKind};
use crate::control::message::Removal;
use crate::control::report::{Removed, RemovedManifest};
use crate::control::sink::Sink;
use crate::registry::{Registry, RegistryError};
use crate::spec::{ContentDigest, Digest, ManifestKind, RepoName, Tag};

/// The most tags that are told by name.
const TAGS_TOLD_MAX: usize = 1000;

/// How often a repository is gone through again because something was pushed to it meanwhile.
const ROUNDS_MAX: usize = 3;

/// Removes something, and says what.
pub(super) fn remove(
    registry: &Registry,
    repo: &RepoName,
    what: &Removal,
    sink: &mut dyn Sink,
) -> Result<Removed, Failure> {
    // INVARIANT: from before it is read what needs what until the last of it is removed.
    let _watch = registry.watch(repo);
    let mut removing = Removing { registry, repo, unreadable: None, removed: Removed::default() };
    match what {
        Removal::Tag(tag) => removing.tag(tag, sink)?,
        Removal::Manifest(digest) => removing.manifest(digest, sink)?,
        Removal::All => removing.all(sink)?,
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
    fn tag(&mut self, tag: &Tag, sink: &mut dyn Sink) -> Result<(), Failure> {
        let view = self.registry.view();
        view.repository(self.repo)?.ok_or_else(|| RegistryError::NameUnknown(self.repo.clone()))?;
        let named = view.tag(self.repo, tag)?.ok_or_else(|| RegistryError::TagUnknown(tag.clone()))?;
        block_on(self.registry.delete_tag(self.repo, tag))?;
        self.removed.tags.push(tag.clone());
        self.removed.tag_count += 1;
        let indexes = self.indexes(sink)?;
        match self.still_needed(named.digest, &indexes)? {
            Some(why) => self.removed.kept = Some(format!("{} stays: {why}", named.digest)),
            None => self.remove_with_dependents(named.digest, "no tag names it any more", &indexes)?,
        }
        Ok(())
    }

    /// Removes a manifest with its tags.
    fn manifest(&mut self, digest: &Digest, sink: &mut dyn Sink) -> Result<(), Failure> {
        let unknown = || RegistryError::ManifestUnknown(digest.clone());
        let view = self.registry.view();
        let content = digest.content().ok_or_else(unknown)?;
        let row = view.manifest(self.repo, &content)?.ok_or_else(unknown)?;
        self.removed.tags = view.tags_of(self.repo, &content, TAGS_TOLD_MAX)?;
        self.removed.tag_count = self.removed.tags.len() as u64;
        let indexes = self.indexes(sink)?;
        self.removed.lacking = listing(&indexes, content).collect();
        let dependents = self.dependents(content, &row)?;
        block_on(self.registry.delete_manifest(self.repo, digest))?;
        self.told(content, "it was named");
        self.remove_unneeded(dependents, &indexes)
    }

    /// Removes everything that a repository has.
    fn all(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let view = self.registry.view();
        view.repository(self.repo)?.ok_or_else(|| RegistryError::NameUnknown(self.repo.clone()))?;
        for _ in 0..ROUNDS_MAX {
            let tags = count_tags(view, self.repo)?;
            self.all_manifests(sink)?;
            self.removed.tag_count += tags;
            self.all_links(sink)?;
            if view.repository(self.repo)?.is_none() {
                return Ok(());
            }
        }
        Err(Failure::new(FailureKind::Failed, format!("something is pushed to {} all the time", self.repo)))
    }

    fn all_manifests(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let mut last = None;
        loop {
            sink.check_wanted()?;
            let page = self.registry.view().manifests(self.repo, last.as_ref(), ROWS_PER_STEP_MAX)?;
            let Some((behind, _)) = page.last() else { return Ok(()) };
            last = Some(*behind);
            for (digest, _) in page {
                match block_on(self.registry.delete_manifest(self.repo, &digest.into())) {
                    Ok(()) => self.removed.manifest_count += 1,
                    // Somebody else was faster.
                    Err(RegistryError::ManifestUnknown(_) | RegistryError::NameUnknown(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                sink.progress("removing manifests", self.removed.manifest_count, 0);
            }
        }
    }

    fn all_links(&mut self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let mut last = None;
        loop {
            sink.check_wanted()?;
            let page = self.registry.view().links(self.repo, last.as_ref(), ROWS_PER_STEP_MAX)?;
            let Some((behind, _)) = page.last() else { return Ok(()) };
            last = Some(*behind);
            for (digest, _) in page {
                match block_on(self.registry.delete_blob(self.repo, &digest.into())) {
                    Ok(()) => self.removed.link_count += 1,
                    Err(RegistryError::BlobUnknown(_) | RegistryError::NameUnknown(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                sink.progress("removing blobs", self.removed.link_count, 0);
            }
        }
    }

    /// Removes a manifest that nothing needs, and what was there only for it.
    fn remove_with_dependents(
        &mut self,
        digest: ContentDigest,
        why: &str,
        indexes: &[Listed],
    ) -> Result<(), Failure> {
        let Some(row) = self.registry.view().manifest(self.repo, &digest)? else { return Ok(()) };
        let dependents = self.dependents(digest, &row)?;
        if block_on(self.registry.delete_untagged(self.repo, digest))? {
            self.told(digest, why);
            self.remove_unneeded(dependents, indexes)
        } else {
            self.removed.kept = Some(format!("{digest} stays: it got another tag"));
            Ok(())
        }
    }

    /// Removes those of the dependents of what was removed that nothing needs, and their own dependents.
    fn remove_unneeded(
        &mut self,
        mut dependents: Vec<(ContentDigest, String)>,
        indexes: &[Listed],
    ) -> Result<(), Failure> {
        while let Some((digest, why)) = dependents.pop() {
            let Some(row) = self.registry.view().manifest(self.repo, &digest)? else { continue };
            if self.still_needed(digest, indexes)?.is_some() {
                continue;
            }
            let own = self.dependents(digest, &row)?;
            if block_on(self.registry.delete_untagged(self.repo, digest))? {
                self.told(digest, &why);
                dependents.extend(own);
            }
        }
        Ok(())
    }

    /// Returns what is in the repository perhaps only for a manifest: the children of an index, and what
    /// refers to it.
    fn dependents(
        &self,
        digest: ContentDigest,
        row: &crate::spec::ManifestSummary,
    ) -> Result<Vec<(ContentDigest, String)>, Failure> {
        let children = read(self.registry, digest, row).into_iter().flat_map(|manifest| {
            let children: Vec<_> =
                manifest.all_children().filter_map(|child| child.digest.content()).collect();
            children
        });
        let children = children.map(|child| (child, format!("only {digest} listed it")));
        let referring = referrers(self.registry, self.repo, digest)?;
        let referring = referring.into_iter().map(|referrer| (referrer, format!("it referred to {digest}")));
        Ok(children.chain(referring).collect())
    }

    /// Says what needs a manifest of the repository, if anything does.
    fn still_needed(&self, digest: ContentDigest, indexes: &[Listed]) -> Result<Option<String>, Failure> {
        let view = self.registry.view();
        if let Some(tag) = view.tags_of(self.repo, &digest, 1)?.first() {
            return Ok(Some(format!("tag {tag} names it, too")));
        }
        if let Some(index) = self.unreadable {
            return Ok(Some(format!("{index} cannot be read, and may list it")));
        }
        for index in listing(indexes, digest) {
            if view.manifest(self.repo, &index)?.is_some() {
                return Ok(Some(format!("{index} lists it")));
            }
        }
        Ok(None)
    }

    /// Reads which manifests the indexes of the repository list.
    fn indexes(&mut self, sink: &mut dyn Sink) -> Result<Vec<Listed>, Failure> {
        let view = self.registry.view();
        let (mut indexes, mut unreadable) = (Vec::new(), None);
        pages(
            |last| view.manifests(self.repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, row)| {
                if row.media_type.kind() != ManifestKind::Image {
                    match read(self.registry, digest, &row) {
                        Some(manifest) => {
                            let listed = manifest.all_children();
                            let children = listed.filter_map(|child| child.digest.content()).collect();
                            indexes.push(Listed { index: digest, children });
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

/// What an index lists.
struct Listed {
    index: ContentDigest,
    children: Vec<ContentDigest>,
}

/// Returns the indexes that list a manifest.
fn listing(indexes: &[Listed], digest: ContentDigest) -> impl Iterator<Item = ContentDigest> {
    indexes.iter().filter(move |listed| listed.children.contains(&digest)).map(|listed| listed.index)
}
