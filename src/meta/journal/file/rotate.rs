//! Rotating to a new file.

use crate::disk::{Disk, DiskError};
use crate::meta::journal::file::append::{Journal, JournalError};
use crate::meta::journal::file::files::{journal_path, unfinished_path};
use crate::meta::journal::file::new_file::NewFile;

impl Journal {
    /// Syncs the file and continues in a new one. After an error the journal continues in its old file,
    /// unless it is poisoned.
    ///
    /// INVARIANT: this file gets no more lines once the new one may have its name: a file with a higher
    /// number replaces the lines of this one from there on.
    pub(in crate::meta) fn rotate(&mut self, disk: &dyn Disk) -> Result<(), JournalError> {
        self.sync()?;
        self.give_back().map_err(JournalError::Append)?;
        let end = (self.seq, self.sum.clone());
        let number = self.number + 1;
        let new = match NewFile::create(disk, number, end, self.seq).and_then(NewFile::complete) {
            Ok(new) => new,
            Err(error) => return Err(given_up(disk, number, error)),
        };
        match new.rename() {
            Ok(journal) => {
                *self = journal;
                Ok(())
            }
            // The disk had no space for the name, and the folder shows that the file did not get it.
            Err(error) if error.is_full() && !is_there(disk, number) => Err(given_up(disk, number, error)),
            Err(error) => Err(self.poison(format!("the journal could not continue in a new file: {error}"))),
        }
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
