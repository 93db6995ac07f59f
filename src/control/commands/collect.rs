//! Taking away what nobody needs.

use std::time::Duration;

use crate::control::failure::Failure;
use crate::control::sink::{Sink, send_item};
use crate::control::store::Store;
use crate::maintenance::{CollectOptions, CollectReport};

/// Has the collector make a pass now, and sends what it says: of everything in a dry run, else of what goes.
pub(super) fn collect(
    store: &Store,
    dry_run: bool,
    untagged_older_than: Option<u64>,
    sink: &mut dyn Sink,
) -> Result<CollectReport, Failure> {
    let options = CollectOptions {
        dry_run,
        untagged_older_than: untagged_older_than.map(Duration::from_secs),
        alone: store.serving.is_none(),
        unpaced: true,
    };
    let (mut seen, mut failed) = (0, None);
    let report = store.collector.run(&options, &mut |verdict| {
        seen += 1;
        sink.progress("looking at what is needed", seen, 0);
        // What was begun is ended, also for a client that is gone.
        if failed.is_none() && (dry_run || !verdict.stays) {
            failed = send_item(sink, verdict).err();
        }
    });
    match failed {
        Some(failure) => Err(failure),
        None => report.map_err(Failure::failed),
    }
}
