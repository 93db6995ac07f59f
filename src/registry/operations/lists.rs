//! Listing tags, repositories and referrers.

use std::sync::Arc;

use crate::meta::ManifestRow;
use crate::registry::error::RegistryError;
use crate::registry::types::{Listing, Page, Referrers, ReferrersPage};
use crate::registry::{Inner, Registry};
use crate::spec::{ContentDigest, Digest, Manifest, Referrer, RepoName, Tag, json_length};

/// The most bytes in a page of referrers. Clients treat it as a manifest: some reject a longer one, and
/// others never ask for a second page.
const REFERRERS_SIZE_MAX_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;

/// How many referrers are read before the task yields.
const REFERRERS_STEP_MAX: usize = 256;

/// How many bytes of manifests are read for a page of referrers before the list continues in the next page.
const REFERRERS_READ_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How many names are listed on the caller's thread: longer lists would delay other requests.
const LISTED_INLINE_MAX: usize = 256;

impl Registry {
    /// Lists the tags of a repository, in the order of their bytes (the specification's "Listing Tags").
    pub async fn tags(&self, repo: &RepoName, page: &Page) -> Result<Listing<Tag>, RegistryError> {
        if page.limit <= LISTED_INLINE_MAX {
            return self.inner.tags(repo, page);
        }
        let (inner, repo, page) = (Arc::clone(&self.inner), repo.clone(), page.clone());
        self.inner.permits.read(move || inner.tags(&repo, &page)).await
    }

    /// Lists the repositories that have a manifest, in the order of their bytes.
    pub async fn repositories(&self, page: &Page) -> Result<Listing<RepoName>, RegistryError> {
        // Even a short page may have to skip many repositories without a manifest.
        let (inner, page) = (Arc::clone(&self.inner), page.clone());
        self.inner.permits.read(move || inner.repositories(&page)).await
    }

    /// Lists what refers to a subject, whether or not the subject exists (the specification's "Listing
    /// Referrers").
    pub async fn referrers(
        &self,
        repo: &RepoName,
        subject: &Digest,
        page: &ReferrersPage,
    ) -> Result<Referrers, RegistryError> {
        self.referrers_within(repo, subject, page, REFERRERS_SIZE_MAX_BYTES).await
    }

    /// Lists what refers to a subject, in a page of at most `size_max_bytes`, unless its first item alone is
    /// longer.
    ///
    /// With less than the usual `size_max_bytes`, a manifest that might be longer than that is not read: then
    /// nothing may be listed, and `next` is the manifest's own digest.
    pub(crate) async fn referrers_within(
        &self,
        repo: &RepoName,
        subject: &Digest,
        page: &ReferrersPage,
        size_max_bytes: usize,
    ) -> Result<Referrers, RegistryError> {
        let mut items: Vec<Referrer> = Vec::new();
        let (mut size, mut read) = (0, 0);
        let mut last = page.last;
        loop {
            let step = self.inner.meta.view().referrers(repo, subject, last.as_ref(), REFERRERS_STEP_MAX)?;
            let at_end = step.len() < REFERRERS_STEP_MAX;
            for digest in step {
                last = Some(digest);
                let Some(row) = self.inner.meta.view().manifest(repo, &digest)? else { continue };
                if !page.wants(row.artifact_type.as_deref()) {
                    continue;
                }
                let referrer = match row.referrer(digest) {
                    Some(referrer) => referrer,
                    None if read > REFERRERS_READ_MAX_BYTES => {
                        let next = items.last().map(|item| item.digest);
                        return Ok(Referrers { items, next });
                    }
                    None if size_max_bytes < REFERRERS_SIZE_MAX_BYTES && row.size > size_max_bytes as u64 => {
                        return Ok(Referrers { items, next: Some(digest) });
                    }
                    None => {
                        read += row.size;
                        self.read_referrer(digest, row).await?
                    }
                };
                // A comma stands between two of them.
                size += json_length(&referrer) + 1;
                if size > size_max_bytes && !items.is_empty() {
                    let next = items.last().map(|item| item.digest);
                    return Ok(Referrers { items, next });
                }
                items.push(referrer);
            }
            if at_end {
                return Ok(Referrers { items, next: None });
            }
            smol::future::yield_now().await;
        }
    }

    /// Reads a referrer's descriptor from the manifest, for a row that is too short to hold it.
    async fn read_referrer(
        &self,
        digest: ContentDigest,
        row: ManifestRow,
    ) -> Result<Referrer, RegistryError> {
        let registry = self.clone();
        let read = move || {
            let bytes = registry.manifest_bytes_now(digest)?;
            Ok(Manifest::parse(&bytes, Some(&row.media_type))?.referrer(&bytes, digest)?)
        };
        self.inner.permits.manifest(read).await
    }
}

impl Inner {
    fn tags(&self, repo: &RepoName, page: &Page) -> Result<Listing<Tag>, RegistryError> {
        let view = self.meta.view();
        view.repository(repo)?.ok_or_else(|| RegistryError::NameUnknown(repo.clone()))?;
        let items = view.tags(repo, page.last.as_deref(), page.limit.saturating_add(1))?;
        Ok(Listing::of(items, page.limit))
    }

    fn repositories(&self, page: &Page) -> Result<Listing<RepoName>, RegistryError> {
        let view = self.meta.view();
        let limit = page.limit.saturating_add(1);
        let items = view.repositories(page.last.as_deref(), limit, |repo| view.has_manifests(repo))?;
        Ok(Listing::of(items, page.limit))
    }
}

impl ReferrersPage {
    fn wants(&self, artifact_type: Option<&str>) -> bool {
        let actual = artifact_type.unwrap_or_default();
        self.artifact_types.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted == actual))
    }
}

impl<T> Listing<T> {
    /// Makes a list of at most `limit` items; an item beyond the limit shows that more follow.
    fn of(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        // A client that asks for no items gets no next page.
        Self { items, more: more && limit > 0 }
    }
}
