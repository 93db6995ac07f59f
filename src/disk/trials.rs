//! Tries what pulk needs of a filesystem, with files that are removed at once.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::DiskError;
use super::error::{READ_REMOVED, REPLACE};

/// A file, and the one that it replaces. A crash may leave both; the next trial removes them.
const ONE: &str = "filesystem-1.probe";
const OTHER: &str = "filesystem-2.probe";

/// Fails where something is missing in the filesystem of a folder, and tells whether it counts the names of a
/// file.
pub(super) fn run(root: &OwnedFd) -> Result<bool, DiskError> {
    remove_files(root);
    let tried = try_files(root);
    remove_files(root);
    tried
}

fn try_files(root: &OwnedFd) -> Result<bool, DiskError> {
    let failed = |op, path: &str, errno: Errno| DiskError::new(op, Path::new(path), errno);
    let (one, other) = (create(root, ONE)?, create(root, OTHER)?);
    for (file, path) in [(&one, ONE), (&other, OTHER)] {
        file.write_all_at(path.as_bytes(), 0)
            .map_err(|error| DiskError::new("write", Path::new(path), error))?;
    }
    rustix::fs::renameat(root, ONE, root, OTHER).map_err(|errno| failed(REPLACE, OTHER, errno))?;
    let mut bytes = [0; OTHER.len()];
    let read = other.read_at(&mut bytes, 0);
    if read.is_err() || bytes != *OTHER.as_bytes() {
        return Err(failed(READ_REMOVED, OTHER, Errno::STALE));
    }
    Ok(counts_names(root, &one))
}

/// Gives the replacing file a second name, and looks whether that shows.
fn counts_names(root: &OwnedFd, file: &File) -> bool {
    let count = || rustix::fs::fstat(file).map(|status| status.st_nlink);
    count() == Ok(1)
        && rustix::fs::linkat(root, OTHER, root, ONE, AtFlags::empty()).is_ok()
        && count() == Ok(2)
}

fn create(root: &OwnedFd, path: &str) -> Result<File, DiskError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| DiskError::new("create", Path::new(path), errno))?;
    Ok(File::from(file))
}

fn remove_files(root: &OwnedFd) {
    for path in [ONE, OTHER] {
        // What cannot be removed is in the way of the trial, or harmless after it.
        let _ = rustix::fs::unlinkat(root, path, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, RealDisk};

    #[test]
    fn a_filesystem_with_links_counts_names_and_the_trial_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(ONE), "left by a crash").unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let names = || disk.create(Path::new("a")).unwrap().has_other_names().unwrap();
        assert_eq!(names(), None, "it was not tried");
        disk.remove(Path::new("a")).unwrap();
        disk.try_filesystem().unwrap();
        assert_eq!(names(), Some(false));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
