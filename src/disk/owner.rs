//! The owner of a data directory, for a process that could use it and must not: root, above all.

use rustix::fs::Mode;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Lets every file that the process makes from now on, by whatever library, be for its user alone. For
/// programs: the setting is the whole process's.
pub fn restrict_new_files() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// The folder whose owner is the store's owner: names in it are written more often than any other.
const JOURNAL_FOLDER: &str = "journal";

/// A data directory that belongs to another user than pulk's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignOwner {
    /// The id of the user that it belongs to.
    pub owner: u32,
    /// Whether it has a journal, and so a store, that this user has been writing.
    pub has_journal: bool,
}

impl ForeignOwner {
    /// Returns the owner of a data directory if files made by this process would lock that owner out. Returns
    /// `None` for an unreadable directory: using it fails anyway.
    pub fn of(folder: &Path) -> Option<Self> {
        let owner = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.uid());
        let (owner, has_journal) = match owner(&folder.join(JOURNAL_FOLDER)) {
            Ok(owner) => (owner, true),
            Err(_) => (owner(folder).ok()?, false),
        };
        let own = rustix::process::geteuid().as_raw();
        is_foreign(owner, own, || owner_of_new_file(folder)).then_some(Self { owner, has_journal })
    }
}

/// Tells whether files made by user `own` would belong to another user than the owner. Most filesystems give
/// a file to its creator; some (FAT, network shares) have one owner for all files, and then root does no
/// harm. On a read-only filesystem no file is made, and nothing locks the owner out.
fn is_foreign(owner: u32, own: u32, owner_of_new_file: impl FnOnce() -> io::Result<u32>) -> bool {
    if owner == own {
        return false;
    }
    match owner_of_new_file() {
        Ok(made) => made != owner,
        Err(error) => error.kind() != io::ErrorKind::ReadOnlyFilesystem,
    }
}

/// Creates a file, reads its owner, and removes it.
fn owner_of_new_file(folder: &Path) -> io::Result<u32> {
    let path = folder.join(format!("owner-{}.probe", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let owner = file.metadata().map(|metadata| metadata.uid());
    std::fs::remove_file(&path)?;
    owner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_foreign_when_what_is_made_in_it_would_not_be_its_owners() {
        let never = || -> io::Result<u32> { panic!("nothing is made in one's own directory") };
        assert!(!is_foreign(1000, 1000, never));
        assert!(is_foreign(1000, 0, || Ok(0)));
        let fails = |kind: io::ErrorKind| move || Err(kind.into());
        assert!(is_foreign(1000, 1001, fails(io::ErrorKind::PermissionDenied)), "nothing can be made");
        assert!(!is_foreign(1000, 0, fails(io::ErrorKind::ReadOnlyFilesystem)), "nothing is made");
        assert!(!is_foreign(1000, 0, || Ok(1000)), "everything there has one owner");
    }

    #[test]
    fn nothing_is_left_in_a_directory_that_was_looked_at() {
        let folder = tempfile::TempDir::new().unwrap();
        assert_eq!(ForeignOwner::of(folder.path()), None);
        assert_eq!(owner_of_new_file(folder.path()).unwrap(), rustix::process::geteuid().as_raw());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(ForeignOwner::of(&folder.path().join("missing")), None);
    }
}
