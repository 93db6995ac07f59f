//! A rebuild that dies at any moment loses neither what could be read before it nor what it would have found.

use std::path::Path;
use std::sync::Arc;

use crate::crash_tests::{
    Found, check_push, damaged_stores, each_power_cut, is_soak, look, open, whole_store,
};
use crate::disk::Disk;
use crate::disk::simulated::{Medium, SimulatedDisk};
use crate::maintenance::{Progress, rebuild_on};
use crate::meta::IndexKind;
use crate::registry::{examine_content, settle};

struct Silent;

impl Progress for Silent {
    fn at(&mut self, _: &str, _: u64, _: u64) {}
}

fn rebuilt(disk: &SimulatedDisk, from_content: bool) -> Result<(), String> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let layout = examine_content(&shared).map_err(|error| error.to_string())?;
    settle(shared.as_ref(), &layout).map_err(|error| error.to_string())?;
    // The index is in memory, so sled has no folder.
    let nowhere = Path::new("nowhere");
    let done = rebuild_on(&shared, nowhere, IndexKind::Map, from_content, &mut Silent);
    done.map(drop).map_err(|error| error.to_string())
}

/// Opens a registry and returns its content.
fn found_on(disk: &SimulatedDisk) -> Result<Found, String> {
    look(&open(disk).map_err(|error| error.to_string())?)
}

/// Checks that everything of `before` is in `after`, unchanged.
fn all_is_there(before: &Found, after: &Found) -> Result<(), String> {
    let lost = before.iter().find(|(key, value)| value.is_some() && after.get(key) != Some(value));
    lost.map_or(Ok(()), |lost| Err(format!("{lost:?} is lost")))
}

/// Kills a rebuild of a store at every step. A later start must find the content of `least`, and a later
/// rebuild what the undisturbed one finds.
fn dies_everywhere(name: &str, store: &Medium, least: Option<&Found>, from_content: bool) -> u64 {
    let disk = SimulatedDisk::new(store.clone());
    rebuilt(&disk, from_content).unwrap_or_else(|why| panic!("{name}: {why}"));
    let steps = disk.steps();
    let found = found_on(&disk).unwrap();
    let (one_in, each) = if is_soak() { (1, 4) } else { (23, 1) };
    each_power_cut(store, &steps, one_in, each, |at, left| {
        let check = || {
            let opened = SimulatedDisk::new(left.clone());
            if let Some(least) = least {
                all_is_there(least, &found_on(&opened)?)?;
            }
            let again = SimulatedDisk::new(left.clone());
            rebuilt(&again, from_content)?;
            let registry = open(&again).map_err(|error| error.to_string())?;
            all_is_there(&found, &look(&registry)?)?;
            check_push(&registry)
        };
        check().unwrap_or_else(|why| panic!("{name}, from content: {from_content}, step {at}: {why}"));
    })
}

#[test]
fn a_rebuild_can_die_at_any_moment() {
    let mut tried = 0;
    let whole = whole_store();
    let all = found_on(&SimulatedDisk::new(whole.clone())).unwrap();
    for from_content in [false, true] {
        tried += dies_everywhere("a whole store", &whole, Some(&all), from_content);
        for store in damaged_stores() {
            // What a start finds without a rebuild.
            let least = found_on(&SimulatedDisk::new(store.medium.clone())).unwrap();
            tried += dies_everywhere(store.name, &store.medium, Some(&least), from_content);
        }
    }
    tried += dies_everywhere("without any metadata", &without_metadata(&whole), None, true);
    eprintln!("{tried} crash states of rebuilds tried");
}

/// Returns the store with only its content.
fn without_metadata(whole: &Medium) -> Medium {
    let disk = SimulatedDisk::new(whole.clone());
    for folder in ["journal", "checkpoint"] {
        for entry in disk.list(Path::new(folder)).unwrap() {
            disk.remove(&Path::new(folder).join(entry.name)).unwrap();
        }
    }
    disk.medium().settled()
}
