//! Tags, referrers, links and repositories: compared with the manifests and the content.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::meta::error::MetaOpenError;
use crate::meta::index::{IndexError, fact_of, tagged_of};
use crate::meta::model::{Fact, HistoryRow, Optional, Origin, TagRow, Tree};
use crate::meta::reconcile::reconciler::Reconciler;
use crate::meta::reconcile::report::Action;
use crate::spec::{RepoName, Tag};

/// The most rows that are read at once.
const STEP_ROWS_MAX: usize = 256;

type Row = (Vec<u8>, Vec<u8>);

impl Reconciler<'_> {
    /// Drops tags whose manifest is missing, unless the manifest can be restored from content.
    pub(super) fn check_tags(&mut self) -> Result<(), MetaOpenError> {
        self.each_row(Tree::Tags, |this, fact| {
            let Fact::Tag { repo, tag, row: Some(row), .. } = fact else { return Ok(()) };
            let named = row.digest;
            if this.view().manifest(&repo, &named)?.is_some() || this.restore_tagged(&repo, named)? {
                return Ok(());
            }
            let what = format_args!("{repo}:{tag}: manifest {named} no longer exists");
            this.report.note(Action::DropTag, &what);
            this.note_removed(&repo, &tag, &row)?;
            this.take(Fact::Tag { repo, tag, row: None, was: Some(named) })
        })
    }

    /// Notes in the history that a tag is gone. What was set last has the highest order of its tag.
    fn note_removed(&mut self, repo: &RepoName, tag: &Tag, row: &TagRow) -> Result<(), MetaOpenError> {
        let gone = HistoryRow {
            digest: None,
            was: Some(row.digest),
            noted: self.noted,
            at: Some(self.now),
            by: Some(Arc::new(Origin::default().rule("recovery").why("its manifest was lost"))),
            optional: Optional::default(),
        };
        let order = row.order.unwrap_or(0).saturating_add(1);
        self.take(Fact::History { repo: repo.clone(), tag: tag.clone(), order, row: Some(gone) })
    }

    /// Corrects the reverse rows, from manifests to their tags.
    pub(super) fn check_tagged(&mut self) -> Result<(), MetaOpenError> {
        self.each_step(Tree::Tagged, |this, (key, _)| {
            let (repo, digest, tag) = tagged_of(&key)?;
            let row = this.view().tag(&repo, &tag)?;
            if row.as_ref().is_some_and(|row| row.digest == digest) {
                return Ok(());
            }
            let what = format_args!("{repo}:{tag} no longer names {digest}");
            this.report.note(Action::CorrectTag, &what);
            this.take(Fact::Tag { repo, tag, row, was: Some(digest) })
        })
    }

    /// Drops referrers that do not name a manifest with that subject.
    pub(super) fn check_referrers(&mut self) -> Result<(), MetaOpenError> {
        self.each_row(Tree::Referrers, |this, fact| {
            let Fact::Referrer { repo, subject, digest, .. } = fact else { return Ok(()) };
            let row = this.view().manifest(&repo, &digest)?;
            if row.is_some_and(|row| row.subject.as_ref() == Some(&subject)) {
                return Ok(());
            }
            let what = format_args!("{digest} of {subject} in {repo}");
            this.report.note(Action::DropReferrer, &what);
            this.take(Fact::Referrer { repo, subject, digest, present: false })
        })
    }

    /// Drops links without content.
    pub(super) fn check_links(&mut self) -> Result<(), MetaOpenError> {
        self.each_row(Tree::Links, |this, fact| {
            let Fact::Link { repo, digest, row: Some(row) } = fact else { return Ok(()) };
            if this.usable(&digest)? == Some(row.size) {
                return this.ensure_repository(&repo);
            }
            let what = format_args!("{digest} in {repo}: its content is missing or damaged");
            this.report.note(Action::DropLink, &what);
            this.take(Fact::Link { repo, digest, row: None })
        })
    }

    /// Drops empty repositories.
    pub(super) fn check_repositories(&mut self) -> Result<(), MetaOpenError> {
        self.each_row(Tree::Repositories, |this, fact| {
            let Fact::Repository { repo, row: Some(_) } = fact else { return Ok(()) };
            if this.view().has_anything(&repo)? {
                return Ok(());
            }
            this.report.note(Action::DropRepository, &format_args!("{repo}"));
            this.take(Fact::Repository { repo, row: None })
        })
    }

    /// Calls `check` with the fact of each row of a tree; `check` may change the index.
    pub(super) fn each_row(
        &mut self,
        tree: Tree,
        mut check: impl FnMut(&mut Self, Fact) -> Result<(), MetaOpenError>,
    ) -> Result<(), MetaOpenError> {
        self.each_step(tree, |this, (key, value)| match fact_of(tree, &key, &value)? {
            Some(fact) => check(this, fact),
            None => Ok(()),
        })
    }

    fn each_step(
        &mut self,
        tree: Tree,
        mut check: impl FnMut(&mut Self, Row) -> Result<(), MetaOpenError>,
    ) -> Result<(), MetaOpenError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = self.step(tree, after.as_deref())?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            for row in rows {
                check(self, row)?;
            }
        }
    }

    fn step(&self, tree: Tree, after: Option<&[u8]>) -> Result<Vec<Row>, IndexError> {
        let mut rows = Vec::new();
        self.index.scan(tree, &[], after, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            if rows.len() < STEP_ROWS_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(rows)
    }
}
