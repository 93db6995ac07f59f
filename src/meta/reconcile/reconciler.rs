//! Making an index and the content of a store agree.

use std::collections::HashSet;

use crate::blobs::ContentStore;
use crate::meta::error::MetaOpenError;
use crate::meta::index::{Index, View};
use crate::meta::model::{Fact, RepositoryRow};
use crate::meta::reconcile::report::{Action, Report};
use crate::spec::{ContentDigest, RepoName};

/// Takes facts, and has them in the index when it returns.
pub(in crate::meta) trait FactSink {
    /// Makes the facts true.
    fn take(&mut self, facts: Vec<Fact>) -> Result<(), MetaOpenError>;
}

/// Makes an index and the content of a store agree.
pub(in crate::meta) struct Reconciler<'a> {
    pub(super) index: &'a dyn Index,
    pub(super) blobs: &'a dyn ContentStore,
    pub(super) sink: &'a mut dyn FactSink,
    /// What restored repositories begin at, in milliseconds since 1970.
    pub(super) now: u64,
    /// The store time that restored manifests are noted at, so that they are young.
    pub(super) noted: u64,
    /// Content that is there and can't be used.
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

    /// Does all of it, and returns what was done.
    pub(in crate::meta) fn run(mut self) -> Result<Report, MetaOpenError> {
        // What the content itself allows to be named comes first, since everything else hangs on it; then the
        // manifests, which restore what the rest is held against.
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

    /// Puts the manifests that no repository has, and that have all they need, into one, with what they need.
    /// One that was `seen` in some repository once was deleted since.
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
        let row = Some(RepositoryRow { since: self.now });
        self.take(Fact::Repository { repo: repo.clone(), row })
    }
}

/// What is in the store and could not be given to any repository.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Unattributed {
    /// Manifests that were put into the repository for what is found.
    pub manifests: u64,
    /// Manifests that lack a blob.
    pub incomplete: u64,
    /// Manifests that somebody had deleted.
    pub deleted: u64,
    /// Content that nothing names, and its bytes.
    pub loose: (u64, u64),
    /// Small content beside the damaged that was known of whose bytes are not what its name says.
    pub damaged: u64,
}
