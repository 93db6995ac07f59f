//! Listing the manifests that no tag names.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::pages::{ROWS_PER_STEP_MAX, pages};
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::meta::ManifestRow;
use crate::registry::{Registry, RegistryError};
use crate::spec::{ContentDigest, Digest, RepoName};

/// Asks for the manifests of a repository that no tag names, in the order of their digests, and for their
/// number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UntaggedRequest {
    /// The repository.
    pub(crate) repo: RepoName,
}

/// A manifest that no tag names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UntaggedEntry {
    /// Its digest.
    pub(crate) digest: ContentDigest,
    /// Its media type.
    pub(crate) media_type: String,
    /// The bytes that a client pulls at most.
    pub(crate) bytes: u64,
    /// For how many milliseconds no tag has named it.
    pub(crate) age_ms: u64,
    /// The indexes that list it.
    pub(crate) listed_by: Vec<ContentDigest>,
    /// Its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refers_to: Option<Digest>,
    /// Whether it has referrers, such as signatures.
    pub(crate) has_referrers: bool,
}

impl Ask for UntaggedRequest {
    type Item = UntaggedEntry;
    type Report = u64;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
        untagged(&store.registry, &self.repo, sink)
    }
}

fn untagged(registry: &Registry, repo: &RepoName, sink: &mut dyn AnswerSink) -> Result<u64, AdminError> {
    let view = registry.view();
    view.repository(repo)?.ok_or_else(|| RegistryError::NameUnknown(repo.clone()))?;
    let listing = listing(registry, repo, sink)?;
    let ages = registry.upkeep().clock().ages();
    let (mut count, mut last) = (0, None);
    loop {
        let page = view.manifests(repo, last.as_ref(), ROWS_PER_STEP_MAX)?;
        let at_end = page.len() < ROWS_PER_STEP_MAX;
        last = page.last().map(|(digest, _)| *digest);
        for (digest, row) in page {
            if !view.tags_of(repo, &digest, 1)?.is_empty() {
                continue;
            }
            let entry = UntaggedEntry {
                digest,
                bytes: registry.pulled_bytes(repo, digest)?,
                age_ms: ages.of(row.noted),
                listed_by: listing.get(&digest).cloned().unwrap_or_default(),
                has_referrers: !view.referrers(repo, &digest.into(), None, 1)?.is_empty(),
                media_type: row.media_type.to_string(),
                refers_to: row.subject,
            };
            send_item(sink, &entry)?;
            count += 1;
        }
        sink.progress("listing untagged manifests", count, 0);
        sink.check_wanted()?;
        if at_end {
            return Ok(count);
        }
    }
}

/// Returns for each listed manifest the indexes that list it.
fn listing(
    registry: &Registry,
    repo: &RepoName,
    sink: &mut dyn AnswerSink,
) -> Result<HashMap<ContentDigest, Vec<ContentDigest>>, AdminError> {
    let mut listing: HashMap<ContentDigest, Vec<ContentDigest>> = HashMap::new();
    let view = registry.view();
    pages(
        |last| view.manifests(repo, last.as_ref(), ROWS_PER_STEP_MAX),
        |(digest, row): (ContentDigest, ManifestRow)| {
            if !row.is_image()
                && let Some(index) = registry.read_manifest(digest, &row)
            {
                index.kept_children().for_each(|child| listing.entry(child).or_default().push(digest));
            }
            digest
        },
        sink,
    )?;
    Ok(listing)
}
