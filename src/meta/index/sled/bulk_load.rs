//! Sorting changes before they are loaded into an index, with bounded memory.
//!
//! sled takes rows in the order of their keys several times faster than in the order of a journal, and needs
//! fewer pages for them. So changes are collected, sorted runs of them are written to unlinked files, and all
//! runs are merged at the end; the last of several changes of a row wins. Runs are never synced: an index
//! that a crash leaves is discarded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::meta::model::{RowChange, Tree};

/// How much is held in memory before it is written as a run.
pub(in crate::meta) const RUN_SIZE_MAX_BYTES: usize = 16 * 1024 * 1024;

const BUFFER_SIZE_BYTES: usize = 64 * 1024;

/// Stands for the length of an absent value.
const ABSENT: u32 = u32::MAX;

/// Changes on their way into an index.
#[derive(Debug)]
pub(in crate::meta) struct BulkLoad {
    folder: PathBuf,
    run_size_max_bytes: usize,
    pending: Vec<RowChange>,
    pending_bytes: usize,
    runs: Vec<BufReader<File>>,
}

impl BulkLoad {
    /// Makes an empty load; runs are written into `folder`.
    pub(in crate::meta) fn new(folder: &Path, run_size_max_bytes: usize) -> Self {
        let folder = folder.to_owned();
        Self { folder, run_size_max_bytes, pending: Vec::new(), pending_bytes: 0, runs: Vec::new() }
    }

    /// Appends changes.
    pub(in crate::meta) fn add(&mut self, changes: &[RowChange]) -> io::Result<()> {
        for change in changes {
            let value = change.value.as_ref().map_or(0, Vec::len);
            self.pending_bytes += size_of::<RowChange>() + change.key.len() + value;
            self.pending.push(change.clone());
            if self.pending_bytes >= self.run_size_max_bytes {
                self.spill()?;
            }
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let path = self.folder.join("run");
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        // Unlink it right away, so that the system frees it even after a crash.
        std::fs::remove_file(&path)?;
        let mut run = BufWriter::with_capacity(BUFFER_SIZE_BYTES, file);
        for change in &self.sorted() {
            write(&mut run, change)?;
        }
        let mut file = run.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(BufReader::with_capacity(BUFFER_SIZE_BYTES, file));
        Ok(())
    }

    /// Takes the pending changes, in the order of the rows; changes of one row stay in the order they came
    /// in.
    fn sorted(&mut self) -> Vec<RowChange> {
        self.pending_bytes = 0;
        let mut changes = std::mem::take(&mut self.pending);
        changes.sort_by(|one, other| (one.tree, &one.key).cmp(&(other.tree, &other.key)));
        changes
    }

    /// Visits the last change of each row, in the order of trees and keys.
    pub(in crate::meta) fn merge<E: From<io::Error>>(
        mut self,
        mut visit: impl FnMut(RowChange) -> Result<(), E>,
    ) -> Result<(), E> {
        let last = self.sorted().into_iter().map(Ok);
        let files = std::mem::take(&mut self.runs);
        let mut runs: Vec<SortedRun> =
            files.into_iter().map(|file| Box::new(Stored(file)) as SortedRun).collect();
        runs.push(Box::new(last));

        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(head(number, run)?);
        }
        let mut current: Option<RowChange> = None;
        while let Some(Reverse((tree, key, number, value))) = heads.pop() {
            if let Some(run) = runs.get_mut(number) {
                heads.extend(head(number, run)?);
            }
            let next = RowChange { tree, key, value };
            // A later run's change of a row replaces an earlier run's.
            match current.replace(next) {
                Some(done) if current.as_ref().is_some_and(|next| !same_row(&done, next)) => visit(done)?,
                _ => {}
            }
        }
        current.map_or(Ok(()), visit)
    }
}

/// Changes in the order of their rows.
type SortedRun = Box<dyn Iterator<Item = io::Result<RowChange>>>;

/// A run's next change, ordered by its row, then by the run.
type RunHead = Reverse<(Tree, Vec<u8>, usize, Option<Vec<u8>>)>;

fn head(number: usize, run: &mut SortedRun) -> io::Result<Option<RunHead>> {
    let next = run.next().transpose()?;
    Ok(next.map(|RowChange { tree, key, value }| Reverse((tree, key, number, value))))
}

fn same_row(one: &RowChange, other: &RowChange) -> bool {
    (one.tree, &one.key) == (other.tree, &other.key)
}

/// A run that was written to a file.
struct Stored(BufReader<File>);

impl Iterator for Stored {
    type Item = io::Result<RowChange>;

    fn next(&mut self) -> Option<Self::Item> {
        read(&mut self.0).transpose()
    }
}

fn write(run: &mut impl Write, change: &RowChange) -> io::Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    let value = change.value.as_deref();
    run.write_all(&[change.tree as u8])?;
    run.write_all(&length(&change.key)?.to_le_bytes())?;
    run.write_all(&value.map_or(Ok(ABSENT), length)?.to_le_bytes())?;
    run.write_all(&change.key)?;
    run.write_all(value.unwrap_or_default())
}

/// Reads the next change, or `None` at the end.
fn read(run: &mut impl Read) -> io::Result<Option<RowChange>> {
    let mut tree = [0];
    if run.read(&mut tree)? == 0 {
        return Ok(None);
    }
    let tree = tree.first().and_then(|at| Tree::ALL.get(usize::from(*at)).copied());
    let tree = tree.ok_or(io::ErrorKind::InvalidData)?;
    let (key, value) = (read_length(run)?, read_length(run)?);
    let key = read_bytes(run, key)?;
    let value = if value == ABSENT { None } else { Some(read_bytes(run, value)?) };
    Ok(Some(RowChange { tree, key, value }))
}

fn read_length(run: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    run.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_bytes(run: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    // A damaged file may say any length: memory is taken only for bytes that are there.
    let mut bytes = Vec::new();
    let read = run.take(length.into()).read_to_end(&mut bytes)?;
    if read as u64 == u64::from(length) { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_without_its_bytes_takes_no_memory() {
        let error = read_bytes(&mut &b"abc"[..], u32::MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_bytes(&mut &b"abc"[..], 2).unwrap(), b"ab");
    }

    fn merged(load: BulkLoad) -> Vec<(Tree, Vec<u8>, Option<Vec<u8>>)> {
        let mut merged = Vec::new();
        load.merge(|RowChange { tree, key, value }| {
            merged.push((tree, key, value));
            Ok::<_, io::Error>(())
        })
        .unwrap();
        merged
    }

    proptest! {
        /// For any limit of memory, each row comes once, in order, as its last change left it.
        #[test]
        fn merging_is_making_the_changes_one_after_the_other(
            rows in proptest::collection::vec((0..3_usize, 0..9_u8, proptest::option::of(0..4_usize)), 0..99),
            run_size_max_bytes in 1..2000_usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut load = BulkLoad::new(folder.path(), run_size_max_bytes);
            let mut model = BTreeMap::new();
            for (tree, key, length) in rows {
                let (tree, key, value) = (Tree::ALL[tree], vec![key], length.map(|length| vec![7; length]));
                model.insert((tree, key.clone()), value.clone());
                load.add(&[RowChange { tree, key, value }]).unwrap();
            }
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            let expected: Vec<_> = model.into_iter().map(|((tree, key), value)| (tree, key, value)).collect();
            prop_assert_eq!(merged(load), expected);
        }
    }
}
