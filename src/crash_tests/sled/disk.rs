//! A disk that loses power, except for the index: sled writes its files by itself, so these are in a real
//! folder, and the disk only watches whether they were made durable.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::TempDir;

use crate::disk::simulated::{Place, SimulatedDisk};
use crate::disk::{Disk, DiskError, DiskFile, Entry, ReadFile, RealDisk, SyncSite};
use crate::meta::copy_folder;
use crate::spec::ContentDigest;

const INDEX_FOLDER: &str = "index";
const MARKER: &str = "clean";

/// A watched disk. A clone is the same disk.
#[derive(Clone)]
pub(crate) struct WatchedDisk {
    simulated: SimulatedDisk,
    root: PathBuf,
    real: Arc<RealDisk>,
    watch: Arc<Mutex<Watch>>,
}

#[derive(Default)]
struct Watch {
    /// What was made durable since the last stop.
    syncs: Vec<IndexSync>,
    stops: Vec<Stop>,
}

/// A sync of one of the index's files or folders, or of the root.
#[derive(Clone)]
struct IndexSync {
    path: PathBuf,
    place: Place,
    /// Of a file's bytes.
    digest: Option<ContentDigest>,
}

/// A clean stop: the moment in which the marker gets its name.
pub(crate) struct Stop {
    /// How many steps had been recorded.
    pub(crate) at: usize,
    /// A copy of the index's folder.
    pub(crate) index: TempDir,
    syncs: Vec<IndexSync>,
}

impl Stop {
    /// Returns the places that made a part of the index durable.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.syncs.iter().map(|sync| sync.place)
    }

    /// Tells whether all of the index was durable, if the syncs of `ignored` had no effect.
    pub(crate) fn index_was_durable(&self, ignored: Option<Place>) -> bool {
        let done = || self.syncs.iter().filter(|sync| Some(sync.place) != ignored);
        let first = self.syncs.iter().position(|sync| sync.digest.is_some()).unwrap_or(0);
        let root = self.syncs.iter().skip(first).any(|sync| {
            sync.path.as_os_str().is_empty() && sync.digest.is_none() && Some(sync.place) != ignored
        });
        let all = entries(self.index.path()).into_iter().all(|(path, digest)| {
            let path = Path::new(INDEX_FOLDER).join(path);
            done().any(|sync| sync.path == path && sync.digest == digest)
        });
        let folder = done().any(|sync| sync.path == Path::new(INDEX_FOLDER));
        root && all && folder
    }
}

impl WatchedDisk {
    /// Makes a disk whose index is, or will be, in a folder of `root`.
    pub(crate) fn new(simulated: SimulatedDisk, root: &Path) -> Self {
        let real = Arc::new(RealDisk::open(root).unwrap());
        Self { simulated, root: root.to_owned(), real, watch: Arc::default() }
    }

    /// Returns the stops, and checks that the index's folder is unchanged since the last of them.
    pub(crate) fn take_stops(&self) -> Vec<Stop> {
        self.check_untouched();
        std::mem::take(&mut self.watch().stops)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap()
    }

    fn side(&self, path: &Path) -> &dyn Disk {
        if path.starts_with(INDEX_FOLDER) { self.real.as_ref() } else { &self.simulated }
    }

    fn watched(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        if !path.starts_with(INDEX_FOLDER) {
            return file;
        }
        Arc::new(WatchedFile { path: path.to_owned(), file, disk: self.clone() })
    }

    fn note(&self, path: &Path, site: SyncSite, digest: Option<ContentDigest>) {
        self.watch().syncs.push(IndexSync { path: path.to_owned(), place: Place::of(site), digest });
    }

    fn stopped(&self) {
        let at = self.simulated.steps().len();
        let index = tempfile::tempdir().unwrap();
        copy_folder(&self.root.join(INDEX_FOLDER), index.path());
        let mut watch = self.watch();
        let syncs = std::mem::take(&mut watch.syncs);
        watch.stops.push(Stop { at, index, syncs });
    }

    /// INVARIANT: the files that the marker covers are not written until the marker is removed.
    fn check_untouched(&self) {
        if let Some(stop) = self.watch().stops.last() {
            let now = entries(&self.root.join(INDEX_FOLDER));
            assert!(now == entries(stop.index.path()), "the index was written to after it was marked clean");
        }
    }
}

/// Returns everything in a folder, files with the digests of their bytes.
fn entries(folder: &Path) -> Vec<(PathBuf, Option<ContentDigest>)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner)).unwrap().map(Result::unwrap) {
            let path = inner.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                found.push((path.clone(), None));
                folders.push(path);
            } else {
                found.push((path, Some(ContentDigest::sha256_of(&fs::read(entry.path()).unwrap()))));
            }
        }
    }
    found.sort();
    found
}

impl Disk for WatchedDisk {
    fn create(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.side(path).create(path).map(|file| self.watched(path, file))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.side(path).open(path).map(|file| self.watched(path, file))
    }

    fn open_writable(&self, path: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.side(path).open_writable(path).map(|file| self.watched(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        if to == Path::new(MARKER) {
            self.stopped();
        }
        self.side(from).rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        self.side(from).rename_new(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        if path == Path::new(MARKER) {
            self.check_untouched();
        }
        self.side(path).remove(path)
    }

    fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.side(path).create_folder(path)
    }

    fn remove_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.side(path).remove_folder(path)
    }

    fn sync_folder_at(&self, path: &Path, site: SyncSite) -> Result<(), DiskError> {
        self.side(path).sync_folder_at(path, site)?;
        if path.as_os_str().is_empty() || path.starts_with(INDEX_FOLDER) {
            self.note(path, site, None);
        }
        Ok(())
    }

    fn sync_filesystem_at(&self, folder: &Path, site: SyncSite) -> Result<(), DiskError> {
        self.side(folder).sync_filesystem_at(folder, site)
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, DiskError> {
        self.side(path).list(path)
    }

    fn free_bytes(&self) -> Result<Option<u64>, DiskError> {
        Ok(None)
    }
}

/// A file of the index.
#[derive(Clone)]
struct WatchedFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    disk: WatchedDisk,
}

impl std::fmt::Debug for WatchedFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WatchedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ReadFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.file.read_at(buffer, offset)
    }

    fn length(&self) -> Result<u64, DiskError> {
        self.file.length()
    }

    fn identity(&self) -> Result<u64, DiskError> {
        self.file.identity()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl DiskFile for WatchedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_at(bytes, offset)
    }

    fn sync_at(&self, site: SyncSite) -> Result<(), DiskError> {
        let bytes = fs::read(self.disk.root.join(&self.path)).unwrap();
        self.file.sync_at(site)?;
        self.disk.note(&self.path, site, Some(ContentDigest::sha256_of(&bytes)));
        Ok(())
    }

    fn truncate(&self, length: u64) -> Result<(), DiskError> {
        self.file.truncate(length)
    }

    fn reserve(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.file.reserve(offset, length)
    }

    fn start_write_back(&self, offset: u64, length: u64) {
        self.file.start_write_back(offset, length);
    }

    fn has_other_names(&self) -> Result<Option<bool>, DiskError> {
        self.file.has_other_names()
    }
}
