//! Stores of which the medium cannot read something: each file and folder in turn, whatever is asked of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blobs::blob_path;
use crate::crash_tests::histories::content::blob;
use crate::crash_tests::histories::history::open_on;
use crate::crash_tests::maintenance::damage::{killed_store, newest};
use crate::crash_tests::{Found, check_push, look, open, whole_store};
use crate::disk::Disk;
use crate::disk::faulty::{Faults, FaultyDisk, Look};
use crate::disk::simulated::{Medium, SimulatedDisk};
use crate::maintenance::{Progress, check_on, rebuild_on};
use crate::meta::IndexKind;
use crate::registry::{OpenError, Registry, examine_content, settle};

/// More steps than a start takes.
const STEPS_MAX: usize = 1000;

struct Silent;

impl Progress for Silent {
    fn at(&mut self, _: &str, _: u64, _: u64) {}
}

/// What is lost for good of a medium, for messages.
type Lost = (Look, PathBuf);

/// Looks at what came of work on a disk: the disk itself, the same one with the loss, the outcome, the loss.
type CheckLost<'a, T> = dyn Fn(&SimulatedDisk, &Arc<dyn Disk>, T, &Lost) + 'a;

fn faulty(medium: &Medium) -> (SimulatedDisk, Arc<dyn Disk>, Arc<Faults>) {
    let disk = SimulatedDisk::new(medium.clone());
    let faulty = FaultyDisk::new(Arc::new(disk.clone()));
    let faults = faulty.faults();
    (disk, Arc::new(faulty), faults)
}

/// Has `work` done on a medium once for each thing that it reads, while that thing cannot be read, and has
/// `check` look at what came of it. Returns how many things there are.
fn each_lost<T>(medium: &Medium, work: &dyn Fn(&Arc<dyn Disk>) -> T, check: &CheckLost<'_, T>) -> usize {
    let (_, shared, faults) = faulty(medium);
    drop(work(&shared));
    let mut looks = faults.looks();
    // What the work itself made was not there to be lost.
    let before = SimulatedDisk::new(medium.clone());
    looks.retain(|(look, path)| *look == Look::List || before.open(path).is_ok());
    let opened: Vec<PathBuf> =
        looks.iter().filter(|(look, _)| *look == Look::Open).map(|(_, path)| path.clone()).collect();
    looks.extend(opened.into_iter().map(|path| (Look::Name, path)));
    for lost in &looks {
        let (disk, shared, faults) = faulty(medium);
        faults.lose(lost.0, &lost.1);
        check(&disk, &shared, work(&shared), lost);
    }
    looks.len()
}

/// Has a store tried that was stopped, and one that was killed while the journal alone had some content.
fn each_store(test: impl Fn(&Medium)) {
    test(&whole_store());
    test(&killed_store());
}

fn start(disk: &Arc<dyn Disk>) -> Result<Registry, OpenError> {
    open_on(Arc::clone(disk), IndexKind::Map, true)
}

/// Counts what a store does not serve as the whole store does. A tag may name an older manifest.
fn count_missing(whole: &Found, found: &Found) -> usize {
    whole.iter().filter(|(key, value)| found.get(*key) != Some(*value)).count()
}

/// Checks that a store serves everything, or reports that something is lost, and that it takes pushes.
fn check_served(registry: &Registry, whole: &Found, lost: &Lost) {
    let found = look(registry).unwrap_or_else(|why| panic!("{lost:?}: {why}"));
    let missing = count_missing(whole, &found);
    assert!(
        missing == 0 || registry.meta().keeps_damaged(),
        "{lost:?}: {missing} are missing without a word"
    );
    check_push(registry).unwrap_or_else(|why| panic!("{lost:?}: {why}"));
}

/// Whatever file the medium cannot read, the store starts and serves what the rest holds. Where a file's name
/// cannot be changed, or a folder not be listed, the start ends and nothing is lost by it.
#[test]
fn a_start_goes_on_whatever_it_cannot_read() {
    each_store(a_start_goes_on);
}

fn a_start_goes_on(medium: &Medium) {
    let whole = look(&open(&SimulatedDisk::new(medium.clone())).unwrap()).unwrap();
    let tried = each_lost(medium, &start, &|disk, _, started, lost| {
        match started {
            Ok(registry) => {
                check_served(&registry, &whole, lost);
                drop(registry);
                // The medium may be able to read it again.
                let registry = open(disk).unwrap_or_else(|error| panic!("then, {lost:?}: {error}"));
                check_served(&registry, &whole, lost);
            }
            Err(error) => {
                assert!(matches!(lost.0, Look::List | Look::Name), "{lost:?}: {error}");
                assert!(error.is_of_the_medium(), "{lost:?}: {error}");
                let registry = open(disk).unwrap_or_else(|error| panic!("then, {lost:?}: {error}"));
                assert_eq!(count_missing(&whole, &look(&registry).unwrap()), 0, "{lost:?}");
            }
        }
    });
    assert!(tried > 10, "{tried}");
}

/// A check never ends at what it cannot read: it finds it.
#[test]
fn a_check_finds_whatever_it_cannot_read() {
    each_store(a_check_finds);
}

fn a_check_finds(medium: &Medium) {
    let check = |disk: &Arc<dyn Disk>| {
        check_on(disk, true, None, &mut Silent, |_| Ok(())).map_err(|error| error.to_string())
    };
    let tried = each_lost(medium, &check, &|_, _, checked, lost| {
        let report = checked.unwrap_or_else(|error| panic!("{lost:?}: {error}"));
        // A length that is not known harms nothing by itself, nor a file whose bytes the journal still has.
        let is_carried = !medium.has_file("clean") && lost.1.starts_with("blobs");
        let harms = lost.0 != Look::Measure && !is_carried;
        assert!(!harms || !report.findings.is_empty(), "{lost:?}: nothing was found");
    });
    assert!(tried > 10, "{tried}");
}

/// A rebuild goes on whatever file it cannot read, and what it makes of the rest is served. Where a file's
/// name cannot be changed, or a folder not be listed, it ends and nothing is lost by it.
#[test]
fn a_rebuild_goes_on_whatever_it_cannot_read() {
    each_store(a_rebuild_goes_on);
}

fn a_rebuild_goes_on(medium: &Medium) {
    let whole = look(&open(&SimulatedDisk::new(medium.clone())).unwrap()).unwrap();
    for from_content in [false, true] {
        let rebuild = |disk: &Arc<dyn Disk>| {
            let layout = examine_content(disk)?;
            settle(disk.as_ref(), &layout)?;
            let rebuilt = rebuild_on(disk, Path::new("nowhere"), IndexKind::Map, from_content, &mut Silent)?;
            Ok::<_, OpenError>(rebuilt.salvage.map_or(0, |salvage| salvage.damaged))
        };
        let tried = each_lost(medium, &rebuild, &|disk, shared, rebuilt, lost| {
            let damaged = match rebuilt {
                Ok(damaged) => damaged,
                Err(error) => {
                    assert!(matches!(lost.0, Look::List | Look::Name), "{lost:?}: {error}");
                    assert!(error.is_of_the_medium(), "{lost:?}: {error}");
                    let registry = open(disk).unwrap();
                    assert_eq!(count_missing(&whole, &look(&registry).unwrap()), 0, "{lost:?}");
                    return;
                }
            };
            let registry = match start(shared) {
                Err(error) if matches!(lost.0, Look::List | Look::Name) => {
                    assert!(error.is_of_the_medium(), "{lost:?}: {error}");
                    open(disk)
                }
                started => started,
            };
            let registry = registry.unwrap_or_else(|error| panic!("{lost:?}: {error}"));
            let found = look(&registry).unwrap_or_else(|why| panic!("{lost:?}: {why}"));
            let missing = count_missing(&whole, &found);
            let is_reported = damaged > 0 || registry.meta().keeps_damaged();
            assert!(missing == 0 || is_reported, "{lost:?}: {missing} are missing without a word");
        });
        assert!(tried > 10, "{tried}");
    }
}

/// A start may die at any step while it sets a file aside that it cannot open: the next one still knows that
/// the journal is damaged, and drops rows whose content is gone.
#[test]
fn a_start_that_dies_beside_a_file_it_cannot_open_leaves_the_rest_to_the_next() {
    let medium = whole_store();
    for steps in 0..STEPS_MAX {
        let (disk, shared, faults) = faulty(&medium);
        disk.remove(&blob_path(&blob(1).digest)).unwrap();
        faults.lose(Look::Open, &newest(&disk, "journal", ".log"));
        faults.die_after(steps);
        let started = start(&shared);
        let is_whole = started.is_ok() && faults.done().len() < steps;
        drop(started);
        let registry = open(&disk).unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        // Until the file is set aside, nothing shows that anything is wrong.
        if registry.meta().keeps_damaged() {
            look(&registry).unwrap_or_else(|why| panic!("after {steps} steps: {why}"));
        }
        if is_whole {
            return;
        }
    }
    panic!("the start takes more than {STEPS_MAX} steps");
}
