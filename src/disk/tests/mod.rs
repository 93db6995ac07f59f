//! The behaviour of all disks, tested on each of them.

mod behaviours;
mod likeness;
mod lock;
mod metering;
mod pages;
mod real;
mod space;

use std::path::Path;
use std::sync::Arc;

use super::simulated::{Medium, SimulatedDisk};
use super::{Disk, DiskFile, MemoryDisk, MeteredDisk, RealDisk};

/// Makes a real disk in a folder that lasts as long as the first value.
fn real() -> (tempfile::TempDir, RealDisk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(folder.path()).unwrap();
    (folder, disk)
}

fn memory() -> ((), MemoryDisk) {
    ((), MemoryDisk::new())
}

fn simulated() -> ((), SimulatedDisk) {
    ((), SimulatedDisk::new(Medium::new()))
}

fn metered() -> ((), MeteredDisk) {
    ((), MeteredDisk::new(Arc::new(MemoryDisk::new())))
}

pub(super) fn create(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

/// Reads a file to its end.
fn bytes(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 100_000];
    for _ in 0..1000 {
        let length = file.read_at(&mut buffer, bytes.len() as u64).unwrap();
        if length == 0 {
            return bytes;
        }
        bytes.extend_from_slice(&buffer[..length]);
    }
    panic!("the file has no end");
}

pub(super) fn read(disk: &dyn Disk, path: &str) -> Vec<u8> {
    bytes(disk.open(Path::new(path)).unwrap().as_ref())
}

pub(super) fn list(disk: &dyn Disk, path: &str) -> Vec<(String, bool, u64)> {
    let entries = disk.list(Path::new(path)).unwrap();
    entries.into_iter().map(|entry| (entry.name, entry.is_folder, entry.length)).collect()
}
