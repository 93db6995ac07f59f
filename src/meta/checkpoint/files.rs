//! The paths of checkpoints.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskError};

/// The folder of the checkpoints.
pub(in crate::meta) const CHECKPOINT_FOLDER: &str = "checkpoint";

/// The number of checkpoints that are kept: if the newest is damaged, recovery uses the other.
pub(in crate::meta) const CHECKPOINTS_KEPT: usize = 2;

const FINISHED: &str = "checkpoint";
const UNFINISHED: &str = "new";
const DAMAGED: &str = "damaged";

/// A finished checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meta) struct CheckpointFile {
    /// The first transaction to replay over it, which names the file.
    pub(in crate::meta) begin: u64,
    /// Its length in bytes.
    pub(in crate::meta) length: u64,
}

impl CheckpointFile {
    pub(in crate::meta) fn path(&self) -> PathBuf {
        path(self.begin, FINISHED)
    }
}

pub(super) fn finished_path(begin: u64) -> PathBuf {
    path(begin, FINISHED)
}

pub(super) fn unfinished_path(begin: u64) -> PathBuf {
    path(begin, UNFINISHED)
}

fn path(begin: u64, ending: &str) -> PathBuf {
    Path::new(CHECKPOINT_FOLDER).join(format!("{begin:012}.{ending}"))
}

/// The files of checkpoints.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::meta) struct CheckpointFiles {
    /// The finished ones, the newest first.
    pub(in crate::meta) finished: Vec<CheckpointFile>,
    /// Those that a crash or an interruption left unfinished.
    pub(in crate::meta) unfinished: Vec<PathBuf>,
    /// Those that were set aside because they are damaged.
    pub(in crate::meta) damaged: Vec<PathBuf>,
}

impl CheckpointFiles {
    /// Returns the paths of all finished and damaged checkpoints, each with its first transaction to replay.
    pub(in crate::meta) fn all(&self) -> Vec<(u64, PathBuf)> {
        let begin = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
        let finished = self.finished.iter().map(|file| (file.begin, file.path()));
        let damaged = self.damaged.iter().filter_map(|path| Some((begin(path)?, path.clone())));
        finished.chain(damaged).collect()
    }
}

/// Finds checkpoints and changes nothing.
pub(in crate::meta) fn find(disk: &dyn Disk) -> Result<CheckpointFiles, DiskError> {
    let mut files = CheckpointFiles::default();
    for entry in disk.list(Path::new(CHECKPOINT_FOLDER))? {
        let path = Path::new(CHECKPOINT_FOLDER).join(&entry.name);
        match entry.name.split_once('.') {
            Some((begin, FINISHED)) => {
                if let Ok(begin) = begin.parse() {
                    files.finished.push(CheckpointFile { begin, length: entry.length });
                }
            }
            Some((_, UNFINISHED)) => files.unfinished.push(path),
            Some((_, DAMAGED)) => files.damaged.push(path),
            _ => {}
        }
    }
    files.finished.sort_unstable_by_key(|file| std::cmp::Reverse(file.begin));
    Ok(files)
}

/// Lists the finished checkpoints, the newest first, and removes unfinished ones.
pub(in crate::meta) fn list(disk: &dyn Disk) -> Result<Vec<CheckpointFile>, DiskError> {
    let files = find(disk)?;
    for path in &files.unfinished {
        log::info!("removing {}, which was left unfinished", path.display());
        disk.remove(path)?;
    }
    Ok(files.finished)
}

/// Removes all but the newest `CHECKPOINTS_KEPT` checkpoints. If a crash brings one back, it is still intact.
pub(in crate::meta) fn forget_older(
    disk: &dyn Disk,
    newest_first: &[CheckpointFile],
) -> Result<(), DiskError> {
    let older = newest_first.iter().skip(CHECKPOINTS_KEPT);
    older.map(|file| disk.remove(&file.path())).fold(Ok(()), Result::and)
}

/// Removes a checkpoint, if it exists.
pub(in crate::meta) fn remove(disk: &dyn Disk, begin: u64) -> Result<(), DiskError> {
    match disk.remove(&finished_path(begin)) {
        Err(error) if error.is_not_found() => Ok(()),
        removed => removed,
    }
}

/// Renames a damaged checkpoint, so that no recovery tries it again, and returns where it is now.
pub(in crate::meta) fn set_aside(disk: &dyn Disk, file: &CheckpointFile) -> Result<PathBuf, DiskError> {
    let aside = path(file.begin, DAMAGED);
    disk.rename(&file.path(), &aside)?;
    disk.sync_folder(Path::new(CHECKPOINT_FOLDER))?;
    Ok(aside)
}
