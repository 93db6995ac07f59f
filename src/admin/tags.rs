//! Listing tags.

mod untagged;

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::pages::ROWS_PER_STEP_MAX;
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::registry::{Registry, RegistryError};
use crate::spec::{ContentDigest, RepoName, Tag};

pub(crate) use untagged::{UntaggedEntry, UntaggedRequest};

/// Asks for the tags of a repository in the order of their names, and for their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagsRequest {
    /// The repository.
    pub(crate) repo: RepoName,
}

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagEntry {
    /// The tag.
    pub(crate) tag: Tag,
    /// The manifest that it names.
    pub(crate) digest: ContentDigest,
    /// That manifest's media type.
    pub(crate) media_type: String,
    /// The bytes that a client pulls at most: those of the manifest, of the blobs it names, and of all that
    /// an index lists.
    pub(crate) bytes: u64,
    /// How long ago it was set last, in seconds.
    pub(crate) set_seconds: u64,
    /// How long ago it was pulled last, to the day, in seconds; none if no pull was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pulled_seconds: Option<u64>,
}

impl Ask for TagsRequest {
    type Item = TagEntry;
    type Report = u64;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
        tags(&store.registry, &self.repo, sink)
    }
}

fn tags(registry: &Registry, repo: &RepoName, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
    let view = registry.view();
    let upkeep = registry.upkeep();
    let ages = upkeep.clock().ages();
    let seconds = |noted_ms| ages.of(noted_ms) / 1000;
    let pending = upkeep.pending_pulls(repo);
    view.repository(repo)?.ok_or_else(|| RegistryError::NameUnknown(repo.clone()))?;
    let (mut count, mut last) = (0, None::<Tag>);
    loop {
        let page = view.tags(repo, last.as_ref().map(Tag::as_str), ROWS_PER_STEP_MAX)?;
        let at_end = page.len() < ROWS_PER_STEP_MAX;
        for tag in page {
            // A tag or a manifest that was deleted meanwhile is not listed.
            if let Some(row) = view.tag(repo, &tag)?
                && let Some(manifest) = view.manifest(repo, &row.digest)?
            {
                let bytes = registry.pulled_bytes(repo, row.digest)?;
                let (digest, media_type) = (row.digest, manifest.media_type.to_string());
                let waiting = pending.iter().filter(|pull| pull.tag.as_ref() == Some(&tag));
                let pulled = waiting.map(|pull| pull.at_ms).max().max(row.last_pull_ms());
                let (set_seconds, pulled_seconds) = (seconds(row.noted), pulled.map(seconds));
                let tag = tag.clone();
                send_item(sink, &TagEntry { tag, digest, media_type, bytes, set_seconds, pulled_seconds })?;
                count += 1;
            }
            last = Some(tag);
        }
        sink.progress("listing tags", count, 0);
        if at_end {
            return Ok(count);
        }
    }
}
