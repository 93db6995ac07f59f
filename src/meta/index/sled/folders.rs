//! The databases in the folder of an index: generation 0 lies in it directly, later ones in folders of their
//! own below it. The marker of a clean stop names the one in use.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "generation-";

/// Returns where a database lies.
pub(in crate::meta) fn folder(index: &Path, generation: u64) -> PathBuf {
    if generation == 0 { index.to_owned() } else { index.join(format!("{PREFIX}{generation}")) }
}

/// Tells whether there are files where a database should lie.
pub(in crate::meta) fn has_database(index: &Path, generation: u64) -> bool {
    let entries = fs::read_dir(folder(index, generation));
    entries.is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| !is_generation(&entry.file_name())))
    })
}

/// Creates a folder for its owner alone. sled makes its files readable for everyone: the folder keeps others
/// out of all of them, also in a program that sets no umask.
pub(in crate::meta) fn create(folder: &Path, with_parents: bool) -> io::Result<()> {
    DirBuilder::new().recursive(with_parents).mode(0o700).create(folder)
}

/// Tells whether a folder in the folder of an index is a database of its own.
pub(in crate::meta) fn is_generation(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

/// Removes the databases that are not needed, as far as possible: a later start removes the rest.
pub(in crate::meta) fn remove(index: &Path, is_needed: impl Fn(u64) -> bool) {
    match remove_all(index, is_needed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("an old index could not be removed from {}: {error}", index.display());
        }
        _ => {}
    }
}

fn remove_all(index: &Path, is_needed: impl Fn(u64) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(index)? {
        let entry = entry?;
        let name = entry.file_name();
        let generation = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        if is_needed(generation.unwrap_or(0)) {
            continue;
        }
        let is_folder = entry.file_type()?.is_dir();
        let removed =
            if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
