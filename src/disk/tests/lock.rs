//! The lock of a data directory.

use std::os::unix::fs::PermissionsExt;

use super::super::{DirectoryLock, LockError};

#[test]
fn a_second_lock_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DirectoryLock::take(folder.path()).unwrap();
    let error = DirectoryLock::take(folder.path()).unwrap_err();
    let message = error.to_string();
    let LockError::Held { path, pid } = error else { panic!("{message}") };
    assert_eq!(path, folder.path());
    assert_eq!(pid, Some(std::process::id()));
    assert!(message.ends_with(&format!("is in use by another pulk (pid {})", std::process::id())));
}

#[test]
fn dropping_a_lock_releases_it() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let lock = DirectoryLock::take(folder.path()).unwrap();
        DirectoryLock::take(folder.path()).unwrap_err();
        drop(lock);
    }
}

#[test]
fn a_lock_file_left_by_a_crash_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    std::fs::write(&path, "4294967295 and more than a pid\n").unwrap();
    let _lock = DirectoryLock::take(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
}

#[test]
fn a_holder_that_has_not_said_its_pid_is_reported_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let _lock = DirectoryLock::take(folder.path()).unwrap();
    std::fs::write(folder.path().join("lock"), "").unwrap();
    let error = DirectoryLock::take(folder.path()).unwrap_err();
    assert!(matches!(error, LockError::Held { pid: None, .. }), "{error}");
    assert!(error.to_string().ends_with("is in use by another pulk"));
}

#[test]
fn a_missing_data_directory_is_a_disk_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = DirectoryLock::take(&folder.path().join("missing")).unwrap_err();
    assert!(matches!(&error, LockError::Disk(error) if error.is_not_found()), "{error}");
}

#[test]
fn the_lock_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _lock = DirectoryLock::take(folder.path()).unwrap();
    let mode = std::fs::metadata(folder.path().join("lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn readers_of_a_read_only_directory_share_the_lock_and_exclude_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let nothing_to_lock = DirectoryLock::share(folder.path()).unwrap();
    let writer = DirectoryLock::take(folder.path()).unwrap();
    let error = DirectoryLock::share(folder.path()).unwrap_err();
    assert!(matches!(error, LockError::Held { pid: Some(_), .. }), "{error}");
    drop((nothing_to_lock, writer));
    let readers = [(); 2].map(|()| DirectoryLock::share(folder.path()).unwrap());
    let error = DirectoryLock::take(folder.path()).unwrap_err();
    assert!(matches!(error, LockError::Held { pid: None, .. }), "{error}");
    drop(readers);
    DirectoryLock::take(folder.path()).unwrap();
}
