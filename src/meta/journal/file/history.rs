//! How much history the journal keeps: which tag was set when, and what it named before.

use crate::disk::{Disk, DiskError};
use crate::meta::clock::PLAUSIBLE_MIN_MS;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::file::files::{header_of, journal_path, list};
use crate::meta::journal::file::known::read_line;
use crate::meta::journal::file::line::Record;
use crate::meta::journal::file::reader::LineReader;
use crate::meta::model::Fact;
use crate::spec::{ContentDigest, RepoName};

/// Visits each link and each manifest that was added to a repository since `since_ms`, in milliseconds since
/// 1970, as far as the journal's history reaches. Includes those noted by a clock that was never set, or that
/// was ahead. Fails at a line that this version does not know.
pub(in crate::meta) fn named_since(
    disk: &dyn Disk,
    since_ms: u64,
    mut visit: impl FnMut(&RepoName, &ContentDigest),
) -> Result<(), MetaOpenError> {
    for number in list(disk)?.finished.iter().rev() {
        let path = journal_path(*number);
        let file = match disk.open(&path) {
            Ok(file) => file,
            // A checkpoint was taken meanwhile, and the oldest files were removed.
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(error.into()),
        };
        let mut lines = LineReader::new(file.as_ref());
        while let Some(line) = lines.next()? {
            let Some((record, _)) = read_line::<Record>(&path, &line)? else { continue };
            if (PLAUSIBLE_MIN_MS..since_ms).contains(&record.at) {
                continue;
            }
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
    }
    Ok(())
}

/// Removes the oldest journal files that no recovery needs, until the rest of these has at most
/// `keep_max_bytes`. Recovery needs everything from transaction `needed` on. The removal is not durable: the
/// next call removes a file that a crash brings back. One that cannot be removed does not keep the others.
pub(in crate::meta) fn forget_history(
    disk: &dyn Disk,
    needed: u64,
    keep_max_bytes: u64,
) -> Result<(), DiskError> {
    let numbers = list(disk)?.finished;
    // The newest file that begins no later than what is needed replaces everything before it from there on:
    // what comes before it is history, whatever the state of its headers.
    let begins_early = |number: &u64| {
        let header = header_of(disk, *number).ok().flatten();
        header.is_some_and(|header| header.first <= needed)
    };
    let history = numbers.iter().rposition(begins_early).unwrap_or(0);
    let mut kept = 0;
    let mut forgotten = Ok(());
    for number in numbers.iter().take(history).rev() {
        let path = journal_path(*number);
        kept += disk.open(&path).and_then(|file| file.length()).unwrap_or(0);
        if kept > keep_max_bytes {
            forgotten = forgotten.and(disk.remove(&path));
        }
    }
    forgotten
}
