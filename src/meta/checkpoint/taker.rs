//! The thread that takes a checkpoint after each rotation of the journal and removes old files.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::base::lock;
use crate::blobs::BlobError;
use crate::disk::{Disk, DiskError};
use crate::meta::checkpoint::{self, WalkError, walk};
use crate::meta::clock::Clock;
use crate::meta::error::MetaOpenError;
use crate::meta::index::Index;
use crate::meta::journal::{self, Sum, forget_history};

/// Where a journal file begins: its first transaction, and the sum of the line before.
pub(in crate::meta) type FileBegin = (u64, Sum);

/// Waits until everything that is in the index now is durable in the journal, and returns whether it is.
pub(in crate::meta) type Barrier = dyn Fn() -> bool + Send;

/// Writes the files of all content that durable lines carry, durably.
pub(in crate::meta) type WriteFiles = dyn Fn() -> Result<(), BlobError> + Send;

/// A checkpoint that is due.
pub(in crate::meta) struct DueCheckpoint {
    pub(in crate::meta) begin: FileBegin,
    /// Gets the checkpoint's length; dropped when the checkpoint is not taken.
    pub(in crate::meta) waits: Option<Sender<u64>>,
}

/// Takes checkpoints, one at a time.
#[derive(Debug)]
pub(in crate::meta) struct Checkpointer {
    interrupted: Arc<AtomicBool>,
    newest_length: Arc<AtomicU64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How much history is kept, and how much space is left free.
#[derive(Debug, Clone, Copy)]
pub(in crate::meta) struct Retention {
    /// The most bytes of journal files that are kept although no recovery needs them.
    pub(in crate::meta) history_max_bytes: u64,
    /// The bytes of the disk that a checkpoint leaves free: deletes need them more.
    pub(in crate::meta) reserve_bytes: u64,
}

struct CheckpointThread {
    disk: Arc<dyn Disk>,
    index: Arc<dyn Index>,
    barrier: Box<Barrier>,
    write_files: Box<WriteFiles>,
    keep: Retention,
    clock: Arc<Clock>,
    interrupted: Arc<AtomicBool>,
    newest_length: Arc<AtomicU64>,
    /// The checkpoint whose name may not be durable, and which has to be removed.
    not_named: Option<u64>,
}

/// Why a checkpoint was not taken.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the files of small content could not be written: {0}")]
    NotFiled(#[from] BlobError),
    #[error("the journal could not be synced far enough")]
    NotDurable,
}

impl Checkpointer {
    /// Starts the thread, which ends when the sender of `rotations` is dropped.
    pub(in crate::meta) fn start(
        disk: Arc<dyn Disk>,
        index: Arc<dyn Index>,
        (barrier, write_files): (Box<Barrier>, Box<WriteFiles>),
        rotations: Receiver<DueCheckpoint>,
        keep: Retention,
        clock: Arc<Clock>,
    ) -> Result<Self, MetaOpenError> {
        let newest = match checkpoint::find(disk.as_ref()) {
            // A store on a read-only filesystem may lack the folder.
            Err(error) if error.is_not_found() => 0,
            found => found?.finished.first().map_or(0, |file| file.length),
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        let newest_length = Arc::new(AtomicU64::new(newest));
        let mut work = CheckpointThread {
            disk,
            index,
            barrier,
            write_files,
            keep,
            clock,
            interrupted: Arc::clone(&interrupted),
            newest_length: Arc::clone(&newest_length),
            not_named: None,
        };
        let thread = std::thread::Builder::new()
            .name("pulk-checkpoint".to_owned())
            .spawn(move || work.run(&rotations))
            .map_err(|error| MetaOpenError::Thread(error.to_string()))?;
        Ok(Self { interrupted, newest_length, thread: Mutex::new(Some(thread)) })
    }

    /// Returns where to read the newest checkpoint's length in bytes.
    pub(in crate::meta) fn newest_length(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.newest_length)
    }

    /// Interrupts the checkpoint in progress, if any, and keeps nothing of it.
    pub(in crate::meta) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    /// Waits for the thread's end.
    pub(in crate::meta) fn join(&self) {
        let thread = lock(&self.thread).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            log::error!("taking a checkpoint ended in a panic");
        }
    }
}

/// Returns where the journal's newest file begins if it has no checkpoint. The checkpoint is missing when the
/// stop came too soon after the rotation, or when the disk was full.
pub(in crate::meta) fn without_checkpoint(disk: &dyn Disk) -> Result<Option<FileBegin>, MetaOpenError> {
    let Some(number) = journal::list(disk)?.finished.last().copied() else { return Ok(None) };
    let Some(header) = journal::header_of(disk, number)? else { return Ok(None) };
    let newest = checkpoint::find(disk)?.finished.first().map_or(1, |file| file.begin);
    Ok((newest < header.first).then_some((header.first, header.prev)))
}

impl CheckpointThread {
    fn run(&mut self, rotations: &Receiver<DueCheckpoint>) {
        while let Ok(DueCheckpoint { begin, waits }) = rotations.recv() {
            let seq = begin.0;
            match self.take(begin) {
                Ok(length) => {
                    log::info!("took a checkpoint before transaction {seq}, {length} bytes");
                    self.newest_length.store(length, Ordering::SeqCst);
                    if let Some(waits) = waits
                        && waits.send(length).is_err()
                    {
                        log::debug!("the checkpoint is done, but its caller no longer waits");
                    }
                }
                Err(error) => {
                    log::warn!("no checkpoint was taken: {error}");
                    // The unfinished file has no trailer: listing removes it and frees its space.
                    if let Err(error) = checkpoint::list(self.disk.as_ref()) {
                        log::warn!("{error}");
                    }
                }
            }
        }
    }

    fn take(&mut self, begin: FileBegin) -> Result<u64, CheckpointError> {
        if let Some(not_named) = self.not_named {
            checkpoint::remove(self.disk.as_ref(), not_named)?;
            self.not_named = None;
        }
        // Listing removes what an earlier attempt left unfinished.
        checkpoint::list(self.disk.as_ref())?;
        // INVARIANT: what is walked is verified, and shows everything before `begin`.
        if !(self.barrier)() {
            return Err(CheckpointError::NotDurable);
        }
        // INVARIANT: a recovery from this checkpoint does not read the lines before `begin`. What they carry
        // has files.
        (self.write_files)()?;
        let (seq, reserve_bytes) = (begin.0, self.keep.reserve_bytes);
        let draft = walk(self.disk.as_ref(), self.index.as_ref(), begin, reserve_bytes, &self.interrupted)?;
        // INVARIANT: the trailer is written only when the journal is durable as far as the walk may have
        // seen.
        if !(self.barrier)() {
            return Err(CheckpointError::NotDurable);
        }
        let sealed = draft.seal(self.clock.known());
        if let Err(WalkError::NotNamed(_)) = &sealed {
            self.not_named = Some(seq);
        }
        let length = sealed?;
        if let Err(error) = self.forget_old_files() {
            log::warn!("{error}; it is tried again after the next checkpoint");
        }
        Ok(length)
    }

    fn forget_old_files(&self) -> Result<(), DiskError> {
        let files = checkpoint::list(self.disk.as_ref())?;
        let forgotten = checkpoint::forget_older(self.disk.as_ref(), &files);
        // With `CHECKPOINTS_KEPT` checkpoints, no recovery needs what came before the oldest of them.
        if let Some(oldest) = files.get(checkpoint::CHECKPOINTS_KEPT - 1) {
            forget_history(self.disk.as_ref(), oldest.begin, self.keep.history_max_bytes)?;
        }
        forgotten
    }
}
