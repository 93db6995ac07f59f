//! New journal files, published whole.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::disk::{BLOCK_SIZE_BYTES, Disk, DiskError, DiskFile};
use crate::meta::journal::file::append::FileLog;
use crate::meta::journal::file::files::{JOURNAL_FOLDER, journal_path, unfinished_path};
use crate::meta::journal::file::line::{Header, encode};
use crate::meta::journal::log::LogPosition;

/// Writes a new journal file, a header and then lines, and makes it durable as a whole under its name.
pub(in crate::meta) struct NewFile {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    number: u64,
    length: u64,
    /// The transactions up to this one are durable once the file is published.
    durable: u64,
    pending: Vec<u8>,
    head: LogPosition,
    /// The place after the last transaction that is written.
    written: LogPosition,
    /// The place before the first transaction.
    begin: LogPosition,
    /// The length of the header.
    header_length: usize,
    /// Complete files that hold the lines before this one's, as no file could hold all of them.
    earlier: Vec<NewFile>,
    may_split: bool,
}

const WRITE_SIZE_BYTES: usize = 256 * 1024;

/// The most attempts to sync the name while no descriptor is free, and the pause between them.
const NAME_TRIES_MAX: u32 = 100;
const NAME_RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Renders the header of a file that continues after `head`, and has the transactions up to `durable`.
fn header(number: u64, head: &LogPosition, durable: u64) -> Result<Vec<u8>, DiskError> {
    let header = encode(&Header::new(head.seq + 1, head.sum.clone(), durable));
    let failed = |error| DiskError::new("render the header of", &journal_path(number), error);
    header.map(|(bytes, _)| bytes).map_err(failed)
}

impl NewFile {
    /// Begins a file that continues after `head`, and that will hold the transactions up to `durable` when it
    /// is published.
    pub(in crate::meta) fn create(
        disk: &Arc<dyn Disk>,
        number: u64,
        head: LogPosition,
        durable: u64,
    ) -> Result<Self, DiskError> {
        let file = disk.create(&unfinished_path(number))?;
        let pending = header(number, &head, durable)?;
        Ok(Self {
            disk: Arc::clone(disk),
            file,
            number,
            length: 0,
            durable,
            begin: head.clone(),
            header_length: pending.len(),
            pending,
            written: head.clone(),
            head,
            earlier: Vec::new(),
            may_split: false,
        })
    }

    /// Lets the lines continue in further files where one may not grow.
    ///
    /// INVARIANT: the lines are those of the files that this one replaces, with the same numbers. After a
    /// crash that named some of the new files, the lines of the others are read from the old ones.
    pub(in crate::meta) fn or_several(self) -> Self {
        Self { may_split: true, ..self }
    }

    /// Returns the place after the last transaction.
    pub(in crate::meta) fn head(&self) -> &LogPosition {
        &self.head
    }

    /// Adds a line, without its line feed, as it stands; `head` is the place after it.
    pub(in crate::meta) fn push(&mut self, line: &[u8], head: LogPosition) -> Result<(), DiskError> {
        self.pending.extend_from_slice(line);
        self.pending.push(b'\n');
        self.head = head;
        if self.pending.len() >= WRITE_SIZE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), DiskError> {
        match self.file.write_at(&self.pending, self.length) {
            // A file with nothing in it is as long as any other may be.
            Err(error) if error.is_too_large() && self.may_split && self.written.seq > self.begin.seq => {
                log::warn!("{error}; the journal continues in a further file");
                self.split()?;
                self.file.write_at(&self.pending, 0)?;
            }
            written => written?,
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        self.written = self.head.clone();
        Ok(())
    }

    /// Completes this file with what is written, and begins another one with the rest.
    fn split(&mut self) -> Result<(), DiskError> {
        let (number, written) = (self.number + 1, self.written.clone());
        let mut next = Self::create(&self.disk, number, written, self.durable)?.or_several();
        next.pending.append(&mut self.pending);
        next.head = self.head.clone();
        let mut full = std::mem::replace(self, next);
        self.earlier = std::mem::take(&mut full.earlier);
        full.head = full.written.clone();
        // It has fewer transactions than its header says. The new header is no longer than the old one, and
        // zeroes are part of no line.
        let mut header = header(full.number, &full.begin, full.written.seq)?;
        header.resize(full.header_length, 0);
        full.file.write_at(&header, 0)?;
        // What was written of the lines that did not fit.
        full.file.truncate(full.length)?;
        self.earlier.push(full.complete()?);
        Ok(())
    }

    /// Publishes the file and returns the log that continues at its end.
    pub(in crate::meta) fn publish(self) -> Result<FileLog, DiskError> {
        self.complete()?.rename()
    }

    /// Makes all lines durable, with the rest of the last one's block. Recovery ignores the file until it has
    /// its name.
    pub(super) fn complete(mut self) -> Result<Self, DiskError> {
        self.write()?;
        self.file.truncate(self.length.next_multiple_of(BLOCK_SIZE_BYTES))?;
        // 1. The lines are durable.
        self.file.sync()?;
        Ok(self)
    }

    /// Gives the file its name. After an error it may have either name.
    ///
    /// INVARIANT: of several files the last one is named first, since a file replaces what earlier ones have
    /// from its first transaction on.
    pub(super) fn rename(self) -> Result<FileLog, DiskError> {
        self.set_name()?;
        for file in self.earlier.iter().rev() {
            file.set_name()?;
        }
        let earlier = self.earlier.iter().map(|file| file.length).sum();
        let mut log = FileLog::at_end(self.disk, self.file, (self.number, self.length), self.head);
        log.earlier = earlier;
        Ok(log)
    }

    fn set_name(&self) -> Result<(), DiskError> {
        // 2. The name is visible. 3. The name is durable.
        self.disk.rename(&unfinished_path(self.number), &journal_path(self.number))?;
        self.sync_name()
    }

    /// Syncs the folder, and retries while it cannot be opened for lack of a descriptor: no sync has failed,
    /// descriptors come back, and until then neither this file nor the one before it can be written to.
    fn sync_name(&self) -> Result<(), DiskError> {
        let mut tries = 1;
        loop {
            match self.disk.sync_folder(Path::new(JOURNAL_FOLDER)) {
                Err(error) if error.is_without_descriptors() && tries < NAME_TRIES_MAX => {
                    log::warn!("{error}; retrying");
                    tries += 1;
                    thread::sleep(NAME_RETRY_PAUSE);
                }
                done => return done,
            }
        }
    }
}
