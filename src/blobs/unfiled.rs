//! Small content that is durable in the journal and has no file yet.
//!
//! A push of small content writes no file. Its bytes ride in the journal's line, whose one sync makes
//! content and row durable. Until its file is durable, the content is held here and read from here. Files
//! are written in batches, later.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use crate::base::{lock, wait, wait_while};
use crate::disk::{DiskError, ReadFile};
use crate::spec::ContentDigest;

/// The longest content that rides in the journal's line.
pub const CARRIED_MAX_BYTES: usize = 8 * 1024;

/// The most bytes that are held here. When they are reached, a push writes its own file.
const HELD_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes of unfinished uploads that are kept without a file.
const SHORT_UPLOADS_MAX_BYTES: usize = 2 * 1024 * 1024;

/// What an entry takes in addition to its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// How long content stays without a file, unless there is much of it.
const FILED_AFTER: Duration = Duration::from_secs(10);

/// Small content whose bytes become durable with the journal's line that names it.
#[derive(Debug, Clone)]
pub struct CarriedBlob {
    digest: ContentDigest,
    bytes: Arc<[u8]>,
    /// Held until the bytes are entered as unfiled content.
    _room: Arc<ReservedBytes>,
}

impl CarriedBlob {
    pub(super) fn digest(&self) -> ContentDigest {
        self.digest
    }

    pub(super) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

/// Content without files. The journal's writer enters what it has written, in the order of its lines.
///
/// INVARIANT: content is here from before its row is visible until its file is durable. A file of that name
/// may be torn as long, so content here is read before any file.
#[derive(Debug)]
pub struct UnfiledContent {
    state: Mutex<State>,
    changed: Condvar,
    carried_max: AtomicUsize,
    carried: Arc<ByteBudget>,
    uploads: Arc<ByteBudget>,
    /// Held while files are written.
    pub(super) writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<ContentDigest, HeldContent>,
    /// The transactions that carry the entries.
    lines: BTreeSet<(u64, ContentDigest)>,
    bytes: usize,
    /// The last transaction that is known to be durable.
    durable: u64,
    /// The last transaction that carries content.
    last: u64,
    /// Whether the filer waits for anything to write.
    is_filer_idle: bool,
    stops: bool,
}

/// Content that has no durable file.
#[derive(Debug, Clone)]
pub(super) struct HeldContent {
    pub(super) bytes: Arc<[u8]>,
    /// The transaction whose line carries it.
    seq: u64,
    since: SystemTime,
    /// Its number among all entries of this process.
    number: u64,
}

impl UnfiledContent {
    /// Makes one that carries nothing until [`Self::carry_up_to`] is called.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            carried_max: AtomicUsize::new(0),
            carried: ByteBudget::new(HELD_MAX_BYTES),
            uploads: ByteBudget::new(SHORT_UPLOADS_MAX_BYTES),
            writing: Mutex::default(),
        })
    }

    /// Sets the length of the longest content that is carried; 0 for none. Only a store with a journal may
    /// carry any.
    pub fn carry_up_to(&self, bytes: usize) {
        self.carried_max.store(bytes, Ordering::Relaxed);
    }

    /// Returns the length of the longest content that is carried.
    pub(super) fn carried_max(&self) -> usize {
        self.carried_max.load(Ordering::Relaxed)
    }

    /// Returns room for more bytes of an unfinished upload, unless there are too many.
    pub(super) fn room_for_upload(&self, bytes: usize) -> Option<ReservedBytes> {
        self.uploads.reserve(bytes)
    }

    /// Returns content for a command that carries it, if it is short and there is room. The caller has
    /// verified that `bytes` have this digest.
    pub fn carry(&self, digest: ContentDigest, bytes: &Arc<[u8]>) -> Option<CarriedBlob> {
        let max = self.carried_max();
        if max == 0 || bytes.len() > max {
            return None;
        }
        let held = lock(&self.state).bytes;
        let room = self.carried.reserve(bytes.len() + ENTRY_OVERHEAD_BYTES)?;
        if held + self.carried.used() > HELD_MAX_BYTES {
            return None;
        }
        Some(CarriedBlob { digest, bytes: Arc::clone(bytes), _room: Arc::new(room) })
    }

    /// Returns the bytes of content that is here.
    ///
    /// INVARIANT: a line that makes a row of content carries it if it is here. A file of that name may be
    /// replaced at any moment by one that is not durable, and a recovery forgets what a line before carries
    /// once a line removes the row.
    pub fn bytes_of(&self, digest: &ContentDigest) -> Option<Arc<[u8]>> {
        lock(&self.state).entries.get(digest).map(|entry| Arc::clone(&entry.bytes))
    }

    /// Enters what the line of a transaction carries, before the line is durable.
    pub fn enter(&self, digest: ContentDigest, bytes: &Arc<[u8]>, seq: u64) {
        let mut state = lock(&self.state);
        state.last = state.last.max(seq);
        state.enter(digest, bytes, seq);
    }

    /// Enters what the journal of an earlier run carries, up to transaction `last`.
    pub fn restore(&self, content: &BTreeMap<ContentDigest, Arc<[u8]>>, last: u64) {
        let mut state = lock(&self.state);
        if !content.is_empty() {
            state.last = state.last.max(last);
        }
        content.iter().for_each(|(digest, bytes)| state.enter(*digest, bytes, 0));
        self.changed.notify_all();
    }

    /// Notes that a clean stop has filed everything that transactions up to this one carry.
    pub fn filed_by_stop(&self, last: u64) {
        let mut state = lock(&self.state);
        state.last = state.last.max(last);
    }

    /// Notes that every transaction up to this one is durable.
    pub fn durable_up_to(&self, seq: u64) {
        let mut state = lock(&self.state);
        state.durable = seq;
        if state.has_durable() && (state.is_filer_idle || state.bytes >= HELD_MAX_BYTES / 2) {
            self.changed.notify_all();
        }
    }

    /// Drops what only transactions after this one carry: they are lost.
    pub fn forget_after(&self, seq: u64) {
        let mut state = lock(&self.state);
        let lost: Vec<ContentDigest> =
            state.lines.iter().rev().take_while(|(line, _)| *line > seq).map(|(_, digest)| *digest).collect();
        lost.iter().for_each(|digest| drop(state.remove(digest)));
        state.last = state.last.min(seq);
        state.durable = seq;
    }

    /// Returns the last transaction such that everything that it and the ones before it carry is durable in
    /// files, as far as content is known to be needed.
    pub fn filed_up_to(&self) -> u64 {
        let state = lock(&self.state);
        state.lines.first().map_or(state.last, |(first, _)| first.saturating_sub(1))
    }

    /// Returns how many bytes of content are here.
    pub fn bytes(&self) -> u64 {
        let state = lock(&self.state);
        (state.bytes - state.entries.len() * ENTRY_OVERHEAD_BYTES) as u64
    }

    /// Opens content that is here.
    pub(super) fn open(&self, digest: &ContentDigest) -> Option<Arc<dyn ReadFile>> {
        let entry = lock(&self.state).entries.get(digest).cloned()?;
        Some(Arc::new(UnfiledFile(entry)))
    }

    /// Removes content. Returns whether it was here.
    pub(super) fn remove(&self, digest: &ContentDigest) -> bool {
        lock(&self.state).remove(digest).is_some()
    }

    /// Returns everything that is here with its length in bytes.
    pub(super) fn list(&self) -> Vec<(ContentDigest, u64)> {
        let state = lock(&self.state);
        state.entries.iter().map(|(digest, entry)| (*digest, entry.bytes.len() as u64)).collect()
    }

    /// Returns what can be filed.
    ///
    /// INVARIANT: its line is durable. A file that is being written may replace one that is durable.
    pub(super) fn batch(&self) -> Vec<(ContentDigest, HeldContent)> {
        let state = lock(&self.state);
        let durable = state.entries.iter().filter(|(_, entry)| entry.seq <= state.durable);
        durable.map(|(digest, entry)| (*digest, entry.clone())).collect()
    }

    /// Gives a file its name, if its content is still here as it was. What is removed meanwhile may be stored
    /// again in another way, and that file must stay.
    pub(super) fn name_file<T>(
        &self,
        digest: &ContentDigest,
        filed: &HeldContent,
        name: impl FnOnce() -> T,
    ) -> Option<T> {
        let state = lock(&self.state);
        let is_here = state.entries.get(digest).is_some_and(|entry| entry.number == filed.number);
        is_here.then(name)
    }

    /// Drops what has durable files now, unless it was removed and entered again meanwhile.
    pub(super) fn filed(&self, batch: &[(ContentDigest, HeldContent)]) {
        let mut state = lock(&self.state);
        for (digest, filed) in batch {
            if state.entries.get(digest).is_some_and(|entry| entry.number == filed.number) {
                drop(state.remove(digest));
            }
        }
    }

    /// Waits until files should be written: some time after the first content came, or once there is much of
    /// it. After a failure, waits for `pause`. Returns false at the stop.
    pub(super) fn wait(&self, pause: Option<Duration>) -> bool {
        let mut state = lock(&self.state);
        while !state.stops && !state.has_durable() {
            state.is_filer_idle = true;
            state = wait(&self.changed, state);
        }
        state.is_filer_idle = false;
        let goes_on =
            |state: &mut State| !state.stops && (pause.is_some() || state.bytes < HELD_MAX_BYTES / 2);
        !wait_while(&self.changed, state, pause.unwrap_or(FILED_AFTER), goes_on).stops
    }

    /// Ends the waits, also later ones.
    pub(super) fn stop(&self) {
        lock(&self.state).stops = true;
        self.changed.notify_all();
    }
}

impl State {
    /// Enters content. An earlier line that carries it stays the one that counts.
    fn enter(&mut self, digest: ContentDigest, bytes: &Arc<[u8]>, seq: u64) {
        static ENTERED: AtomicU64 = AtomicU64::new(0);
        if self.entries.contains_key(&digest) {
            return;
        }
        self.bytes += bytes.len() + ENTRY_OVERHEAD_BYTES;
        let number = ENTERED.fetch_add(1, Ordering::Relaxed);
        let entry = HeldContent { bytes: Arc::clone(bytes), seq, since: SystemTime::now(), number };
        self.entries.insert(digest, entry);
        self.lines.insert((seq, digest));
    }

    fn remove(&mut self, digest: &ContentDigest) -> Option<HeldContent> {
        let entry = self.entries.remove(digest)?;
        self.bytes -= entry.bytes.len() + ENTRY_OVERHEAD_BYTES;
        self.lines.remove(&(entry.seq, *digest));
        Some(entry)
    }

    fn has_durable(&self) -> bool {
        self.lines.first().is_some_and(|(first, _)| *first <= self.durable)
    }
}

/// How many bytes are in use, of at most `max`.
#[derive(Debug)]
struct ByteBudget {
    used: AtomicUsize,
    max: usize,
}

impl ByteBudget {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn reserve(self: &Arc<Self>, bytes: usize) -> Option<ReservedBytes> {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(ReservedBytes { budget: Arc::clone(self), bytes })
    }
}

/// Bytes of a budget, until this is dropped.
#[derive(Debug)]
pub struct ReservedBytes {
    budget: Arc<ByteBudget>,
    bytes: usize,
}

impl Drop for ReservedBytes {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Content that is here, open for reading.
#[derive(Debug)]
struct UnfiledFile(HeldContent);

impl ReadFile for UnfiledFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.bytes.get(begin..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(space), Some(bytes)) = (buffer.get_mut(..length), rest.get(..length)) {
            space.copy_from_slice(bytes);
        }
        Ok(length)
    }

    fn length(&self) -> Result<u64, DiskError> {
        Ok(self.0.bytes.len() as u64)
    }

    fn written_at(&self) -> Option<SystemTime> {
        Some(self.0.since)
    }

    /// The files of a disk are numbered from the other end.
    fn identity(&self) -> Result<u64, DiskError> {
        Ok(u64::MAX - self.0.number)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
