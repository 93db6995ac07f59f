//! Taking a checkpoint.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::disk::{Disk, DiskError, DiskFile};
use crate::meta::checkpoint::files::{CHECKPOINT_FOLDER, finished_path, unfinished_path};
use crate::meta::checkpoint::format::{CheckpointRows, Trailer};
use crate::meta::clock::StoreTime;
use crate::meta::format::FORMAT;
use crate::meta::index::{Index, IndexError, fact_of};
use crate::meta::journal::{Sum, SumOfSums, encode};
use crate::meta::model::{Fact, Tree};

/// The most rows in one step; others may read and write between steps.
const STEP_ROWS_MAX: usize = 256;

/// The size at which a step ends: its rows, with the last one, still fit into a line.
const STEP_SIZE_MAX_BYTES: usize = 256 * 1024;

/// The pause between the steps of a walk.
const STEP_PAUSE: Duration = Duration::from_millis(1);

const WRITE_SIZE_BYTES: usize = 256 * 1024;

/// Why a walk did not finish.
#[derive(Debug, thiserror::Error)]
pub(in crate::meta) enum WalkError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("rows could not be rendered: {0}")]
    Render(#[from] serde_json::Error),
    #[error("it was interrupted")]
    Interrupted,
    /// Its name may not be durable, and could not be removed.
    #[error("{0}; its name is not durable")]
    NotNamed(DiskError),
    /// It would take bytes of the disk that it has to leave free.
    #[error("the disk is full; until there is space, a recovery takes longer")]
    Full,
}

/// A checkpoint without its trailer.
pub(in crate::meta) struct Draft<'a> {
    disk: &'a dyn Disk,
    file: Arc<dyn DiskFile>,
    /// The bytes of the disk that the checkpoint leaves free.
    reserve_bytes: u64,
    length: u64,
    pending: Vec<u8>,
    lines: SumOfSums,
    rows: u64,
    begin: u64,
    prev: Sum,
    /// The last transaction whose changes the walk may have seen.
    pub(in crate::meta) end: u64,
}

/// Writes all rows of the index to a new file. Transaction `begin` is the first of a journal file; `prev` is
/// the sum of the line before it. Ends when less than `reserve_bytes` of the disk would be left.
pub(in crate::meta) fn walk<'a>(
    disk: &'a dyn Disk,
    index: &dyn Index,
    (begin, prev): (u64, Sum),
    reserve_bytes: u64,
    interrupted: &AtomicBool,
) -> Result<Draft<'a>, WalkError> {
    let file = disk.create(&unfinished_path(begin))?;
    let (pending, lines) = (Vec::new(), SumOfSums::default());
    let mut draft =
        Draft { disk, file, reserve_bytes, length: 0, pending, lines, rows: 0, begin, prev, end: 0 };
    for tree in Tree::ALL {
        let mut after = None;
        loop {
            if interrupted.load(Ordering::SeqCst) {
                return Err(WalkError::Interrupted);
            }
            let (facts, last) = step(index, tree, after.as_deref())?;
            draft.push(facts)?;
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
            std::thread::sleep(STEP_PAUSE);
        }
    }
    draft.end = index.applied()?;
    Ok(draft)
}

type WalkStep = (Vec<Fact>, Option<Vec<u8>>);

/// Reads the next rows of a tree. Returns the last key with them unless the tree ends there.
fn step(index: &dyn Index, tree: Tree, after: Option<&[u8]>) -> Result<WalkStep, IndexError> {
    let mut facts = Vec::new();
    let mut last = None;
    let mut failed = None;
    let (mut rows, mut size) = (0, 0);
    let replacements = index.replacements();
    index.scan(tree, &[], after, &mut |key, value| {
        match fact_of(tree, key, value) {
            Ok(fact) => facts.extend(fact),
            Err(error) => failed = Some(error),
        }
        rows += 1;
        size += key.len() + value.len();
        if failed.is_none() && rows < STEP_ROWS_MAX && size < STEP_SIZE_MAX_BYTES {
            return ControlFlow::Continue(());
        }
        last = Some(key.to_vec());
        ControlFlow::Break(())
    })?;
    failed.map_or(Ok((facts, last)), |error| Err(index.unreadable(error, replacements)))
}

impl Draft<'_> {
    fn push(&mut self, facts: Vec<Fact>) -> Result<(), WalkError> {
        if facts.is_empty() {
            return Ok(());
        }
        self.rows += facts.len() as u64;
        let (line, sum) = encode(&CheckpointRows { facts })?;
        self.pending.extend_from_slice(&line);
        self.lines.add(&sum);
        if self.pending.len() >= WRITE_SIZE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), WalkError> {
        let needed = self.reserve_bytes.saturating_add(self.pending.len() as u64);
        if self.reserve_bytes > 0 && self.disk.free_bytes()?.is_some_and(|free| free < needed) {
            return Err(WalkError::Full);
        }
        self.file.write_at(&self.pending, self.length)?;
        self.file.start_write_back(self.length, self.pending.len() as u64);
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Completes the checkpoint and returns its length in bytes. The journal must be durable up to `end`.
    pub(in crate::meta) fn seal(mut self, time: StoreTime) -> Result<u64, WalkError> {
        let trailer = Trailer {
            checkpoint: FORMAT,
            begin: self.begin,
            prev: self.prev.clone(),
            end: self.end,
            time,
            rows: self.rows,
            lines: self.lines.finish(),
        };
        let (line, _) = encode(&trailer)?;
        self.pending.extend_from_slice(&line);
        self.write()?;
        self.file.sync()?;
        let finished = finished_path(self.begin);
        self.disk.rename(&unfinished_path(self.begin), &finished)?;
        let Err(error) = self.disk.sync_folder(Path::new(CHECKPOINT_FOLDER)) else { return Ok(self.length) };
        // INVARIANT: no older checkpoint goes because of one whose name may not be durable. A later sync
        // would not write the name.
        Err(match self.disk.remove(&finished) {
            Ok(()) => error.into(),
            Err(_) => WalkError::NotNamed(error),
        })
    }
}
