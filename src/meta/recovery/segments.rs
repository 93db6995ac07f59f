//! Which transactions of which journal file are valid.

use crate::disk::Disk;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::{Files, Header, header_of};
use crate::meta::recovery::starting_point::StartingPoint;

/// The part of a journal file that no later file replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// The file's number.
    pub(super) number: u64,
    /// The header, unless it is damaged.
    pub(super) header: Option<Header>,
    /// The first transaction that a later file replaces.
    pub(super) limit: u64,
}

/// Returns the segments to replay over `base`, in order.
///
/// A file with a higher number was durable as a whole before it got its name, and holds all transactions of
/// earlier files from its own first one on.
pub(super) fn since(
    disk: &dyn Disk,
    files: &Files,
    base: &StartingPoint,
) -> Result<Vec<Segment>, MetaOpenError> {
    let mut segments = Vec::new();
    let mut limit = u64::MAX;
    for number in files.finished.iter().rev() {
        let header = header_of(disk, *number)?;
        let first = header.as_ref().map_or(0, |header| header.first);
        if first < limit && limit > base.begin {
            segments.push(Segment { number: *number, header, limit });
        }
        if first > 0 {
            limit = limit.min(first);
        }
    }
    segments.reverse();
    Ok(segments)
}
