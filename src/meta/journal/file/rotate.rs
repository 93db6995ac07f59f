//! Rotating to a new file.

use std::sync::Arc;

use crate::disk::{Disk, DiskError};
use crate::meta::journal::file::append::FileLog;
use crate::meta::journal::file::files::{journal_path, list, unfinished_path};
use crate::meta::journal::file::new_file::NewFile;
use crate::meta::journal::log::{JournalError, Log};

impl FileLog {
    /// Syncs the file and continues in a new one. After an error the journal continues in its old file,
    /// unless it is poisoned.
    ///
    /// INVARIANT: this file gets no more lines once the new one may have its name: a file with a higher
    /// number replaces the lines of this one from there on.
    pub(super) fn continue_in_new_file(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        self.give_back().map_err(JournalError::Append)?;
        let disk = Arc::clone(&self.disk);
        let (number, durable) = (self.number + 1, self.head().seq);
        let new = NewFile::create(&disk, number, self.head().clone(), durable).and_then(NewFile::complete);
        let new = match new {
            Ok(new) => new,
            Err(error) => return Err(given_up(disk.as_ref(), number, error)),
        };
        match new.rename() {
            Ok(log) => {
                *self = log;
                Ok(())
            }
            // The disk had no space for the name, and the folder shows that the file did not get it.
            Err(error) if error.is_full() && !is_there(disk.as_ref(), number) => {
                Err(given_up(disk.as_ref(), number, error))
            }
            Err(error) => Err(self.poison(format!("the journal could not continue in a new file: {error}"))),
        }
    }
}

impl FileLog {
    /// Continues in a new file after the last transaction that is known to be durable.
    ///
    /// Nothing is read, so nothing is trusted that only the page cache may have. The new file replaces what
    /// this one has after that transaction. All that was acknowledged stays where it is durable already.
    pub(super) fn continue_after_failure(&mut self) -> Result<(), DiskError> {
        let disk = Arc::clone(&self.disk);
        let files = list(disk.as_ref())?;
        for path in &files.unfinished {
            disk.remove(path)?;
        }
        // INVARIANT: no file of an earlier try has this number: the sync of its name may have failed.
        let number = files.highest + 1;
        let earlier = self.length();
        *self = NewFile::create(&disk, number, self.synced.clone(), self.synced.seq)?.publish()?;
        self.earlier = earlier;
        Ok(())
    }
}

/// Removes an unfinished new file: it takes space, and would block the next attempt.
fn given_up(disk: &dyn Disk, number: u64, error: DiskError) -> JournalError {
    match disk.remove(&unfinished_path(number)) {
        Err(left) if !left.is_not_found() => log::warn!("{left}"),
        _ => {}
    }
    JournalError::Append(error)
}

fn is_there(disk: &dyn Disk, number: u64) -> bool {
    !disk.open(&journal_path(number)).is_err_and(|error| error.is_not_found())
}
