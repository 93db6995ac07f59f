//! Removing unneeded content.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admin::ask::Ask;
use crate::admin::error::AdminError;
use crate::admin::sink::{AnswerSink, send_item};
use crate::admin::store::OpenStore;
use crate::maintenance::{CollectError, CollectOptions, CollectReport, CollectWatch, Collector, Verdict};

/// Asks for a pass of the collector, for its verdicts (in a dry run those on everything, else on what is
/// removed) and for its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GcRequest {
    /// Whether nothing is removed.
    pub(crate) dry_run: bool,
    /// Also remove untagged manifests that are older than this many seconds.
    pub(crate) untagged_older_than: Option<u64>,
    /// Also remove what is younger than the grace time.
    #[serde(default)]
    pub(crate) now: bool,
}

impl Ask for GcRequest {
    type Item = Verdict;
    type Report = CollectReport;

    fn perform(&self, store: &OpenStore, sink: &mut dyn AnswerSink) -> Result<CollectReport, AdminError> {
        let options = CollectOptions {
            dry_run: self.dry_run,
            untagged_older_than: self.untagged_older_than.map(Duration::from_secs),
            now: self.now,
            alone: store.serving.is_none(),
            unpaced: true,
            asked: true,
        };
        collect(&store.collector, &options, sink)
    }
}

fn collect(
    collector: &Collector,
    options: &CollectOptions,
    sink: &mut dyn AnswerSink,
) -> Result<CollectReport, AdminError> {
    let mut watch = GcWatch { sink, dry_run: options.dry_run, seen: 0, failed: None };
    let report = collector.run_for(options, &mut watch);
    match (report, watch.failed) {
        (_, Some(failure)) => Err(failure),
        (Err(CollectError::Unwanted), None) => Err(AdminError::gone()),
        (report, None) => report.map_err(AdminError::failed),
    }
}

struct GcWatch<'a> {
    sink: &'a mut dyn AnswerSink,
    dry_run: bool,
    seen: u64,
    /// Why nothing more is sent.
    failed: Option<AdminError>,
}

impl CollectWatch for GcWatch<'_> {
    fn verdict(&mut self, verdict: &Verdict) {
        self.seen += 1;
        self.sink.progress("marking needed content", self.seen, 0);
        if self.failed.is_none() && (self.dry_run || !verdict.stays) {
            self.failed = send_item(self.sink, verdict).err();
        }
    }

    fn is_wanted(&mut self, has_begun: bool) -> bool {
        if has_begun && !self.dry_run {
            // A collection that has begun to remove is finished, also after its client has left.
            return true;
        }
        if self.failed.is_none() {
            self.failed = self.sink.check_wanted().err();
        }
        self.failed.is_none()
    }
}
