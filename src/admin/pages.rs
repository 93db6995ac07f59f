//! Going through rows of the index page by page.

use crate::admin::error::AdminError;
use crate::admin::sink::AnswerSink;
use crate::meta::{IndexError, View};
use crate::spec::RepoName;

/// How many rows of the index are read at once, between two checks whether the answer is still wanted.
pub(super) const ROWS_PER_STEP_MAX: usize = 256;

/// Visits all repositories, in the order of their names.
pub(super) fn each_repository(
    view: View<'_>,
    mut visit: impl FnMut(RepoName) -> Result<(), AdminError>,
) -> Result<(), AdminError> {
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

/// Visits rows page by page; `visit` returns the key after which the next page begins.
pub(super) fn pages<T, K>(
    mut page_behind: impl FnMut(Option<K>) -> Result<Vec<T>, IndexError>,
    mut visit: impl FnMut(T) -> K,
    sink: &dyn AnswerSink,
) -> Result<(), AdminError> {
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
pub(super) fn count_tags(view: View<'_>, repo: &RepoName) -> Result<u64, IndexError> {
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
