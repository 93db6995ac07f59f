//! What became of tags.

use super::View;
use crate::meta::index::contract::IndexError;
use crate::meta::index::row_fact::fact_of;
use crate::meta::model::{Fact, HistoryRow, Tree, key, order_part, prefix};
use crate::spec::{RepoName, Tag};

/// What became of a tag, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// The key of its row.
    pub key: Vec<u8>,
    /// The repository.
    pub repo: RepoName,
    /// The tag.
    pub tag: Tag,
    /// Its place in the order of all changes of tags.
    pub order: u64,
    /// The change.
    pub row: HistoryRow,
}

impl View<'_> {
    /// Tells whether the history has a change of a tag.
    pub fn has_tag_change(&self, repo: &RepoName, tag: &Tag, order: u64) -> Result<bool, IndexError> {
        let key = key(&[repo.as_str(), tag.as_str(), &order_part(order)]);
        Ok(self.index.get(Tree::History, &key)?.is_some())
    }

    /// Returns up to `limit` changes of the tags of a repository, or of all, after the key `after`: for each
    /// tag the oldest first.
    pub fn tag_changes(
        &self,
        repo: Option<&RepoName>,
        tag: Option<&Tag>,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<TagChange>, IndexError> {
        let prefix = match (repo, tag) {
            (Some(repo), Some(tag)) => prefix(&[repo.as_str(), tag.as_str()]),
            (Some(repo), None) => prefix(&[repo.as_str()]),
            (None, _) => Vec::new(),
        };
        self.found(Tree::History, &prefix, after, limit, |key, value| {
            Ok(match fact_of(Tree::History, key, value)? {
                Some(Fact::History { repo, tag, order, row: Some(row) }) => {
                    Some(TagChange { key: key.to_vec(), repo, tag, order, row })
                }
                _ => None,
            })
        })
    }
}
