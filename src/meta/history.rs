//! How much of the past the journal keeps: who tagged what, when, and what the tag was before.

use crate::disk::{Disk, DiskError};
use crate::meta::fact::Fact;
use crate::meta::journal::{LineReader, Record, decode, header_of, journal_path, list};
use crate::spec::{ContentDigest, RepoName};

/// Visits each link and each manifest of a repository that came since a time, in milliseconds since 1970, as
/// far as the journal remembers. What came by a clock that was ahead has come since, too; what came before in
/// the same file may be visited as well.
pub(super) fn named_since(
    disk: &dyn Disk,
    since_ms: u64,
    mut visit: impl FnMut(&RepoName, &ContentDigest),
) -> Result<(), DiskError> {
    for number in list(disk)?.finished.iter().rev() {
        let file = disk.open(&journal_path(*number))?;
        let mut lines = LineReader::new(file.as_ref());
        let (mut some, mut any) = (false, false);
        while let Some(line) = lines.next()? {
            let Ok((record, _)) = decode::<Record>(&line.bytes) else { continue };
            any = true;
            if record.at < since_ms {
                continue;
            }
            some = true;
            for fact in &record.facts {
                match fact {
                    Fact::Link { repo, digest, row: Some(_) }
                    | Fact::Manifest { repo, digest, row: Some(_) } => {
                        visit(repo, digest);
                    }
                    _ => {}
                }
            }
        }
        // A file that has lines, all of them old, has only older ones before it.
        if any && !some {
            break;
        }
    }
    Ok(())
}

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
