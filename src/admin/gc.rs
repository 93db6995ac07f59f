//! Taking away what nobody needs.

use crate::admin::failure::Failure;
use crate::admin::sink::{Sink, send_item};
use crate::maintenance::{CollectError, CollectOptions, CollectReport, CollectWatch, Collector, Verdict};

/// Has the collector make a pass now, and sends what it says: of everything in a dry run, else of what goes.
pub(super) fn collect(
    collector: &Collector,
    options: &CollectOptions,
    sink: &mut dyn Sink,
) -> Result<CollectReport, Failure> {
    let mut watch = Watch { sink, dry_run: options.dry_run, seen: 0, failed: None };
    let report = collector.run_for(options, &mut watch);
    match (report, watch.failed) {
        (_, Some(failure)) => Err(failure),
        (Err(CollectError::Unwanted), None) => Err(Failure::gone()),
        (report, None) => report.map_err(Failure::failed),
    }
}

struct Watch<'a> {
    sink: &'a mut dyn Sink,
    dry_run: bool,
    seen: u64,
    /// Why nothing more is sent.
    failed: Option<Failure>,
}

impl CollectWatch for Watch<'_> {
    fn verdict(&mut self, verdict: &Verdict) {
        self.seen += 1;
        self.sink.progress("looking at what is needed", self.seen, 0);
        if self.failed.is_none() && (self.dry_run || !verdict.stays) {
            self.failed = send_item(self.sink, verdict).err();
        }
    }

    fn is_wanted(&mut self, has_begun: bool) -> bool {
        if has_begun && !self.dry_run {
            // What was begun is ended, also for a client that is gone.
            return true;
        }
        if self.failed.is_none() {
            self.failed = self.sink.check_wanted().err();
        }
        self.failed.is_none()
    }
}
