//! The power is cut at any step while damaged content is set aside: the content is in its place, or in
//! quarantine, or at least its row shows that it is missing; and a push of it heals the store.

use std::sync::Arc;

use smol::block_on;

use crate::crash_tests::is_soak;
use crate::disk::simulated::{Choice, Medium, Pick, SimulatedDisk};
use crate::maintenance::scrub_tests::{damage, digest, has_blob, open_on, push, repo, scrub};
use crate::registry::{Registry, RegistryError};

/// How many outcomes of a power cut are tried after one step.
const WAYS_MAX: u64 = 4096;

fn open(medium: Medium) -> (Registry, SimulatedDisk) {
    let disk = SimulatedDisk::new(medium);
    (open_on(Arc::new(disk.clone())), disk)
}

/// Returns the outcome of this number: its digits are the picks for the pending changes.
fn picks(choices: &[Choice], mut way: u64) -> Option<Vec<Pick>> {
    let picked = choices
        .iter()
        .map(|choice| {
            let outcomes = u64::from(choice.outcomes());
            let pick = Pick::try_from(way % outcomes).unwrap();
            way /= outcomes;
            pick
        })
        .collect();
    (way == 0).then_some(picked)
}

fn check(medium: Medium, place: &str) {
    let (registry, _disk) = open(medium);
    let layer = digest(b"layer");
    let named = registry.view().blob(&layer).unwrap().is_some();
    let there = registry.content().length(&layer).unwrap().is_some();
    let aside = !registry.quarantined().unwrap().is_empty();
    assert!(there || aside || named, "{place}: it is lost, and nothing tells");
    // Back under its name without a row, it is not served, and a push replaces it.
    // The collector removes what no row names.
    let unnamed = registry.upkeep().unnamed(|| Ok::<_, RegistryError>(())).unwrap();
    let left = unnamed.iter().any(|(digest, _)| *digest == layer);
    assert_eq!(there && !named, left, "{place}: the collector does not find it");
    assert_eq!(registry.view().link(&repo("app"), &layer).unwrap().map(|row| row.size), Some(5), "{place}");
    scrub(&registry);
    assert!(!has_blob(&registry, "app", b"layer"), "{place}: it is served");
    push(&registry, "app", b"layer");
    assert!(has_blob(&registry, "app", b"layer") && scrub(&registry).is_sound(), "{place}");
    assert!(has_blob(&registry, "app", b"sound"), "{place}");
}

#[test]
fn damaged_content_is_never_lost_silently() {
    let (registry, disk) = open(Medium::new().garbling());
    push(&registry, "app", b"layer");
    push(&registry, "app", b"sound");
    damage(&disk, b"layer");
    block_on(registry.close()).unwrap();
    drop(registry);
    let base = disk.medium().settled();

    let (registry, disk) = open(base.clone());
    let opened = disk.steps().len();
    assert_eq!(scrub(&registry).damaged, 1);
    let steps = disk.steps();
    assert!(steps.len() > opened);
    let mut medium = base;
    let mut tried = 0;
    for (number, step) in steps.iter().enumerate() {
        medium.replay(step);
        if number < opened {
            continue;
        }
        let choices = medium.choices();
        // All of them in a soak, a sample otherwise.
        let (first, apart) = if is_soak() { (0, 1) } else { (number as u64 % 5, 5) };
        for way in (first..WAYS_MAX).step_by(apart) {
            let Some(picks) = picks(&choices, way) else { break };
            check(medium.after_power_cut(&choices, &picks), &format!("after {step:?}, way {way}"));
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried} ways were tried");
}
