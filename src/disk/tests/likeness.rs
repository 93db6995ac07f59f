//! The disks in memory behave as the real one, down to the words of their errors.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Disk, DiskError, DiskFile};
use super::{bytes, list, memory, real, simulated};

/// How many files a sequence keeps open, by number.
const HANDLES: usize = 3;

/// Names that collide: files and folders alike, at the root and below.
const PATHS: [&str; 7] = ["a", "b", "f", "f/a", "f/b", "f/g", "f/g/a"];

#[derive(Debug, Clone)]
enum Operation {
    Create(&'static str, usize),
    Open(&'static str, usize),
    OpenWritable(&'static str, usize),
    Rename(&'static str, &'static str),
    RenameNew(&'static str, &'static str),
    Remove(&'static str),
    CreateFolder(&'static str),
    RemoveFolder(&'static str),
    SyncFolder(&'static str),
    List(&'static str),
    Read(usize, u64, usize),
    Write(usize, u64, usize, u8),
    Truncate(usize, u64),
    Reserve(usize, u64, u64),
    StartWriteBack(usize, u64, u64),
    Sync(usize),
    Length(usize),
    Close(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let path = || proptest::sample::select(&PATHS[..]);
    let handle = || 0..HANDLES;
    // Offsets near the ends of pages as often as anywhere.
    let offset = || prop_oneof![0..200_000_u64, 65_530..65_545_u64, 0..10_u64];
    let length = || prop_oneof![0..80_000_usize, 65_530..65_545_usize, 0..10_usize];
    prop_oneof![
        4 => (path(), handle()).prop_map(|(path, handle)| Operation::Create(path, handle)),
        2 => (path(), handle()).prop_map(|(path, handle)| Operation::Open(path, handle)),
        2 => (path(), handle()).prop_map(|(path, handle)| Operation::OpenWritable(path, handle)),
        3 => (path(), path()).prop_map(|(from, to)| Operation::Rename(from, to)),
        3 => (path(), path()).prop_map(|(from, to)| Operation::RenameNew(from, to)),
        2 => path().prop_map(Operation::Remove),
        3 => path().prop_map(Operation::CreateFolder),
        2 => path().prop_map(Operation::RemoveFolder),
        1 => path().prop_map(Operation::SyncFolder),
        1 => path().prop_map(Operation::List),
        4 => (handle(), offset(), length()).prop_map(|(file, at, length)| Operation::Read(file, at, length)),
        6 => (handle(), offset(), length(), 1..255_u8)
            .prop_map(|(handle, at, length, byte)| Operation::Write(handle, at, length, byte)),
        3 => (handle(), offset()).prop_map(|(handle, length)| Operation::Truncate(handle, length)),
        1 => (handle(), offset(), offset()).prop_map(|(file, at, size)| Operation::Reserve(file, at, size)),
        1 => (handle(), offset(), offset())
            .prop_map(|(handle, at, length)| Operation::StartWriteBack(handle, at, length)),
        1 => handle().prop_map(Operation::Sync),
        1 => handle().prop_map(Operation::Length),
        1 => handle().prop_map(Operation::Close),
    ]
}

/// A disk, and its open files.
struct Session<'a> {
    disk: &'a dyn Disk,
    handles: [Option<Arc<dyn DiskFile>>; HANDLES],
}

impl Session<'_> {
    /// Runs one operation, and returns its result as text.
    fn run(&mut self, operation: &Operation) -> String {
        match *operation {
            Operation::Create(path, handle) => self.keep(handle, self.disk.create(Path::new(path))),
            Operation::Open(path, handle) => self.keep(handle, self.disk.open(Path::new(path))),
            Operation::OpenWritable(path, handle) => {
                self.keep(handle, self.disk.open_writable(Path::new(path)))
            }
            Operation::Rename(from, to) => told(self.disk.rename(Path::new(from), Path::new(to))),
            Operation::RenameNew(from, to) => told(self.disk.rename_new(Path::new(from), Path::new(to))),
            Operation::Remove(path) => told(self.disk.remove(Path::new(path))),
            Operation::CreateFolder(path) => told(self.disk.create_folder(Path::new(path))),
            Operation::RemoveFolder(path) => told(self.disk.remove_folder(Path::new(path))),
            Operation::SyncFolder(path) => told(self.disk.sync_folder(Path::new(path))),
            Operation::List(path) => told(self.disk.list(Path::new(path))),
            Operation::Read(handle, offset, length) => self.on(handle, |file| {
                let mut buffer = vec![255; length];
                told(file.read_at(&mut buffer, offset)) + &sum(&buffer)
            }),
            Operation::Write(handle, offset, length, byte) => {
                self.on(handle, |file| told(file.write_at(&vec![byte; length], offset)))
            }
            Operation::Truncate(handle, length) => self.on(handle, |file| told(file.truncate(length))),
            Operation::Reserve(handle, offset, length) => {
                self.on(handle, |file| told(file.reserve(offset, length)))
            }
            Operation::StartWriteBack(handle, offset, length) => self.on(handle, |file| {
                file.start_write_back(offset, length);
                String::new()
            }),
            Operation::Sync(handle) => self.on(handle, |file| told(file.sync())),
            Operation::Length(handle) => self.on(handle, |file| told(file.length())),
            Operation::Close(handle) => format!("{}", self.handles[handle].take().is_some()),
        }
    }

    fn keep(&mut self, handle: usize, opened: Result<Arc<dyn DiskFile>, DiskError>) -> String {
        match opened {
            Ok(file) => {
                self.handles[handle] = Some(file);
                "opened".to_owned()
            }
            Err(error) => error.to_string(),
        }
    }

    fn on(&self, handle: usize, work: impl FnOnce(&dyn DiskFile) -> String) -> String {
        self.handles[handle].as_deref().map(work).unwrap_or_default()
    }

    /// Returns everything on the disk and in the open files, as text.
    fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for (name, is_folder, length) in list(self.disk, &folder) {
                let path = Path::new(&folder).join(name).to_str().unwrap().to_owned();
                let held = if is_folder { String::new() } else { sum(&super::read(self.disk, &path)) };
                all.push(format!("{path} {is_folder} {length} {held}"));
                if is_folder {
                    folders.push(path);
                }
            }
        }
        all.extend(self.handles.iter().flatten().map(|file| sum(&bytes(file.as_ref()))));
        all
    }
}

fn told<T: std::fmt::Debug>(result: Result<T, DiskError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}

/// Abbreviates bytes that are too many to show.
fn sum(bytes: &[u8]) -> String {
    format!(" {} bytes, {}", bytes.len(), blake3::hash(bytes).to_hex())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disks_in_memory_do_what_the_real_one_does(
        operations in proptest::collection::vec(operation(), 1..60),
    ) {
        let (_folder, real) = real();
        let (_, memory) = memory();
        let (_, simulated) = simulated();
        let mut on_real = Session { disk: &real, handles: Default::default() };
        let mut on_memory = Session { disk: &memory, handles: Default::default() };
        let mut on_simulated = Session { disk: &simulated, handles: Default::default() };
        for operation in &operations {
            let told = on_real.run(operation);
            prop_assert_eq!(&told, &on_memory.run(operation), "{:?}", operation);
            prop_assert_eq!(&told, &on_simulated.run(operation), "{:?}", operation);
        }
        let everything = on_real.everything();
        prop_assert_eq!(&everything, &on_memory.everything());
        prop_assert_eq!(&everything, &on_simulated.everything());
    }
}
