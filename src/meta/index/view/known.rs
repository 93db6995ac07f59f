//! What a repository has of many digests.

use std::collections::HashSet;

use super::{View, text_of};
use crate::meta::index::contract::IndexError;
use crate::meta::model::{Tree, key, last_part, prefix};
use crate::spec::{ContentDigest, RepoName};

/// From how many digests on the rows of a repository are read to find them.
const SCANNED_FOR_MIN: usize = 256;

/// How many rows of a scan take as long as looking for one.
const ROWS_PER_LOOK: usize = 4;

impl View<'_> {
    /// Returns those of some digests that a repository has, as blobs or as manifests, damaged or not.
    ///
    /// Where there are many digests, it reads the rows of the repository instead of looking for each, unless
    /// these are far more.
    pub fn known_among(
        &self,
        repo: &RepoName,
        digests: &[ContentDigest],
    ) -> Result<Vec<ContentDigest>, IndexError> {
        let mut known = HashSet::new();
        for tree in [Tree::Links, Tree::Manifests] {
            if digests.len() >= SCANNED_FOR_MIN && self.find_in_rows(tree, repo, digests, &mut known)? {
                continue;
            }
            for digest in digests {
                if self.index.get(tree, &key(&[repo.as_str(), &digest.to_string()]))?.is_some() {
                    known.insert(*digest);
                }
            }
        }
        Ok(digests.iter().filter(|digest| known.contains(digest)).copied().collect())
    }

    /// Adds the digests that a repository's rows have, and returns whether all rows were read.
    fn find_in_rows(
        &self,
        tree: Tree,
        repo: &RepoName,
        digests: &[ContentDigest],
        known: &mut HashSet<ContentDigest>,
    ) -> Result<bool, IndexError> {
        let wanted: HashSet<&ContentDigest> = digests.iter().collect();
        let (most, mut read) = (digests.len().saturating_mul(ROWS_PER_LOOK), 0);
        self.found(tree, &prefix(&[repo.as_str()]), None, most, |key, _| {
            read += 1;
            let digest = text_of(tree, last_part(key))?;
            if wanted.contains(&digest) {
                known.insert(digest);
            }
            Ok(Some(()))
        })?;
        Ok(read < most)
    }
}
