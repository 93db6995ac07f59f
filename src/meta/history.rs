//! How much of the past the journal keeps: who tagged what, when, and what the tag was before.

use crate::disk::{Disk, DiskError};
use crate::meta::journal::{header_of, journal_path, list};

/// Removes the oldest journal files that no recovery needs any more, until those that are left of them have
/// no more than `keep_max_bytes`. Everything from transaction `needed` on is needed. Not durable: one that a
/// crash brings back goes the next time.
pub(super) fn forget_history(disk: &dyn Disk, needed: u64, keep_max_bytes: u64) -> Result<(), DiskError> {
    let numbers = list(disk)?.finished;
    // A file is history when the one after it begins no later than what is needed.
    let mut history = Vec::new();
    for (number, next) in numbers.iter().zip(numbers.iter().skip(1)) {
        match header_of(disk, *next)? {
            Some(header) if header.first <= needed => history.push(*number),
            _ => break,
        }
    }
    let mut kept = 0;
    for number in history.iter().rev() {
        let path = journal_path(*number);
        kept += disk.open(&path)?.length()?;
        if kept > keep_max_bytes {
            disk.remove(&path)?;
        }
    }
    Ok(())
}
