//! The rules of noting pulls: at most once a day for each row and each run.

use std::collections::BTreeMap;

use crate::meta::index::{IndexError, View};
use crate::meta::model::{Fact, ManifestRow, Pull, TagRow};
use crate::meta::rules::decision::Stamp;
use crate::spec::{ContentDigest, RepoName, Tag};

/// The store time between two pulls that are noted of the same row in one run.
const NOTED_AGAIN_MIN_MS: u64 = 24 * 60 * 60 * 1000;

/// Returns the rows that note these pulls. What is gone, or noted a pull lately, has none.
pub(in crate::meta) fn pull_facts(
    view: View<'_>,
    now: Stamp,
    pulls: &[Pull],
) -> Result<Vec<Fact>, IndexError> {
    // A row that was pulled twice notes the later one.
    let mut manifests: BTreeMap<(&RepoName, &ContentDigest), u64> = BTreeMap::new();
    let mut tags: BTreeMap<(&RepoName, &Tag), u64> = BTreeMap::new();
    for Pull { repo, digest, tag, at_ms } in pulls {
        let last = manifests.entry((repo, digest)).or_default();
        *last = (*at_ms).max(*last);
        if let Some(tag) = tag {
            let last = tags.entry((repo, tag)).or_default();
            *last = (*at_ms).max(*last);
        }
    }
    let mut facts = Vec::new();
    for ((repo, digest), at_ms) in manifests {
        let row = view.manifest(repo, digest)?;
        let due = row.filter(|row| is_due(now, row.last_pull_ms(), at_ms));
        let row = due.map(|row: ManifestRow| row.pulled(at_ms));
        facts.extend(row.map(|row| Fact::Manifest { repo: repo.clone(), digest: *digest, row: Some(row) }));
    }
    for ((repo, tag), at_ms) in tags {
        let row = view.tag(repo, tag)?;
        let due = row.filter(|row| is_due(now, row.last_pull_ms(), at_ms));
        let row = due.map(|row: TagRow| row.pulled(at_ms));
        facts.extend(row.map(|row| Fact::Tag {
            repo: repo.clone(),
            tag: tag.clone(),
            row: Some(row),
            was: None,
        }));
    }
    Ok(facts)
}

/// Tells whether a pull is noted. If an earlier run noted the last one, a downtime may have followed.
fn is_due(now: Stamp, noted_ms: Option<u64>, at_ms: u64) -> bool {
    let again = |noted_ms| noted_ms < now.began || at_ms >= noted_ms + NOTED_AGAIN_MIN_MS;
    noted_ms.is_none_or(again)
}
