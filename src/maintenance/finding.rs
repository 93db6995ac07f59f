//! What a check finds.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::meta::{MetaFault, MetaFaultKind};
use crate::registry::DamageState;
use crate::spec::ContentDigest;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A line or a file of the journal.
    Journal,
    /// A checkpoint.
    Checkpoint,
    /// The index.
    Index,
    /// Content that is missing.
    ContentMissing,
    /// Content that is longer or shorter than it was.
    ContentLength,
    /// Content whose bytes do not match its digest.
    ContentDigest,
    /// A link or a manifest whose content is not known.
    ContentUnknown,
    /// A link or a manifest whose content was found damaged and set aside.
    Quarantined,
    /// A manifest that references something its repository does not have.
    Reference,
    /// A manifest that cannot be read as one.
    Manifest,
    /// A tag that names no manifest.
    Tag,
    /// A referrer that is no manifest, or a manifest that should be a referrer.
    Referrer,
    /// A repository without content, or content of a repository without a row.
    Repository,
    /// An upload whose file is missing or too short.
    Upload,
    /// The policies that the store was last served with.
    Policies,
    /// A file that serves no purpose.
    Leftover,
    /// An index that lists a manifest which is not there.
    SparseIndex,
    /// Content that no repository has.
    Unlinked,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Journal => "journal",
            Self::Checkpoint => "checkpoint",
            Self::Index => "index",
            Self::ContentMissing => "content-missing",
            Self::ContentLength => "content-length",
            Self::ContentDigest => "content-digest",
            Self::ContentUnknown => "content-unknown",
            Self::Quarantined => "quarantined",
            Self::Reference => "reference",
            Self::Manifest => "manifest",
            Self::Tag => "tag",
            Self::Referrer => "referrer",
            Self::Repository => "repository",
            Self::Upload => "upload",
            Self::Policies => "policies",
            Self::Leftover => "leftover",
            Self::SparseIndex => "sparse-index",
            Self::Unlinked => "unlinked",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Where it is.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong, in words that follow the place.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} {}", self.kind, self.place, self.what)
    }
}

impl From<MetaFault> for Finding {
    fn from(MetaFault { kind, place, what }: MetaFault) -> Self {
        let kind = match kind {
            MetaFaultKind::Journal => Kind::Journal,
            MetaFaultKind::Checkpoint => Kind::Checkpoint,
            MetaFaultKind::Index => Kind::Index,
            MetaFaultKind::Leftover => Kind::Leftover,
        };
        Self { kind, place, what }
    }
}

/// How much was checked.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct CheckTotals {
    /// Transactions.
    pub transactions: u64,
    /// Repositories.
    pub repositories: u64,
    /// Manifests, counted in each repository that has them.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs' links to repositories.
    pub links: u64,
    /// Unfinished uploads.
    pub uploads: u64,
    /// Files of content.
    pub content: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// Bytes that were read and hashed.
    pub hashed_bytes: u64,
}

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// What is wrong. A sound store has none.
    pub findings: Vec<Finding>,
    /// What is worth knowing, and not wrong.
    pub notes: Vec<Finding>,
    /// How much was checked.
    pub totals: CheckTotals,
    /// The images that lead to content which is damaged or missing.
    pub damage: DamageState,
}

impl CheckReport {
    /// Keeps only what another check of the same store found as well.
    pub(super) fn keep_common(&mut self, other: &Self) {
        let is_in = |list: &[Finding], one: &Finding| {
            list.iter().any(|other| (other.kind, &other.place) == (one.kind, &one.place))
        };
        self.findings.retain(|finding| is_in(&other.findings, finding));
        self.notes.retain(|note| is_in(&other.notes, note));
    }

    /// Returns the content whose file was found to be wrong.
    pub(super) fn wrong(&self) -> BTreeSet<ContentDigest> {
        let of_files = |finding: &&Finding| {
            matches!(finding.kind, Kind::ContentMissing | Kind::ContentLength | Kind::ContentDigest)
        };
        self.findings.iter().filter(of_files).filter_map(|finding| finding.place.parse().ok()).collect()
    }

    pub(super) fn find(&mut self, kind: Kind, place: impl fmt::Display, what: impl Into<String>) {
        self.findings.push(Finding { kind, place: place.to_string(), what: what.into() });
    }

    pub(super) fn note(&mut self, kind: Kind, place: impl fmt::Display, what: impl Into<String>) {
        self.notes.push(Finding { kind, place: place.to_string(), what: what.into() });
    }
}
