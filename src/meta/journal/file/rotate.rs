//! Going on in a new file.

use crate::disk::{Disk, DiskError};
use crate::meta::journal::file::append::{Journal, JournalError};
use crate::meta::journal::file::files::{journal_path, unfinished_path};
use crate::meta::journal::file::new_file::NewFile;

impl Journal {
    /// Syncs the file and goes on in a new one. After an error it goes on as it was, unless it is poisoned.
    ///
    /// INVARIANT: nothing is appended to this file once the new one may have its name: a file with a higher
    /// number replaces what comes in this one from there on.
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
            // There was no space for the name, and the folder shows that it was not given.
            Err(error) if error.is_full() && !is_there(disk, number) => Err(given_up(disk, number, error)),
            Err(error) => Err(self.poison(format!("the journal could not go on in a new file: {error}"))),
        }
    }
}

/// Removes what there is of a new file: it takes space, and would be in the way of the next try.
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
