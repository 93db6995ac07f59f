//! Verifying closed journal files while the store is in use.

use std::path::Path;

use crate::disk::{Disk, DiskFile};
use crate::meta::error::MetaOpenError;
use crate::meta::journal::file::files::{journal_path, list};
use crate::meta::journal::file::known::read_line;
use crate::meta::journal::file::line::{Header, Record};
use crate::meta::journal::file::reader::LineReader;

/// Reads every closed journal file, and returns the places of damaged lines. Calls `took` with the number of
/// bytes of each read, and returns `None` when `took` returns false.
pub(in crate::meta) fn verify_files(
    disk: &dyn Disk,
    took: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Vec<String>>, MetaOpenError> {
    let mut damaged = Vec::new();
    let numbers = list(disk)?.finished;
    // The newest file is being written. A later file replaces the lines of earlier ones from its first
    // transaction on: a crash may have cut those off.
    let mut limit = u64::MAX;
    for (at, number) in numbers.iter().enumerate().rev() {
        let path = journal_path(*number);
        let file = match disk.open_to_salvage(&path) {
            // Old files are removed while the journal grows.
            Err(error) if error.is_not_found() => continue,
            opened => opened?,
        };
        let is_newest = at + 1 == numbers.len();
        match follow(&path, file.as_ref(), limit, is_newest, took)? {
            Followed::Sound(first) => limit = limit.min(first),
            Followed::Interrupted => return Ok(None),
            Followed::Bad(line) => damaged.push(format!("{} line {line}", path.display())),
        }
    }
    Ok(Some(damaged))
}

enum Followed {
    /// Every line below the limit is as it was written; the file begins with this transaction.
    Sound(u64),
    /// This line is damaged.
    Bad(u64),
    Interrupted,
}

/// Follows the chain of a file's lines up to transaction `limit`, which a later file has. With `header_only`,
/// for the file that is being written, checks only the header.
fn follow(
    path: &Path,
    file: &dyn DiskFile,
    limit: u64,
    header_only: bool,
    took: &mut dyn FnMut(u64) -> bool,
) -> Result<Followed, MetaOpenError> {
    let mut lines = LineReader::new(file);
    let Some(line) = lines.next()? else { return Ok(Followed::Bad(1)) };
    let Some((header, _)) = read_line::<Header>(path, &line)? else { return Ok(Followed::Bad(1)) };
    let first = header.first;
    let (mut next, mut prev) = (first, header.prev);
    while next < limit && !header_only {
        let Some(line) = lines.next()? else { break };
        let record = read_line::<Record>(path, &line)?.filter(|_| line.ended);
        match record {
            Some((record, sum)) if record.seq == next && record.prev == prev => {
                (next, prev) = (next + 1, sum);
            }
            _ => return Ok(Followed::Bad(line.number)),
        }
        if !took(line.bytes.len() as u64 + 1) {
            return Ok(Followed::Interrupted);
        }
    }
    Ok(Followed::Sound(first))
}
