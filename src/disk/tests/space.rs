//! Tests of the free space.

use super::*;
use crate::disk::FreeSpace;
use crate::disk::faulty::{Faults, FaultyDisk};

const MIB: u64 = 1024 * 1024;

fn watched(free_bytes: u64, reserve_bytes: u64) -> (FreeSpace, Arc<Faults>) {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let faults = disk.faults();
    faults.set_free_bytes(free_bytes);
    (FreeSpace::new(Arc::new(disk), reserve_bytes), faults)
}

#[test]
fn what_would_go_below_the_reserve_does_not_fit() {
    let (space, _) = watched(100, 64);
    assert!(space.has_room(36));
    assert!(!space.has_room(37));
    assert!(space.claim(37).is_none());
    assert!(space.claim(36).is_some());
}

#[test]
fn what_was_claimed_counts_until_the_disk_is_measured_again() {
    // A second later the disk is measured again, however little happened.
    let measured_once = (0..1000).find_map(|_| {
        let (space, faults) = watched(100 * MIB, 64 * MIB);
        for _ in 0..5 {
            drop(space.claim(MIB).unwrap());
        }
        let free = space.free_bytes();
        (faults.measurements() == 1).then_some((space, faults, free))
    });
    let (space, faults, free) = measured_once.unwrap();
    assert_eq!(free, Some(95 * MIB));
    // Writes in progress also reduce a new measurement, which may not include them.
    let claim = space.claim(20 * MIB).unwrap();
    faults.set_free_bytes(90 * MIB);
    assert!(space.claim(12 * MIB).is_none());
    faults.set_free_bytes(80 * MIB);
    drop(claim);
    assert!(space.claim(16 * MIB).is_some());
    assert!(space.claim(17 * MIB).is_none());
}

#[test]
fn freed_space_is_noticed_by_the_next_claim() {
    let (space, faults) = watched(64, 64);
    assert!(space.has_room(0));
    assert!(!space.has_room(1));
    faults.set_free_bytes(65);
    assert!(space.has_room(1));
}

#[test]
fn the_disk_is_not_asked_at_each_write() {
    let (space, faults) = watched(100 * MIB, MIB);
    assert!(space.has_room(1));
    let asked = faults.measurements();
    for _ in 0..1000 {
        drop(space.claim(1).unwrap());
    }
    // At most once a second, and these take no ten minutes.
    assert!(faults.measurements() < asked + 600, "{} measurements", faults.measurements() - asked);
}

#[test]
fn without_a_limit_or_a_reserve_everything_fits() {
    let unlimited = FreeSpace::new(Arc::new(MemoryDisk::new()), u64::MAX);
    assert!(unlimited.has_room(u64::MAX));
    assert_eq!(unlimited.free_bytes(), None);
    let (space, _) = watched(0, 0);
    assert!(space.claim(5).is_some());
}

#[test]
fn the_real_disk_tells_what_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let space = FreeSpace::new(Arc::new(RealDisk::open(folder.path()).unwrap()), 1);
    assert!(space.free_bytes().is_some_and(|free| free > 0));
}
