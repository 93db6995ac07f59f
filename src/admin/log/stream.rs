//! Reading the journal page by page.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol::channel::{Receiver, bounded};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::log::change::{Change, changes_of};
use crate::admin::sink::AnswerSink;
use crate::admin::store::{OpenStore, check_owner};
use crate::disk::{DirectoryLock, Disk, RealDisk};
use crate::meta::{FollowEnd, FollowFrom, Follower, MetaOpenError, read_closed_journal};
use crate::registry::{Layout, OpenError, Registry, examine};
use crate::spec::RepoName;

/// How many changes a page has before it ends; those of one transaction stay together.
const PAGE_CHANGES_MAX: usize = 256;

/// How many transactions are read for a page, however few changes they have.
const PAGE_TRANSACTIONS_MAX: usize = 4096;

/// Asks for the changes that the journal has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogRequest {
    /// Only those of this repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repo: Option<RepoName>,
    /// Only those that were decided at this time or later, by the wall clock, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since_ms: Option<u64>,
    /// Whether to wait for more at the end.
    #[serde(default)]
    pub(crate) follow: bool,
}

impl LogRequest {
    /// Reads the journal of a store that no process uses, and changes nothing.
    pub(crate) fn read_stopped(
        &self,
        folder: &Path,
        sink: &mut dyn AnswerSink,
    ) -> Result<Result<(), AdminError>, OpenError> {
        check_owner(folder)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder)?);
        if examine(&disk)? == Layout::New {
            return Err(OpenError::NoStore);
        }
        let _lock = DirectoryLock::take(folder)?;
        let follower = read_closed_journal(disk)?;
        let (_, changed) = bounded(1);
        let mut log = LogStream { follower, request: self.clone(), changed };
        Ok(log.read_all(sink))
    }

    fn wants(&self, change: &Change) -> bool {
        self.since_ms.is_none_or(|since| change.at_ms >= since)
            && self.repo.as_ref().is_none_or(|repo| change.repo.as_ref() == Some(repo))
    }
}

impl Ask for LogRequest {
    type Item = Change;
    type Report = ();

    /// Returns what there is, without waiting for more. A server hands out the pages itself.
    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<(), AdminError> {
        LogStream::open(&store.registry, self.clone())?.read_all(sink)
    }
}

/// A reader of the journal, between two pages.
#[derive(Debug)]
pub(crate) struct LogStream {
    follower: Follower,
    request: LogRequest,
    /// Has a message when there is more to read.
    changed: Receiver<()>,
}

/// A part of the answer.
#[derive(Debug, Default)]
pub(crate) struct LogPage {
    /// Changes, rendered.
    pub(crate) changes: Vec<Value>,
    /// Whether there is nothing more for now.
    pub(crate) at_end: bool,
}

impl LogStream {
    /// Begins at the oldest transaction that is kept.
    pub(crate) fn open(registry: &Registry, request: LogRequest) -> Result<Self, AdminError> {
        let (sender, changed) = bounded(1);
        // One message says as much as many.
        let wake = Box::new(move || sender.try_send(()).unwrap_or_default());
        let follower = registry.follow_journal(FollowFrom::Oldest, wake).map_err(AdminError::failed)?;
        Ok(Self { follower, request, changed })
    }

    /// Tells whether more is waited for at the end.
    pub(crate) fn follows(&self) -> bool {
        self.request.follow
    }

    /// Waits until there may be more. Returns at once where nothing more can come.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let changed = self.changed.clone();
        async move {
            let _woken = changed.recv().await;
        }
    }

    /// Reads the next page. It blocks only for the disk.
    pub(crate) fn page(&mut self) -> Result<LogPage, AdminError> {
        let mut page = LogPage::default();
        let (mut failed, mut transactions) = (None, 0);
        let request = &self.request;
        let read = self.follower.read(&mut |transaction| {
            transactions += 1;
            for change in changes_of(&transaction).iter().filter(|change| request.wants(change)) {
                match serde_json::to_value(change) {
                    Ok(value) => page.changes.push(value),
                    Err(error) => failed = Some(AdminError::failed(error)),
                }
            }
            page.changes.len() < PAGE_CHANGES_MAX && transactions < PAGE_TRANSACTIONS_MAX
        });
        if let Some(failed) = failed {
            return Err(failed);
        }
        match read.map_err(AdminError::failed)? {
            FollowEnd::Stopped => {}
            FollowEnd::CaughtUp => page.at_end = true,
            FollowEnd::FellBehind => page.changes.push(self.skip()?),
        }
        Ok(page)
    }

    /// Goes to the next change that is kept, and returns the line that says so.
    fn skip(&mut self) -> Result<Value, AdminError> {
        let last = self.follower.cursor().seq();
        if !self.follower.skip_gap().map_err(AdminError::failed)? {
            let why =
                format!("nothing after transaction {last} can be read; `pulk check` says what is wrong");
            return Err(AdminError::failed(MetaOpenError::Damaged(why)));
        }
        serde_json::to_value(Change::missed(self.follower.cursor().seq())).map_err(AdminError::failed)
    }

    fn read_all(&mut self, sink: &mut dyn AnswerSink) -> Result<(), AdminError> {
        loop {
            sink.check_wanted()?;
            let page = self.page()?;
            page.changes.into_iter().try_for_each(|change| sink.item(change))?;
            if page.at_end {
                return Ok(());
            }
        }
    }
}
