//! Metadata as the registry sees it: commands in, typed reads out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::blobs::BlobStore;
use crate::disk::Disk;
use crate::meta::checkpointer::Checkpointer;
use crate::meta::clean::{self, Clean};
use crate::meta::command::Command;
use crate::meta::error::{MetaError, OpenError};
use crate::meta::index::Index;
use crate::meta::journal::Journal;
use crate::meta::map_index::MapIndex;
use crate::meta::recovery::{Recovered, recover, remove_unfinished, resume, sync_tree};
use crate::meta::sled_index::SledIndex;
use crate::meta::start::{Start, after_recovery, make_folders};
use crate::meta::totals::Totals;
use crate::meta::view::View;
use crate::meta::writer::{Answer, Message, Rotation, Shared, Writer};

/// The folder of the index on the disk.
pub(super) const INDEX_FOLDER: &str = "index";

/// Where the index is kept.
#[derive(Debug, Clone)]
pub enum IndexKind {
    /// In memory, gone with the process.
    Map,
    /// In sled, in the folder `index` of the data directory that is given.
    Sled(PathBuf),
}

/// The least length of a journal file before the journal goes on in another.
const JOURNAL_MIN_BYTES: u64 = 16 * 1024 * 1024;

/// How much of the journal is kept as history.
const HISTORY_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What metadata is opened with.
#[derive(Debug, Clone)]
pub struct MetaOptions {
    /// Where the index is kept.
    pub index: IndexKind,
    /// The least length in bytes of a journal file before the journal goes on in another.
    pub journal_min_bytes: u64,
    /// How many bytes of journal files are kept that no recovery needs any more.
    pub history_max_bytes: u64,
    /// The content that metadata is made to agree with after damage.
    pub content: Option<BlobStore>,
    /// Whether the index is made anew even after a clean stop.
    pub distrust_index: bool,
}

impl MetaOptions {
    /// Returns the defaults for an index.
    pub fn new(index: IndexKind) -> Self {
        Self {
            index,
            journal_min_bytes: JOURNAL_MIN_BYTES,
            history_max_bytes: HISTORY_MAX_BYTES,
            content: None,
            distrust_index: false,
        }
    }
}

/// The metadata of a store: an index to read, and one writer that changes it.
pub struct Meta {
    disk: Arc<dyn Disk>,
    index: Arc<dyn Index>,
    kind: IndexKind,
    writer: Sender<Message>,
    thread: Mutex<Option<JoinHandle<Writer>>>,
    checkpointer: Checkpointer,
    shared: Arc<Shared>,
    start: Start,
}

impl std::fmt::Debug for Meta {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Meta").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Meta {
    /// Opens the metadata on a disk, and makes it when there is none.
    ///
    /// After anything but a clean stop the index is made anew from the journal.
    pub fn open(disk: Arc<dyn Disk>, options: MetaOptions) -> Result<Self, OpenError> {
        // First of all: whatever happens from here on, the next start is not after a clean stop of before.
        let marker = clean::take(disk.as_ref())?;
        make_folders(disk.as_ref())?;

        let MetaOptions { index: kind, journal_min_bytes, history_max_bytes, content, distrust_index } =
            options;
        let trusted = marker.as_ref().filter(|_| !distrust_index);
        let Opened { index, journal, totals, start } = match open_clean(disk.as_ref(), &kind, trusted)? {
            Some(opened) => {
                // A rotation that failed may have left one, and another would fail for it.
                remove_unfinished(disk.as_ref())?;
                opened
            }
            None => {
                let durable = marker.map_or(0, |marker| marker.seq);
                recovered(disk.as_ref(), &kind, durable, content.as_ref())?
            }
        };
        let shared = Arc::new(Shared { totals: Mutex::new(totals), ..Shared::default() });
        let (sender, messages) = channel();
        let (rotated, rotations) = channel();
        let checkpointer = Checkpointer::start(
            Arc::clone(&disk),
            Arc::clone(&index),
            sender.clone(),
            rotations,
            history_max_bytes,
        )
        .map_err(|error| OpenError::Thread(error.to_string()))?;
        let checkpoint_length = checkpointer.newest_length();
        let writer = Writer {
            journal,
            index: Arc::clone(&index),
            totals,
            shared: Arc::clone(&shared),
            disk: Arc::clone(&disk),
            rotation: Rotation { min_bytes: journal_min_bytes, checkpoint_length, rotated },
        };
        let thread = std::thread::Builder::new()
            .name("pulk-writer".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(|error| OpenError::Thread(error.to_string()))?;
        Ok(Self {
            disk,
            index,
            kind,
            writer: sender,
            thread: Mutex::new(Some(thread)),
            checkpointer,
            shared,
            start,
        })
    }

    /// Returns how this start found the metadata.
    pub fn start(&self) -> Start {
        self.start
    }

    /// Reads the index.
    pub fn view(&self) -> View<'_> {
        View::new(self.index.as_ref())
    }

    #[cfg(test)]
    pub(super) fn index(&self) -> &dyn Index {
        self.index.as_ref()
    }

    /// Sends a command to the writer; `answer` is called on the writer's thread, soon and once.
    pub fn submit(&self, command: Command, answer: Answer) {
        self.send(Message::Command(Box::new(command), answer));
    }

    fn send(&self, message: Message) {
        if let Err(unsent) = self.writer.send(message)
            && let Message::Command(_, answer) | Message::Barrier(answer) = unsent.0
        {
            answer(Err(MetaError::Stopped));
        }
    }

    /// Returns why writes are refused, if they are.
    pub fn poisoned(&self) -> Option<String> {
        self.shared.poisoned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how much is stored.
    pub fn totals(&self) -> Totals {
        *self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the writer after the commands that it has, and leaves the store so that the next start can trust
    /// the index. A second call does nothing.
    pub fn close(&self) -> Result<(), OpenError> {
        let taken = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = taken else { return Ok(()) };
        self.checkpointer.interrupt();
        self.send(Message::Stop);
        let stopped = thread.join().map_err(|_| OpenError::Thread("it ended in a panic".to_owned()));
        // Without the writer nobody rotates any more, which ends the checkpointer.
        let end = stopped.map(|writer| (writer.journal, writer.totals));
        self.checkpointer.join();
        let (journal, totals) = end?;
        self.index.close()?;
        if let Some(why) = journal.poisoned() {
            return Err(OpenError::Poisoned(why.to_owned()));
        }
        self.mark_clean(&journal, totals)
    }

    fn mark_clean(&self, journal: &Journal, totals: Totals) -> Result<(), OpenError> {
        let IndexKind::Sled(_) = &self.kind else { return Ok(()) };
        // 1. The journal is durable: the writer synced it last. 2. So is every file of the index.
        sync_tree(&self.disk, Path::new(INDEX_FOLDER))?;
        // 3. And the folder that holds it. 4. Only now may the marker say so.
        self.disk.sync_folder(Path::new(""))?;
        let clean = Clean { seq: journal.head(), line: journal.sum().clone(), totals };
        clean::write(self.disk.as_ref(), &clean)?;
        Ok(())
    }
}

impl Drop for Meta {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            log::error!("{error}");
        }
    }
}

struct Opened {
    index: Arc<dyn Index>,
    journal: Journal,
    totals: Totals,
    start: Start,
}

/// Goes on where a clean stop left off, if there was one and everything agrees with it.
fn open_clean(
    disk: &dyn Disk,
    kind: &IndexKind,
    marker: Option<&Clean>,
) -> Result<Option<Opened>, OpenError> {
    let (IndexKind::Sled(root), Some(marker)) = (kind, marker) else { return Ok(None) };
    let Some(journal) = resume(disk, marker)? else {
        log::warn!("the journal does not end where the last stop left it");
        return Ok(None);
    };
    let index = match SledIndex::open(&root.join(INDEX_FOLDER)) {
        Ok(index) => index,
        Err(error) => {
            log::warn!("{error}; it is made anew");
            return Ok(None);
        }
    };
    if index.applied()? != marker.seq {
        log::warn!("the index is not where the last stop left it");
        index.close()?;
        return Ok(None);
    }
    Ok(Some(Opened { index: Arc::new(index), journal, totals: marker.totals, start: Start::Clean }))
}

/// Makes the index anew.
fn recovered(
    disk: &dyn Disk,
    kind: &IndexKind,
    durable: u64,
    content: Option<&BlobStore>,
) -> Result<Opened, OpenError> {
    let index = empty_index(kind)?;
    let Recovered { journal, totals, damaged } = recover(disk, index.as_ref(), durable, content)?;
    Ok(Opened { index, journal, totals, start: after_recovery(disk, damaged)? })
}

fn empty_index(kind: &IndexKind) -> Result<Arc<dyn Index>, OpenError> {
    let IndexKind::Sled(root) = kind else { return Ok(Arc::new(MapIndex::new())) };
    let folder = root.join(INDEX_FOLDER);
    // sled's own files are no part of what must be durable, so they don't go through the disk's operations.
    match std::fs::remove_dir_all(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(OpenError::RemoveIndex(error)),
    }
    Ok(Arc::new(SledIndex::open(&folder)?))
}
