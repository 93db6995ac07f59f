//! Reading the journal's files on from a transaction while they are appended to.

use std::sync::Arc;

use crate::disk::Disk;
use crate::meta::error::MetaOpenError;
use crate::meta::journal::file::files::{JOURNAL_FOLDER, header_of, journal_path, list};
use crate::meta::journal::file::known::read_line;
use crate::meta::journal::file::line::{Header, Record, Sum};
use crate::meta::journal::file::reader::LineReader;
use crate::meta::journal::log::{LogPosition, LogTail, TransactionVisitor};

/// A place in the journal's files.
pub(in crate::meta) struct FileTail {
    disk: Arc<dyn Disk>,
    at: LogPosition,
    /// The number of the file that is read; 0 before the first one.
    number: u64,
    /// Where in that file the line after `at` begins, or a line before that.
    offset: u64,
}

impl FileTail {
    pub(in crate::meta) fn new(disk: Arc<dyn Disk>, after: LogPosition) -> Self {
        Self { disk, at: after, number: 0, offset: 0 }
    }

    /// Returns the number of the file that a transaction was appended to: of those that begin no later, the
    /// last one. Returns the first transaction of the files after it, too: it has no valid line from there
    /// on.
    fn file_with(&self, seq: u64) -> Result<(u64, u64), MetaOpenError> {
        let mut limit = u64::MAX;
        for number in list(self.disk.as_ref())?.finished.into_iter().rev() {
            match header_of(self.disk.as_ref(), number)? {
                Some(header) if header.first <= seq => return Ok((number, limit)),
                Some(header) => limit = limit.min(header.first),
                None => {}
            }
        }
        Err(MetaOpenError::Damaged(format!("{JOURNAL_FOLDER} has no file with transaction {seq}")))
    }

    /// Reads on in the file. Returns whether to continue after it.
    fn read_file(&mut self, until: u64, visit: &mut TransactionVisitor<'_>) -> Result<bool, MetaOpenError> {
        let path = journal_path(self.number);
        let file = self.disk.open(&path)?;
        let mut lines = LineReader::starting_at(file.as_ref(), self.offset);
        while self.at.seq < until
            && let Some(line) = lines.next()?
        {
            let is_header = std::mem::replace(&mut self.offset, lines.offset()) == 0;
            let found = if line.ended { read_line::<Record>(&path, &line)? } else { None };
            match found {
                Some((record, sum)) if record.seq == self.at.seq + 1 && record.prev == self.at.sum => {
                    self.at = LogPosition { seq: record.seq, sum };
                    if !visit(&record, line.bytes.len() as u64 + 1)? {
                        return Ok(false);
                    }
                }
                Some((record, _)) if record.seq <= self.at.seq => {}
                None if is_header => {}
                _ => return Ok(true),
            }
        }
        Ok(true)
    }
}

impl FileTail {
    /// Returns the headers of the files, without those that later ones replace as a whole, in order.
    fn headers(&self) -> Result<Vec<Header>, MetaOpenError> {
        let mut headers: Vec<Header> = Vec::new();
        for number in list(self.disk.as_ref())?.finished.into_iter().rev() {
            let header = match header_of(self.disk.as_ref(), number) {
                // An old one, which was removed just now.
                Err(MetaOpenError::Disk(error)) if error.is_not_found() => break,
                header => header?,
            };
            let is_used = |header: &Header| headers.last().is_none_or(|later| header.first < later.first);
            headers.extend(header.filter(is_used));
        }
        headers.reverse();
        Ok(headers)
    }

    /// Returns the sum of a transaction's line in a file.
    fn sum_in(&self, number: u64, seq: u64) -> Result<Option<Sum>, MetaOpenError> {
        let path = journal_path(number);
        let file = self.disk.open(&path)?;
        let mut lines = LineReader::new(file.as_ref());
        while let Some(line) = lines.next()? {
            let found = if line.ended { read_line::<Record>(&path, &line)? } else { None };
            match found {
                Some((record, sum)) if record.seq == seq => return Ok(Some(sum)),
                Some((record, _)) if record.seq > seq => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl LogTail for FileTail {
    fn bytes_left(&self) -> Result<u64, MetaOpenError> {
        let (first, _) = self.file_with(self.at.seq + 1)?;
        let mut total = 0;
        for number in list(self.disk.as_ref())?.finished.into_iter().filter(|number| *number >= first) {
            total += self.disk.open(&journal_path(number))?.length()?;
        }
        Ok(total)
    }

    fn read(&mut self, until: u64, visit: &mut TransactionVisitor<'_>) -> Result<u64, MetaOpenError> {
        while self.at.seq < until {
            let before = self.at.seq;
            let (number, limit) = self.file_with(before + 1)?;
            if number != self.number {
                (self.number, self.offset) = (number, 0);
            }
            if !self.read_file(until.min(limit - 1), visit)? {
                break;
            }
            if self.at.seq == before {
                let place = journal_path(number);
                return Err(MetaOpenError::Damaged(format!(
                    "{} has no transaction {} that follows the one before it",
                    place.display(),
                    before + 1
                )));
            }
        }
        Ok(self.at.seq)
    }

    fn place(&self) -> &LogPosition {
        &self.at
    }

    fn go_to(&mut self, place: LogPosition) {
        (self.at, self.number, self.offset) = (place, 0, 0);
    }

    fn place_of(&self, seq: u64) -> Result<Option<LogPosition>, MetaOpenError> {
        if seq == 0 {
            return Ok(Some(LogPosition::start()));
        }
        // The file after it knows its sum without a search.
        let headers = self.headers()?;
        if let Some(next) = headers.into_iter().find(|header| header.first == seq + 1) {
            return Ok(Some(LogPosition { seq, sum: next.prev }));
        }
        let (number, limit) = self.file_with(seq)?;
        let sum = if seq < limit { self.sum_in(number, seq)? } else { None };
        Ok(sum.map(|sum| LogPosition { seq, sum }))
    }

    fn next_begin(&self, after: Option<u64>) -> Result<Option<LogPosition>, MetaOpenError> {
        let begins = self.headers()?.into_iter().map(|header| (header.first.saturating_sub(1), header.prev));
        let mut later = begins.filter(|(seq, _)| after.is_none_or(|after| *seq > after));
        Ok(later.next().map(|(seq, sum)| LogPosition { seq, sum }))
    }
}
