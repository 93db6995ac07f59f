//! What uses the space of a repository: its tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::du::ledger::Ledger;
use crate::admin::error::AdminError;
use crate::admin::pages::{ROWS_PER_STEP_MAX, each_repository, pages};
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::registry::{ReferenceWalk, Registry, RegistryError};
use crate::spec::{ContentDigest, RepoName, Tag};

/// Asks what each tag of a repository needs, the largest first, what no tag needs, and for the sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DuRepoRequest {
    /// The repository.
    pub(crate) repo: RepoName,
}

/// The content of a repository that a group of tags uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagUsage {
    /// The group.
    pub(crate) group: TagGroup,
    /// The manifest that the tags name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<ContentDigest>,
    /// Manifests.
    pub(crate) manifests: u64,
    /// Bytes of all that it needs.
    pub(crate) bytes: u64,
    /// Bytes of content that nothing else needs, in any repository.
    pub(crate) unique_bytes: u64,
}

/// A user of content within a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TagGroup {
    /// Tags that name one manifest, its children, and what refers to it.
    Tags(Vec<Tag>),
    /// Manifests that no tag leads to.
    Untagged,
    /// Blobs that no manifest names.
    Unreferenced,
}

/// What the groups of a repository's content have together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagUsageTotals {
    /// Bytes of the repository's content.
    pub(crate) bytes: u64,
    /// Bytes of it that no other repository has.
    pub(crate) unique_bytes: u64,
    /// Manifests that could not be read, so that what they name is counted as if nothing named it.
    pub(crate) unreadable: u64,
}

impl Ask for DuRepoRequest {
    type Item = TagUsage;
    type Report = TagUsageTotals;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<TagUsageTotals, AdminError> {
        tags(&store.registry, &self.repo, sink)
    }
}

fn tags(
    registry: &Registry,
    repo: &RepoName,
    sink: &mut dyn AnswerSink,
) -> Result<TagUsageTotals, AdminError> {
    registry.view().repository(repo)?.ok_or_else(|| RegistryError::NameUnknown(repo.clone()))?;
    let mut usage =
        UsageByTag { registry, repo, ledger: Ledger::default(), groups: Vec::new(), unreadable: 0 };
    for (digest, tags) in tagged(registry, repo)? {
        sink.check_wanted()?;
        sink.progress("following tags", usage.groups.len() as u64, 0);
        usage.follow(digest, tags)?;
    }
    usage.add_rest(sink)?;
    let bytes = usage.ledger.distinct_bytes();
    note_others(registry, repo, &mut usage.ledger, sink)?;
    usage.send(bytes, sink)
}

/// Returns the manifests that tags name, each with its tags.
fn tagged(registry: &Registry, repo: &RepoName) -> Result<BTreeMap<ContentDigest, Vec<Tag>>, AdminError> {
    let view = registry.view();
    let mut named: BTreeMap<ContentDigest, Vec<Tag>> = BTreeMap::new();
    let mut last: Option<Tag> = None;
    loop {
        let page = view.tags(repo, last.as_ref().map(Tag::as_str), ROWS_PER_STEP_MAX)?;
        let at_end = page.len() < ROWS_PER_STEP_MAX;
        last = page.last().cloned();
        for tag in page {
            if let Some(row) = view.tag(repo, &tag)? {
                named.entry(row.digest).or_default().push(tag);
            }
        }
        if at_end {
            return Ok(named);
        }
    }
}

struct UsageByTag<'a> {
    registry: &'a Registry,
    repo: &'a RepoName,
    ledger: Ledger,
    groups: Vec<TagUsage>,
    unreadable: u64,
}

impl UsageByTag<'_> {
    /// Adds what the tags of a manifest need.
    fn follow(&mut self, digest: ContentDigest, tags: Vec<Tag>) -> Result<(), AdminError> {
        let user = self.next_user();
        let (mut manifests, mut bytes) = (0, 0);
        let mut walk = ReferenceWalk::of_image(self.registry, self.repo);
        walk.from(digest, |reached| {
            let new = self.ledger.note(user, &reached.digest, reached.size);
            if new {
                manifests += u64::from(reached.is_manifest);
                bytes += reached.size;
            }
            new
        })?;
        self.unreadable += walk.unreadable;
        let group = TagGroup::Tags(tags);
        self.groups.push(TagUsage { group, digest: Some(digest), manifests, bytes, unique_bytes: 0 });
        Ok(())
    }

    fn next_user(&self) -> u32 {
        u32::try_from(self.groups.len()).unwrap_or(u32::MAX)
    }

    /// Adds what no tag leads to: manifests with what they need, and blobs that nothing names.
    fn add_rest(&mut self, sink: &mut dyn AnswerSink) -> Result<(), AdminError> {
        let view = self.registry.view();
        let mut untagged = Vec::new();
        let ledger = &self.ledger;
        pages(
            |last| view.manifests(self.repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, _)| {
                if !ledger.has(&digest) {
                    untagged.push(digest);
                }
                digest
            },
            sink,
        )?;
        self.add_group(TagGroup::Untagged, |usage, user, group| {
            let mut walk = ReferenceWalk::of_image(usage.registry, usage.repo);
            for digest in untagged {
                sink.check_wanted()?;
                walk.from(digest, |reached| {
                    let new = usage.ledger.note(user, &reached.digest, reached.size);
                    if new {
                        group.manifests += u64::from(reached.is_manifest);
                        group.bytes += reached.size;
                    }
                    new
                })?;
            }
            usage.unreadable += walk.unreadable;
            Ok(())
        })?;
        self.add_group(TagGroup::Unreferenced, |usage, user, group| {
            let ledger = &mut usage.ledger;
            pages(
                |last| view.links(usage.repo, last.as_ref(), ROWS_PER_STEP_MAX),
                |(digest, row)| {
                    // What is out of use is not stored.
                    if !ledger.has(&digest) && !matches!(view.blob(&digest), Ok(None)) {
                        ledger.note(user, &digest, row.size);
                        group.bytes += row.size;
                    }
                    digest
                },
                sink,
            )
        })
    }

    fn add_group(
        &mut self,
        group: TagGroup,
        add: impl FnOnce(&mut Self, u32, &mut TagUsage) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let user = self.next_user();
        let mut group = TagUsage { group, digest: None, manifests: 0, bytes: 0, unique_bytes: 0 };
        add(self, user, &mut group)?;
        self.groups.push(group);
        Ok(())
    }

    fn send(self, bytes: u64, sink: &mut dyn AnswerSink) -> Result<TagUsageTotals, AdminError> {
        let Self { ledger, mut groups, unreadable, .. } = self;
        let unique_bytes = ledger.unique_bytes(groups.len());
        for (group, unique) in groups.iter_mut().zip(unique_bytes) {
            group.unique_bytes = unique;
        }
        let rest = groups.split_off(groups.len().saturating_sub(2));
        groups.sort_by(|one, other| (other.bytes, one.digest).cmp(&(one.bytes, other.digest)));
        for group in groups.iter().chain(rest.iter().filter(|group| group.bytes > 0)) {
            send_item(sink, group)?;
        }
        Ok(TagUsageTotals { bytes, unique_bytes: ledger.own_bytes(), unreadable })
    }
}

/// Marks what other repositories have as well.
fn note_others(
    registry: &Registry,
    own: &RepoName,
    ledger: &mut Ledger,
    sink: &mut dyn AnswerSink,
) -> Result<(), AdminError> {
    let view = registry.view();
    let mut seen = 0;
    each_repository(view, |repo| {
        if &repo == own {
            return Ok(());
        }
        pages(
            |last| view.manifests(&repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, _)| {
                ledger.note_outsider(&digest);
                digest
            },
            sink,
        )?;
        pages(
            |last| view.links(&repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, _)| {
                ledger.note_outsider(&digest);
                digest
            },
            sink,
        )?;
        seen += 1;
        sink.progress("comparing with other repositories", seen, 0);
        Ok(())
    })
}
