//! Manifests whose bytes were set aside: what they need is unknown, and must be there when they are pushed
//! again.

use smol::block_on;

use super::clients::{Clients, Habits, push_all, push_blob, put, repo, tag};
use super::content::{MANIFESTS, REPOS, manifest};
use super::model::{Model, blobs_of};
use super::random::{PASSES, histories, removes, removing_untagged};
use super::{collect, in_memory, pass};
use crate::base::Chance;
use crate::maintenance::collector::options::CollectOptions;
use crate::registry::{Condemned, Registry};

/// Sets the bytes of a manifest aside, as the scrub does; returns whether any repository had it.
fn lose(registry: &Registry, number: usize) -> bool {
    let digest = manifest(number).digest;
    // Only a file can be damaged.
    registry.content().write_files().unwrap();
    let Some(file) = registry.content().open(&digest).unwrap() else { return false };
    registry.condemn(digest, Some(file.as_ref())).unwrap() == Condemned::Yes
}

fn push(registry: &Registry, name: &str, number: usize, named: Option<&str>) {
    block_on(push_all(registry, name, number, named)).unwrap();
}

fn has_row(registry: &Registry, name: &str, number: usize) -> bool {
    registry.view().manifest(&repo(name), &manifest(number).digest).unwrap().is_some()
}

#[test]
fn a_lost_manifest_keeps_the_blobs_of_its_repository_and_nothing_else() {
    let registry = in_memory(Some(removing_untagged()));
    for name in ["a", "b"] {
        push(&registry, name, 0, Some("v1"));
        block_on(push_blob(&registry, name, 3)).unwrap();
    }
    push(&registry, "a", 2, Some("v2"));
    push(&registry, "a", 1, None);
    assert!(lose(&registry, 2));
    let report = collect(&registry, &CollectOptions::default());
    assert!(report.complete && report.unreadable.is_empty(), "{report:?}");
    let damaged = format!("a@{}", manifest(2).digest);
    assert!(report.notes.iter().any(|note| note.contains(&damaged)), "{:?}", report.notes);
    assert!(!has_row(&registry, "a", 1), "an untagged image goes, since no image lists it");
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2, 3, 4, 5]);
    assert_eq!(blobs_of(&registry, "b"), [0, 1, 2]);
    // The push that heals it, to another repository.
    push(&registry, "b", 2, None);
    block_on(put(&registry, "a", 2, Some("v3"))).unwrap();
    assert!(collect(&registry, &CollectOptions::default()).notes.is_empty());
    assert_eq!(blobs_of(&registry, "a"), [0, 1, 2, 4, 5]);
}

#[test]
fn a_lost_index_keeps_the_manifests_of_its_repository_until_it_goes_itself() {
    let registry = in_memory(Some(removing_untagged()));
    push(&registry, "a", 4, Some("v1"));
    push(&registry, "a", 5, None);
    assert!(lose(&registry, 4));
    assert!(collect(&registry, &CollectOptions::default()).complete);
    let left: Vec<usize> = (0..MANIFESTS.len()).filter(|number| has_row(&registry, "a", *number)).collect();
    assert_eq!(left, [0, 1, 2, 3, 4, 5]);
    block_on(put(&registry, "a", 4, Some("v1"))).unwrap();

    assert!(lose(&registry, 4) && lose(&registry, 3));
    block_on(registry.delete_tag(&repo("a"), &tag("v1"))).unwrap();
    assert!(collect(&registry, &CollectOptions::default()).complete);
    assert!(!registry.view().has_anything(&repo("a")).unwrap(), "neither keeps the other");
}

/// Pushes each lost manifest that must be there once more, and nothing but it.
fn heal(registry: &Registry, model: &mut Model) -> Result<(), String> {
    for number in model.lost.clone() {
        for name in REPOS {
            if model.lost.contains(&number) && model.required(name).contains(&number) {
                let healed = block_on(put(registry, name, number, None));
                healed.map_err(|error| format!("manifest {number} of {name} cannot be healed: {error}"))?;
                model.lost.remove(&number);
            }
        }
    }
    Ok(())
}

/// Runs passes with clients and losses between any two of their steps. What was lost can be healed by a push
/// of it alone, and all is whole then.
fn run_history(registry: &Registry, seed: u64) -> u64 {
    let habits = Habits { delete_content: false, refusals: true };
    let (mut model, mut clients) = (Model::new(removes(seed)), Clients::new(3, habits));
    let mut chance = Chance::of(seed);
    let (mut losses, mut healed) = (0, 0);
    for _ in 0..PASSES {
        let mut between = || {
            model.forget();
            for _ in 0..chance.below(4) {
                clients.step(registry, &mut model, &mut chance);
            }
            let number = chance.below(MANIFESTS.len() as u64) as usize;
            if chance.below(16) == 0 && lose(registry, number) {
                model.lost.insert(number);
                losses += 1;
            }
            if chance.below(4) == 0 {
                model.check(registry).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            }
        };
        pass(registry, &CollectOptions::default(), &mut between, &mut |_| {});
        if chance.below(2) == 0 {
            // Nothing runs: what is required has all that it needs.
            model.forget();
            let lost = model.lost.len() as u64;
            let checked = heal(registry, &mut model).and_then(|()| model.check(registry));
            checked.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            healed += lost;
        }
    }
    clients.end(registry, &mut model);
    heal(registry, &mut model).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    collect(registry, &CollectOptions::default());
    let checked = model.check(registry).and_then(|()| model.check_nothing_else(registry));
    checked.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    losses.min(healed)
}

#[test]
fn a_push_of_a_lost_manifest_alone_heals_it_whatever_was_collected_meanwhile() {
    let mut healed = 0;
    for seed in 200..200 + histories() {
        healed += run_history(&in_memory(removes(seed).then(removing_untagged)), seed);
    }
    assert!(healed > 0, "nothing was lost and healed, so nothing was tried");
}
