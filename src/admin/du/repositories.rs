//! Who uses the space: the repositories.

use crate::admin::du::ledger::Ledger;
use crate::admin::failure::Failure;
use crate::admin::report::{RepositoryUsage, StoreUsage};
use crate::admin::sink::{Sink, send_item};
use crate::meta::{IndexError, View};
use crate::registry::Registry;
use crate::spec::{ContentDigest, RepoName};

/// How many rows are read before others get their turn.
pub(in crate::admin) const ROWS_PER_STEP_MAX: usize = 256;

/// Sends what each repository has, the largest first, and returns the sum.
pub(in crate::admin) fn repositories(
    registry: &Registry,
    sink: &mut dyn Sink,
) -> Result<StoreUsage, Failure> {
    let Survey { mut repositories, totals } = survey(registry, sink)?;
    repositories.sort_by(|one, other| (other.bytes, &one.repository).cmp(&(one.bytes, &other.repository)));
    for repository in &repositories {
        send_item(sink, repository)?;
    }
    Ok(totals)
}

/// What all repositories have.
pub(in crate::admin) struct Survey {
    pub(in crate::admin) repositories: Vec<RepositoryUsage>,
    pub(in crate::admin) totals: StoreUsage,
}

/// Looks through all repositories.
pub(in crate::admin) fn survey(registry: &Registry, sink: &mut dyn Sink) -> Result<Survey, Failure> {
    let view = registry.view();
    let mut ledger = Ledger::default();
    let mut repositories = Vec::new();
    let mut seen = 0;
    each_repository(view, |repo| {
        let user = u32::try_from(repositories.len()).unwrap_or(u32::MAX);
        let mut bytes = 0;
        let mut note = |digest: &ContentDigest, size: u64| {
            seen += 1;
            if ledger.note(user, digest, size) {
                bytes += size;
            }
        };
        let (mut manifests, mut blobs) = (0, 0);
        pages(
            |last| view.manifests(&repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, row)| {
                manifests += 1;
                note(&digest, row.size);
                digest
            },
            sink,
        )?;
        pages(
            |last| view.links(&repo, last.as_ref(), ROWS_PER_STEP_MAX),
            |(digest, row)| {
                blobs += 1;
                note(&digest, row.size);
                digest
            },
            sink,
        )?;
        let tags = count_tags(view, &repo)?;
        sink.progress("looking at what repositories have", seen, 0);
        repositories.push(RepositoryUsage {
            repository: repo,
            tags,
            manifests,
            blobs,
            bytes,
            unique_bytes: None,
        });
        Ok(())
    })?;
    let unique = ledger.unique_bytes(repositories.len());
    let mut totals = StoreUsage { distinct_bytes: ledger.distinct_bytes(), ..StoreUsage::default() };
    for (repository, unique) in repositories.iter_mut().zip(unique) {
        repository.unique_bytes = Some(unique);
        totals.repositories += 1;
        totals.tags += repository.tags;
        totals.manifests += repository.manifests;
        totals.blobs += repository.blobs;
        totals.bytes += repository.bytes;
    }
    Ok(Survey { repositories, totals })
}

/// Visits all repositories, in the order of their names.
pub(in crate::admin) fn each_repository(
    view: View<'_>,
    mut visit: impl FnMut(RepoName) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut last: Option<RepoName> = None;
    loop {
        let after = last.as_ref().map(RepoName::as_str);
        let page = view.repositories(after, ROWS_PER_STEP_MAX, |_| Ok(true))?;
        last = page.last().cloned();
        let at_end = page.len() < ROWS_PER_STEP_MAX;
        page.into_iter().try_for_each(&mut visit)?;
        if at_end {
            return Ok(());
        }
    }
}

/// Visits rows page by page; `visit` returns what the next page begins behind.
pub(in crate::admin) fn pages<T, K>(
    mut page_behind: impl FnMut(Option<K>) -> Result<Vec<T>, IndexError>,
    mut visit: impl FnMut(T) -> K,
    sink: &dyn Sink,
) -> Result<(), Failure> {
    let mut last = None;
    loop {
        sink.check_wanted()?;
        let page = page_behind(last.take())?;
        let at_end = page.len() < ROWS_PER_STEP_MAX;
        for row in page {
            last = Some(visit(row));
        }
        if at_end {
            return Ok(());
        }
    }
}

/// Counts the tags of a repository.
pub(in crate::admin) fn count_tags(view: View<'_>, repo: &RepoName) -> Result<u64, IndexError> {
    let mut count = 0;
    let mut last: Option<String> = None;
    loop {
        let page = view.tags(repo, last.as_deref(), ROWS_PER_STEP_MAX)?;
        count += page.len() as u64;
        if page.len() < ROWS_PER_STEP_MAX {
            return Ok(count);
        }
        last = page.last().map(ToString::to_string);
    }
}
