//! What a store is asked.

use serde::{Deserialize, Serialize};

use crate::meta::Tree;
use crate::spec::{Digest, RepoName, Tag};

/// What a store is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// How the store and its server are.
    Status,
    /// Which repositories there are.
    Repos,
    /// Which tags a repository has.
    Tags {
        /// The repository.
        repo: RepoName,
    },
    /// Who uses the space: the repositories, or the tags of one.
    Du {
        /// The repository, for its tags.
        repo: Option<RepoName>,
    },
    /// Read everything, at full speed, and hold it against its digest.
    Scrub,
    /// Take away what nobody needs, or say what that would be.
    Gc {
        /// Whether nothing is taken away.
        dry_run: bool,
        /// Untagged manifests that are older than so many seconds go, too.
        untagged_older_than: Option<u64>,
        /// Whether what is younger than the grace time goes, too.
        #[serde(default)]
        now: bool,
    },
    /// All rows of a tree of the index, for a check.
    Rows {
        /// The tree.
        tree: Tree,
    },
    /// Remove something.
    Rm {
        /// The repository it is in.
        repo: RepoName,
        /// What to remove of it.
        what: Removal,
    },
}

/// What to remove of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Removal {
    /// A tag, and what it named, unless something else needs that.
    Tag(Tag),
    /// A manifest with all its tags.
    Manifest(Digest),
    /// Everything.
    All,
}
