//! Recoveries where no file may hold the whole journal.

use super::*;
use crate::disk::faulty::{Faults, FaultyDisk};
use crate::meta::{Inspection, Start};

/// No file may be longer; the journal is several times as long.
const FILE_BYTES_MAX: u64 = 300 * 1024;

/// More steps than a start takes.
const STEPS_MAX: usize = 1000;

/// Makes a store with a journal of some 900 KiB.
fn long_journal() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let meta = open(&disk);
    for number in 0..40 {
        let names: Vec<String> = (0..60).map(|tag| format!("{}-{number}-{tag}", "long".repeat(25))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        run(&meta, put_manifest("app", &format!("{number}"), &names)).unwrap();
    }
    disk
}

fn limited(disk: &dyn Disk) -> (Arc<dyn Disk>, Arc<Faults>, Arc<dyn Disk>) {
    let under = copy(disk);
    let faulty = FaultyDisk::new(Arc::clone(&under));
    let faults = faulty.faults();
    faults.set_file_bytes_max(FILE_BYTES_MAX);
    (under, faults, Arc::new(faulty))
}

#[test]
fn a_journal_that_is_longer_than_a_file_may_be_continues_in_several() {
    let disk = long_journal();
    let expected = rows(open(&copy(disk.as_ref())).index());
    let (under, _, shared) = limited(disk.as_ref());
    let meta = Meta::open(shared, MetaOptions::new(IndexKind::Map)).unwrap();
    assert_eq!(meta.start(), Start::Recovered);
    assert_eq!(rows(meta.index()), expected);
    run(&meta, put_manifest("app", "later", &["later"])).unwrap();
    drop(meta);
    assert!(journal_files(under.as_ref()).len() > 2);
    assert_eq!(Inspection::faults_of(&under).unwrap(), Vec::new());
    let reopened = open(&under);
    assert_eq!(reopened.start(), Start::Recovered);
    assert!(tags(&reopened, "app").contains(&"later".to_owned()));
    assert_eq!(rows(reopened.index()).len(), rows(open(&under).index()).len());
}

#[test]
fn a_recovery_into_several_files_can_die_at_any_step() {
    let disk = long_journal();
    let expected = rows(open(&copy(disk.as_ref())).index());
    for steps in 0..STEPS_MAX {
        let (under, faults, shared) = limited(disk.as_ref());
        faults.die_after(steps);
        let opened = Meta::open(shared, MetaOptions::new(IndexKind::Map));
        let is_whole = opened.is_ok() && faults.done().len() < steps;
        drop(opened);
        let next = open(&under);
        assert_eq!(next.start(), Start::Recovered, "after {steps} steps");
        assert!(rows(next.index()) == expected, "after {steps} steps");
        if is_whole {
            return;
        }
    }
    panic!("the start takes more than {STEPS_MAX} steps");
}
