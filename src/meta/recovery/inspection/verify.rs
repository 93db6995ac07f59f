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
    let mut faults = Vec::new();
    let mut fault = |kind, place, what: &str| faults.push(MetaFault { kind, place, what: what.to_owned() });
    match verify_files(disk, took) {
        Ok(Some(damaged)) => damaged
            .into_iter()
            .for_each(|place| fault(MetaFaultKind::Journal, place, "is not what was written")),
        Ok(None) => return Ok(None),
        Err(error) if error.is_of_another_version() => {
            fault(MetaFaultKind::Journal, "journal".to_owned(), &error.to_string());
        }
        Err(error) => return Err(error),
    }
    for file in checkpoint::find(disk)?.finished {
        let path = file.path();
        let open = match disk.open_to_salvage(&path) {
            // Old files are removed when a new checkpoint is taken.
            Err(error) if error.is_not_found() => continue,
            opened => opened?,
        };
        let place = path.display().to_string();
        match checkpoint::verify(&path, open.as_ref()) {
            Ok(Some(_)) => {}
            Ok(None) => fault(MetaFaultKind::Checkpoint, place, "is damaged: it is not what was written"),
            Err(error) if error.is_of_another_version() => {
                fault(MetaFaultKind::Checkpoint, place, &error.to_string());
            }
            Err(error) => return Err(error),
        }
        if !took(file.length) {
            return Ok(None);
        }
    }
    Ok(Some(faults))
}
