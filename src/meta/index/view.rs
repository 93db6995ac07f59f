//! Typed reads of an index.

mod history;
mod known;

pub use history::TagChange;

use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use crate::meta::index::contract::{IndexError, RowReader};
use crate::meta::index::row_fact::fact_of;
use crate::meta::model::{
    BlobRow, Fact, LinkRow, ManifestRow, RepositoryRow, TagRow, Tree, UploadId, UploadRow, key, last_part,
    prefix,
};
use crate::spec::{ContentDigest, Digest, RepoName, Tag};

/// The key and the value of a row, as they are stored.
pub type RawRow = (Vec<u8>, Vec<u8>);

/// Typed access to the rows of an index.
#[derive(Clone, Copy)]
pub struct View<'a> {
    index: &'a dyn RowReader,
    /// How often the index had been replaced before anything was read.
    replacements: u64,
}

impl<'a> View<'a> {
    /// Wraps an index.
    pub fn new(index: &'a dyn RowReader) -> Self {
        Self { index, replacements: index.replacements() }
    }

    /// Returns a repository's row.
    pub fn repository(&self, repo: &RepoName) -> Result<Option<RepositoryRow>, IndexError> {
        self.row(Tree::Repositories, &[repo.as_str()])
    }

    /// Returns a manifest's row.
    pub fn manifest(
        &self,
        repo: &RepoName,
        digest: &ContentDigest,
    ) -> Result<Option<ManifestRow>, IndexError> {
        self.row(Tree::Manifests, &[repo.as_str(), &digest.to_string()])
    }

    /// Returns a tag's row.
    pub fn tag(&self, repo: &RepoName, tag: &Tag) -> Result<Option<TagRow>, IndexError> {
        self.row(Tree::Tags, &[repo.as_str(), tag.as_str()])
    }

    /// Returns the row of a blob's presence in a repository.
    pub fn link(&self, repo: &RepoName, digest: &ContentDigest) -> Result<Option<LinkRow>, IndexError> {
        self.row(Tree::Links, &[repo.as_str(), &digest.to_string()])
    }

    /// Returns the row of content in the store.
    pub fn blob(&self, digest: &ContentDigest) -> Result<Option<BlobRow>, IndexError> {
        self.row(Tree::Blobs, &[&digest.to_string()])
    }

    /// Returns the row of a blob's presence in a repository, unless its content was found damaged or missing.
    pub fn whole_link(&self, repo: &RepoName, digest: &ContentDigest) -> Result<Option<LinkRow>, IndexError> {
        let Some(row) = self.link(repo, digest)? else { return Ok(None) };
        Ok(self.has_content(digest)?.then_some(row))
    }

    /// Returns a manifest's row, unless its content was found damaged or missing.
    pub fn whole_manifest(
        &self,
        repo: &RepoName,
        digest: &ContentDigest,
    ) -> Result<Option<ManifestRow>, IndexError> {
        let Some(row) = self.manifest(repo, digest)? else { return Ok(None) };
        Ok(self.has_content(digest)?.then_some(row))
    }

    fn has_content(&self, digest: &ContentDigest) -> Result<bool, IndexError> {
        Ok(self.index.get(Tree::Blobs, &key(&[&digest.to_string()]))?.is_some())
    }

    /// Returns an upload session's row.
    pub fn upload(&self, id: UploadId) -> Result<Option<UploadRow>, IndexError> {
        self.row(Tree::Uploads, &[&id.to_string()])
    }

    /// Tells whether a repository has any manifest.
    pub fn has_manifests(&self, repo: &RepoName) -> Result<bool, IndexError> {
        self.any_but(Tree::Manifests, &[repo.as_str()], None)
    }

    /// Tells whether a repository has any manifest or blob.
    pub fn has_anything(&self, repo: &RepoName) -> Result<bool, IndexError> {
        let has = |tree| self.any_but(tree, &[repo.as_str()], None);
        Ok(has(Tree::Manifests)? || has(Tree::Links)?)
    }

    /// Tells whether a manifest is listed as a referrer of a subject.
    pub fn has_referrer(
        &self,
        repo: &RepoName,
        subject: &Digest,
        digest: &ContentDigest,
    ) -> Result<bool, IndexError> {
        let key = key(&[repo.as_str(), subject.as_str(), &digest.to_string()]);
        Ok(self.index.get(Tree::Referrers, &key)?.is_some())
    }

    /// Returns up to `limit` rows of a tree, as they are stored, after a key.
    pub fn raw_rows(
        &self,
        tree: Tree,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<RawRow>, IndexError> {
        self.found(tree, &[], after, limit, |key, value| Ok(Some((key.to_vec(), value.to_vec()))))
    }

    /// Visits the facts of a tree's rows. A tree whose rows follow from other trees has no facts.
    pub fn each_fact(&self, tree: Tree, mut visit: impl FnMut(Fact)) -> Result<(), IndexError> {
        self.visit(tree, |key, value| {
            fact_of(tree, key, value)?.into_iter().for_each(&mut visit);
            Ok(())
        })
    }

    /// Visits all rows of a tree, as they are stored.
    pub(in crate::meta) fn each_row(
        &self,
        tree: Tree,
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        self.visit(tree, visit)
    }

    /// Tells whether a repository would have anything left without this manifest or link.
    pub fn has_more_than(
        &self,
        repo: &RepoName,
        digest: &ContentDigest,
        tree: Tree,
    ) -> Result<bool, IndexError> {
        let without = key(&[repo.as_str(), &digest.to_string()]);
        for other in [Tree::Manifests, Tree::Links] {
            let without = (other == tree).then_some(without.as_slice());
            if self.any_but(other, &[repo.as_str()], without)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns up to `limit` tags of a repository after `last`, in the order of their bytes.
    pub fn tags(&self, repo: &RepoName, last: Option<&str>, limit: usize) -> Result<Vec<Tag>, IndexError> {
        self.names(Tree::Tags, &[repo.as_str()], last, limit)
    }

    /// Returns up to `limit` tags of a repository after `last`, with their rows.
    pub fn tag_rows(
        &self,
        repo: &RepoName,
        last: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<(Tag, TagRow)>, IndexError> {
        self.rows(Tree::Tags, repo, last.map(Tag::as_str), limit)
    }

    /// Returns up to `limit` manifests of a repository after `last`, in the order of their digests.
    pub fn manifests(
        &self,
        repo: &RepoName,
        last: Option<&ContentDigest>,
        limit: usize,
    ) -> Result<Vec<(ContentDigest, ManifestRow)>, IndexError> {
        self.rows(Tree::Manifests, repo, last.map(ToString::to_string).as_deref(), limit)
    }

    /// Returns up to `limit` links of a repository after `last`, in the order of their digests.
    pub fn links(
        &self,
        repo: &RepoName,
        last: Option<&ContentDigest>,
        limit: usize,
    ) -> Result<Vec<(ContentDigest, LinkRow)>, IndexError> {
        self.rows(Tree::Links, repo, last.map(ToString::to_string).as_deref(), limit)
    }

    /// Returns up to `limit` rows of content after `last`, in the order of their digests.
    pub fn content(
        &self,
        last: Option<&ContentDigest>,
        limit: usize,
    ) -> Result<Vec<(ContentDigest, BlobRow)>, IndexError> {
        let after = last.map(|last| last.to_string().into_bytes());
        self.page(Tree::Blobs, &[], after.as_deref(), limit)
    }

    /// Returns up to `limit` rows of a tree whose keys end in a digest, after the key `after`: their keys and
    /// digests.
    pub fn digests(
        &self,
        tree: Tree,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, ContentDigest)>, IndexError> {
        self.found(tree, &[], after, limit, |key, _| Ok(Some((key.to_vec(), text_of(tree, last_part(key))?))))
    }

    fn rows<K, R>(
        &self,
        tree: Tree,
        repo: &RepoName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(K, R)>, IndexError>
    where
        K: std::str::FromStr<Err: std::fmt::Display>,
        R: DeserializeOwned,
    {
        let prefix = prefix(&[repo.as_str()]);
        let after = last.map(|last| [prefix.as_slice(), last.as_bytes()].concat());
        self.page(tree, &prefix, after.as_deref(), limit)
    }

    fn page<K, R>(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(K, R)>, IndexError>
    where
        K: std::str::FromStr<Err: std::fmt::Display>,
        R: DeserializeOwned,
    {
        self.found(tree, prefix, after, limit, |key, value| {
            Ok(Some((text_of(tree, last_part(key))?, parse(tree, value)?)))
        })
    }

    /// Tells whether a repository would have anything left without these manifests and links.
    pub fn has_more_than_all(
        &self,
        repo: &RepoName,
        manifests: &[ContentDigest],
        links: &[ContentDigest],
    ) -> Result<bool, IndexError> {
        for (tree, without) in [(Tree::Manifests, manifests), (Tree::Links, links)] {
            let without: Vec<String> = without.iter().map(ToString::to_string).collect();
            let mut found = false;
            self.index.scan(tree, &prefix(&[repo.as_str()]), None, &mut |key, _| {
                found = !without.iter().any(|digest| digest.as_bytes() == last_part(key));
                if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns up to `limit` tags that name a manifest.
    pub fn tags_of(
        &self,
        repo: &RepoName,
        digest: &ContentDigest,
        limit: usize,
    ) -> Result<Vec<Tag>, IndexError> {
        self.tags_of_after(repo, digest, None, limit)
    }

    /// Returns up to `limit` tags after `last` that name a manifest.
    pub fn tags_of_after(
        &self,
        repo: &RepoName,
        digest: &ContentDigest,
        last: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, IndexError> {
        let parts = [repo.as_str(), &digest.to_string()];
        self.names(Tree::Tagged, &parts, last.map(Tag::as_str), limit)
    }

    /// Returns up to `limit` repositories after `last` for which `wanted` returns true, in the order of their
    /// bytes.
    pub fn repositories(
        &self,
        last: Option<&str>,
        limit: usize,
        mut wanted: impl FnMut(&RepoName) -> Result<bool, IndexError>,
    ) -> Result<Vec<RepoName>, IndexError> {
        self.found(Tree::Repositories, &[], last.map(str::as_bytes), limit, |key, _| {
            let repo = text_of::<RepoName>(Tree::Repositories, key)?;
            Ok(wanted(&repo)?.then_some(repo))
        })
    }

    /// Returns up to `limit` referrers of a subject after `last`, in the order of their digests.
    pub fn referrers(
        &self,
        repo: &RepoName,
        subject: &Digest,
        last: Option<&ContentDigest>,
        limit: usize,
    ) -> Result<Vec<ContentDigest>, IndexError> {
        let last = last.map(ToString::to_string);
        self.names(Tree::Referrers, &[repo.as_str(), subject.as_str()], last.as_deref(), limit)
    }

    /// Visits every upload session.
    pub fn uploads(&self, visit: impl FnMut(UploadId, UploadRow)) -> Result<(), IndexError> {
        self.each(Tree::Uploads, visit)
    }

    /// Visits all content in the store.
    pub fn blobs(&self, visit: impl FnMut(ContentDigest, BlobRow)) -> Result<(), IndexError> {
        self.each(Tree::Blobs, visit)
    }

    /// Visits all rows of a tree whose keys have one part.
    fn each<K, R>(&self, tree: Tree, mut visit: impl FnMut(K, R)) -> Result<(), IndexError>
    where
        K: std::str::FromStr<Err: std::fmt::Display>,
        R: DeserializeOwned,
    {
        self.visit(tree, |key, value| {
            visit(text_of(tree, key)?, parse(tree, value)?);
            Ok(())
        })
    }

    /// Visits all rows of a tree, and stops at the first error.
    fn visit(
        &self,
        tree: Tree,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let visited = self.found(tree, &[], None, usize::MAX, |key, value| visit(key, value).map(|()| None));
        visited.map(|_: Vec<()>| ())
    }

    /// Returns up to `limit` results of `read` for the rows after `after` whose keys begin with `prefix`.
    fn found<T>(
        &self,
        tree: Tree,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        mut read: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, IndexError>,
    ) -> Result<Vec<T>, IndexError> {
        let mut found = Vec::new();
        let mut failed = None;
        if limit == 0 {
            return Ok(found);
        }
        self.index.scan(tree, prefix, after, &mut |key, value| {
            match read(key, value) {
                Ok(row) => found.extend(row),
                Err(error) => failed = Some(error),
            }
            if failed.is_some() || found.len() >= limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        failed.map_or(Ok(found), |error| Err(self.noticed(error)))
    }

    /// Reports a row that cannot be read to the index.
    fn noticed(&self, error: IndexError) -> IndexError {
        match error {
            error @ IndexError::Row { .. } => self.index.unreadable(error, self.replacements),
            other => other,
        }
    }

    fn row<R: DeserializeOwned>(&self, tree: Tree, parts: &[&str]) -> Result<Option<R>, IndexError> {
        let value = self.index.get(tree, &key(parts))?;
        value.map(|value| parse(tree, &value).map_err(|error| self.noticed(error))).transpose()
    }

    fn any_but(&self, tree: Tree, parts: &[&str], without: Option<&[u8]>) -> Result<bool, IndexError> {
        let mut found = false;
        self.index.scan(tree, &prefix(parts), None, &mut |key, _| {
            found = Some(key) != without;
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    fn names<N: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        tree: Tree,
        parts: &[&str],
        last: Option<&str>,
        limit: usize,
    ) -> Result<Vec<N>, IndexError> {
        let prefix = prefix(parts);
        let after = last.map(|last| [prefix.as_slice(), last.as_bytes()].concat());
        self.found(tree, &prefix, after.as_deref(), limit, |key, _| Ok(Some(text_of(tree, last_part(key))?)))
    }
}

fn parse<R: DeserializeOwned>(tree: Tree, value: &[u8]) -> Result<R, IndexError> {
    serde_json::from_slice(value)
        .map_err(|error| IndexError::Row { tree: tree.name(), reason: error.to_string() })
}

fn text_of<N: std::str::FromStr<Err: std::fmt::Display>>(tree: Tree, bytes: &[u8]) -> Result<N, IndexError> {
    let damaged = |reason: String| IndexError::Row { tree: tree.name(), reason };
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    text.parse::<N>().map_err(|error| damaged(error.to_string()))
}
