//! New journal files, published whole.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::disk::{Disk, DiskError, DiskFile};
use crate::meta::journal::file::append::Journal;
use crate::meta::journal::file::files::{JOURNAL_FOLDER, journal_path, unfinished_path};
use crate::meta::journal::file::line::{Header, Sum, encode};

/// Writes a new journal file, a header and then lines, and makes it durable as a whole under its name.
pub(in crate::meta) struct NewFile<'a> {
    disk: &'a dyn Disk,
    file: Arc<dyn DiskFile>,
    number: u64,
    length: u64,
    pending: Vec<u8>,
    seq: u64,
    sum: Sum,
}

const WRITE_SIZE_BYTES: usize = 256 * 1024;

/// The most attempts to sync the name while no descriptor is free, and the pause between them.
const NAME_TRIES_MAX: u32 = 100;
const NAME_RETRY_PAUSE: Duration = Duration::from_millis(50);

impl<'a> NewFile<'a> {
    /// Begins a file that continues after transaction `before`, whose line's sum is `prev`, and that will
    /// hold the transactions up to `durable` when it is published.
    pub(in crate::meta) fn create(
        disk: &'a dyn Disk,
        number: u64,
        (before, prev): (u64, Sum),
        durable: u64,
    ) -> Result<Self, DiskError> {
        let file = disk.create(&unfinished_path(number))?;
        let (pending, _) = encode(&Header::new(before + 1, prev.clone(), durable))
            .map_err(|error| DiskError::new("render the header of", &journal_path(number), error))?;
        Ok(Self { disk, file, number, length: 0, pending, seq: before, sum: prev })
    }

    /// Returns the last transaction's number and its line's sum.
    pub(in crate::meta) fn head(&self) -> (u64, Sum) {
        (self.seq, self.sum.clone())
    }

    /// Adds a line, without its line feed, as it stands; `seq` and `sum` are its own.
    pub(in crate::meta) fn push(&mut self, line: &[u8], seq: u64, sum: Sum) -> Result<(), DiskError> {
        self.pending.extend_from_slice(line);
        self.pending.push(b'\n');
        self.seq = seq;
        self.sum = sum;
        if self.pending.len() >= WRITE_SIZE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), DiskError> {
        self.file.write_at(&self.pending, self.length)?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Publishes the file and returns the journal that continues at its end.
    pub(in crate::meta) fn publish(self) -> Result<Journal, DiskError> {
        self.complete()?.rename()
    }

    /// Makes all lines durable. Recovery ignores the file until it has its name.
    pub(super) fn complete(mut self) -> Result<Self, DiskError> {
        self.write()?;
        // 1. The lines are durable.
        self.file.sync()?;
        Ok(self)
    }

    /// Gives the file its name. After an error it may have either name.
    pub(super) fn rename(self) -> Result<Journal, DiskError> {
        // 2. The name is visible. 3. The name is durable.
        self.disk.rename(&unfinished_path(self.number), &journal_path(self.number))?;
        self.sync_name()?;
        Ok(Journal::at_end(self.file, self.number, self.length, (self.seq, self.sum)))
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
