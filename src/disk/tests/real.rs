//! What only the disk of the operating system has: modes, names from elsewhere, free space.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::super::{Disk, DiskError, RealDisk, same_filesystem};
use super::{create, list, read, real};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_and_folders_are_their_owners_alone() {
    let (folder, disk) = real();
    create(&disk, "a", b"bytes");
    disk.create_folder(Path::new("f")).unwrap();
    assert_eq!(mode(&folder.path().join("a")), 0o600);
    assert_eq!(mode(&folder.path().join("f")), 0o700);
}

#[test]
fn opening_needs_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    assert!(RealDisk::open(&path).unwrap_err().is_not_found());
    std::fs::write(&path, "a file").unwrap();
    assert_eq!(RealDisk::open(&path).unwrap_err().kind(), std::io::ErrorKind::NotADirectory);
    assert_eq!(RealDisk::open_or_create(&path).unwrap_err().kind(), std::io::ErrorKind::NotADirectory);
}

#[test]
fn a_missing_data_directory_is_created_and_then_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    create(&RealDisk::open_or_create(&path).unwrap(), "a", b"bytes");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(read(&RealDisk::open_or_create(&path).unwrap(), "a"), b"bytes");
    assert!(RealDisk::open_or_create(&folder.path().join("missing/data")).unwrap_err().is_not_found());
}

#[test]
fn the_disk_goes_with_its_folder_when_that_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::open_or_create(&folder.path().join("data")).unwrap();
    create(&disk, "a", b"bytes");
    std::fs::rename(folder.path().join("data"), folder.path().join("moved")).unwrap();
    assert_eq!(read(&disk, "a"), b"bytes");
    create(&disk, "b", b"bytes");
    assert!(folder.path().join("moved/b").exists());
}

#[test]
fn names_that_are_not_utf_8_are_left_out_of_lists() {
    let (folder, disk) = real();
    create(&disk, "a", b"bytes");
    std::fs::write(folder.path().join(OsStr::from_bytes(b"b\xff")), "stray").unwrap();
    assert_eq!(list(&disk, ""), [("a".to_owned(), false, 5)]);
}

#[test]
fn links_are_followed_and_those_to_nothing_left_out_of_lists() {
    let (folder, disk) = real();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("a"), "bytes").unwrap();
    symlink(elsewhere.path(), folder.path().join("f")).unwrap();
    symlink(elsewhere.path().join("a"), folder.path().join("linked")).unwrap();
    symlink("nothing", folder.path().join("dangling")).unwrap();
    assert_eq!(list(&disk, ""), [("f".to_owned(), true, 0), ("linked".to_owned(), false, 5)]);
    assert_eq!(read(&disk, "f/a"), b"bytes");
    disk.create_folder(Path::new("f")).unwrap();
}

#[test]
fn what_is_neither_file_nor_folder_is_not_opened() {
    let (folder, disk) = real();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("control.sock")).unwrap();
    disk.open(Path::new("control.sock")).unwrap_err();
}

#[test]
fn free_space_is_reported() {
    let (_folder, disk) = real();
    assert!(disk.free_bytes().unwrap().is_some_and(|free| free > 0));
}

#[test]
fn a_file_has_a_descriptor_to_send_from() {
    let (_folder, disk) = real();
    let file = create(&disk, "a", b"bytes");
    let mut buffer = [0; 5];
    rustix::io::pread(file.descriptor().unwrap(), &mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"bytes");
}

#[test]
fn folders_on_one_filesystem_differ_from_those_on_two() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("f");
    std::fs::create_dir(&inner).unwrap();
    assert!(same_filesystem(folder.path(), &inner).unwrap());
    assert!(!same_filesystem(folder.path(), Path::new("/proc")).unwrap());
    assert!(same_filesystem(folder.path(), &folder.path().join("missing")).unwrap_err().is_not_found());
}

#[test]
fn full_disks_and_used_up_quotas_differ_from_other_errors() {
    let full = |errno: rustix::io::Errno| DiskError::new("write", Path::new("a"), errno).is_full();
    assert!(full(rustix::io::Errno::NOSPC) && full(rustix::io::Errno::DQUOT));
    assert!(!full(rustix::io::Errno::IO) && !full(rustix::io::Errno::FBIG));
}

#[test]
fn writing_to_a_full_device_says_that_it_is_full() {
    // `/dev/full` is the one device that is always full; it is no file, so it is opened outside the disk.
    let file = std::fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let file = super::super::real_file::RealFile::new(file, "a".into(), true);
    let error = super::super::DiskFile::write_at(&file, b"bytes", 0).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(error.to_string(), "cannot write a: No space left on device (os error 28)");
}
