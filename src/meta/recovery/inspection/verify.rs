//! Verifying closed journal files and checkpoints while the store is in use.

use crate::disk::Disk;
use crate::meta::checkpoint;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::verify_files;
use crate::meta::recovery::inspection::fault::{MetaFault, MetaFaultKind};

/// Reads every closed journal file and every checkpoint, and returns their faults. Calls `took` with the
/// number of bytes of each read, and returns `None` when `took` returns false.
pub fn verify_closed(
    disk: &dyn Disk,
    took: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Vec<MetaFault>>, MetaOpenError> {
    let Some(damaged) = verify_files(disk, took)? else { return Ok(None) };
    let fault = |kind, place, what: &str| MetaFault { kind, place, what: what.to_owned() };
    let journal = |place| fault(MetaFaultKind::Journal, place, "is not what was written");
    let mut faults: Vec<MetaFault> = damaged.into_iter().map(journal).collect();
    for file in checkpoint::find(disk)?.finished {
        let open = match disk.open(&file.path()) {
            // Old files are removed when a new checkpoint is taken.
            Err(error) if error.is_not_found() => continue,
            opened => opened?,
        };
        if checkpoint::verify(open.as_ref())?.is_none() {
            let place = file.path().display().to_string();
            let what = "is damaged: it is not what was written";
            faults.push(fault(MetaFaultKind::Checkpoint, place, what));
        }
        if !took(file.length) {
            return Ok(None);
        }
    }
    Ok(Some(faults))
}
