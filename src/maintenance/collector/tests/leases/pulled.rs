//! Rules that keep what was pulled lately.

use std::time::Duration;

use smol::block_on;

use super::super::clients::{push_all, repo, tag};
use super::super::clocks::{Store, policy, push, run_later, start, stop, store_on_disk, tags};
use super::super::content::manifest;
use crate::meta::{DAY_MS, KeepRule, Policy, SetClock, TODAY_MS};
use crate::registry::Registry;
use crate::spec::Reference;

/// What was pulled within ten days stays.
fn pulled() -> Policy {
    let pulled_within = Some(Duration::from_millis(10 * DAY_MS));
    Policy { keep: vec![KeepRule { pulled_within, ..KeepRule::default() }], ..policy() }
}

/// Pulls an image on each of 25 days by `reference`, and returns the tags at the end.
fn pulled_each_day(
    (store, clock): (&Store, &SetClock),
    restarts: bool,
    push: impl Fn(&Registry),
    reference: &Reference,
) -> Vec<String> {
    let mut registry = start(store, clock.clock(), &pulled());
    push(&registry);
    for day in 0..25 {
        if restarts && day % 5 == 4 {
            stop(registry);
            registry = start(store, clock.clock(), &pulled());
        }
        clock.pass(DAY_MS);
        registry.forget_pulls();
        block_on(registry.manifest_info(&repo("a"), reference)).unwrap();
        run_later(&registry);
    }
    tags(&registry)
}

#[test]
fn what_is_pulled_stays_and_what_is_not_goes() {
    for restarts in [false, true] {
        for by_tag in [false, true] {
            let (store, clock) = (store_on_disk(), SetClock::new(TODAY_MS));
            let two = |registry: &Registry| {
                push(registry, 0, "used");
                push(registry, 2, "unused");
            };
            let by_digest = Reference::Digest(manifest(0).digest.into());
            let reference = if by_tag { Reference::Tag(tag("used")) } else { by_digest };
            let kept = pulled_each_day((&store, &clock), restarts, two, &reference);
            assert_eq!(kept, ["used"], "{restarts} {by_tag}");
        }
    }
}

/// A client that has an index asks only for the image of its platform.
#[test]
fn the_index_of_an_image_that_is_pulled_stays() {
    let (store, clock) = (store_on_disk(), SetClock::new(TODAY_MS));
    let two = |registry: &Registry| {
        block_on(push_all(registry, "a", 3, Some("index"))).unwrap();
        push(registry, 2, "unused");
    };
    let child = Reference::Digest(manifest(0).digest.into());
    assert_eq!(pulled_each_day((&store, &clock), false, two, &child), ["index"]);
}

/// The last pull that a row notes is too old, and the later one is in memory.
#[test]
fn a_pull_that_no_row_notes_yet_is_one() {
    let (store, clock) = (store_on_disk(), SetClock::new(TODAY_MS));
    let registry = start(&store, clock.clock(), &pulled());
    push(&registry, 0, "used");
    clock.pass(20 * DAY_MS);
    block_on(registry.manifest_info(&repo("a"), &Reference::Digest(manifest(0).digest.into()))).unwrap();
    registry.upkeep().note_time().unwrap();
    registry.forget_pulls();
    clock.pass(13 * DAY_MS);
    block_on(registry.manifest_info(&repo("a"), &Reference::Digest(manifest(0).digest.into()))).unwrap();
    run_later(&registry);
    assert_eq!(tags(&registry), ["used"]);
}
