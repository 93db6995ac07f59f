//! The databases in the folder of an index: the first one lies in it directly, those of compactions in
//! folders of their own below it. One of them is valid; the marker of a clean stop names it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PREFIX: &str = "generation-";

/// Returns where a database lies.
pub(in crate::meta) fn folder(index: &Path, generation: u64) -> PathBuf {
    if generation == 0 { index.to_owned() } else { index.join(format!("{PREFIX}{generation}")) }
}

/// Removes all databases but one, as far as possible: a later start removes the rest.
pub(in crate::meta) fn forget_others(index: &Path, generation: u64) {
    if let Err(error) = remove_others(index, generation) {
        log::warn!("an old index could not be removed from {}: {error}", index.display());
    }
}

fn remove_others(index: &Path, generation: u64) -> io::Result<()> {
    let kept = format!("{PREFIX}{generation}");
    for entry in fs::read_dir(index)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_generation = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        if name == *kept || (generation == 0 && !is_generation) {
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
