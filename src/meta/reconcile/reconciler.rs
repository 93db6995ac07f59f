//! Making an index and the content of a store agree.

use std::collections::HashSet;

use crate::blobs::ContentStore;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, View};
use crate::meta::model::{Fact, Optional, RepositoryRow};
use crate::meta::reconcile::report::{Action, Report};
use crate::spec::{ContentDigest, RepoName};

/// Takes facts, and applies them to the index before it returns.
pub(in crate::meta) trait FactSink {
    /// Applies the facts.
    fn take(&mut self, facts: Vec<Fact>) -> Result<(), MetaOpenError>;
}

/// Makes an index and the content of a store agree.
pub(in crate::meta) struct Reconciler<'a> {
    pub(super) index: &'a dyn Index,
    pub(super) blobs: &'a dyn ContentStore,
    pub(super) sink: &'a mut dyn FactSink,
    /// The `since` of restored repositories, in milliseconds since 1970.
    pub(super) now: u64,
    /// The store time that restored manifests are noted at, so that they are young.
    pub(super) noted: u64,
    /// Content that exists but cannot be used.
    pub(super) refused: HashSet<ContentDigest>,
    pub(super) report: Report,
}

impl<'a> Reconciler<'a> {
    pub(in crate::meta) fn new(
        index: &'a dyn Index,
        blobs: &'a dyn ContentStore,
        sink: &'a mut dyn FactSink,
        now: u64,
        noted: u64,
    ) -> Self {
        Self { index, blobs, sink, now, noted, refused: HashSet::new(), report: Report::default() }
    }

    /// Runs all checks, and returns what they changed.
    pub(in crate::meta) fn run(mut self) -> Result<Report, MetaOpenError> {
        // Check content first, since everything else depends on what it allows to be named; then the
        // manifests, which restore what the remaining checks compare with.
        self.check_content()?;
        self.check_manifests()?;
        self.check_tags()?;
        self.check_tagged()?;
        self.check_referrers()?;
        self.check_links()?;
        self.check_repositories()?;
        self.report.finish();
        Ok(self.report)
    }

    /// Puts complete manifests that no repository has into `repo`, with what they need. A manifest in `seen`
    /// once belonged to a repository and was deleted since, so it stays out.
    pub(in crate::meta) fn collect_lost(
        mut self,
        repo: &RepoName,
        seen: &HashSet<ContentDigest>,
        damaged: &HashSet<ContentDigest>,
    ) -> Result<(Report, Unattributed), MetaOpenError> {
        let unattributed = self.collect(repo, seen, damaged)?;
        self.report.finish();
        Ok((self.report, unattributed))
    }

    pub(super) fn view(&self) -> View<'a> {
        View::new(self.index)
    }

    pub(super) fn take(&mut self, fact: Fact) -> Result<(), MetaOpenError> {
        self.sink.take(vec![fact])
    }

    pub(super) fn ensure_repository(&mut self, repo: &RepoName) -> Result<(), MetaOpenError> {
        if self.view().repository(repo)?.is_some() {
            return Ok(());
        }
        self.report.note(Action::RestoreRepository, &format_args!("{repo}"));
        let row = Some(RepositoryRow { since: self.now, optional: Optional::default() });
        self.take(Fact::Repository { repo: repo.clone(), row })
    }
}

/// Content that could not be attributed to any repository.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Unattributed {
    /// Manifests that were put into the repository for unattributed ones.
    pub manifests: u64,
    /// Manifests that lack a blob.
    pub incomplete: u64,
    /// Manifests that had been deleted.
    pub deleted: u64,
    /// Content that nothing names: its count, and its bytes.
    pub loose: (u64, u64),
    /// Small content whose bytes do not match its digest, besides the known damaged content.
    pub damaged: u64,
}
