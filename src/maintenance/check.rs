//! Checking a store without changing anything in it.

use std::path::Path;
use std::sync::Arc;

use crate::blobs::BlobStore;
use crate::disk::{DirectoryLock, Disk, RealDisk};
use crate::maintenance::content::Content;
use crate::maintenance::finding::{CheckReport, Kind};
use crate::maintenance::progress::Progress;
use crate::maintenance::rows::Rows;
use crate::meta::Inspection;
use crate::registry::{Layout, OpenError, examine};

/// Checks the store in a data directory; with `deep`, every byte of content is read. Fails where there is
/// none, or where a server uses it.
pub fn check(folder: &Path, deep: bool, progress: &mut dyn Progress) -> Result<CheckReport, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder)?);
    let layout = examine(&disk)?;
    if layout == Layout::New {
        return Err(OpenError::NoStore);
    }
    let _lock = DirectoryLock::take(folder)?;
    let mut report = CheckReport::default();
    check_layout(&layout, &mut report);

    progress.at("reading the journal", 0, 0);
    let mut metadata = Inspection::of(&disk)?;
    progress.at("comparing the index", 0, 0);
    metadata.compare_index(folder)?;
    report.totals.transactions = metadata.transactions;
    report.findings.extend(metadata.faults.drain(..).map(Into::into));
    report.notes.extend(metadata.notes.drain(..).map(Into::into));

    let blobs = BlobStore::as_it_is(disk);
    let content = Content::list(&blobs, progress, &mut report)?;
    let mut rows = Rows::new(metadata.view(), &blobs, &content, &mut report);
    rows.check(progress)?;
    content.check_unlinked(metadata.view(), &mut report)?;
    if deep {
        content.check_bytes(&blobs, progress, &mut report)?;
    }
    Ok(report)
}

fn check_layout(layout: &Layout, report: &mut CheckReport) {
    match layout {
        Layout::Known | Layout::New => {}
        Layout::Unmarked => {
            report.find(Kind::Leftover, "pulk.json", "is missing; the next start writes it anew");
        }
        Layout::Unreadable(why) => {
            let what = format!("cannot be read ({why}); the next start writes it anew");
            report.find(Kind::Leftover, "pulk.json", what);
        }
    }
}
