//! Tags that a client reads or removes while a policy removes tags.

use smol::block_on;

use super::super::clients::{repo, tag};
use super::super::clocks::{last, push, run, start, stop, store, tags};
use super::super::{in_memory, pass};
use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{SetClock, TODAY_MS};
use crate::spec::Reference;

#[test]
fn a_tag_stays_while_what_it_names_is_leased() {
    let store = store();
    let clock = || SetClock::new(TODAY_MS).clock();
    let registry = start(&store, clock(), &last(2));
    for (number, named) in [(0, "stable"), (2, "t1"), (3, "t2"), (0, "stable")] {
        push(&registry, number, named);
    }
    let report = run(&registry);
    assert_eq!((tags(&registry).len(), report.tags.held.count), (3, 1), "all were pushed just now");
    stop(registry);

    let registry = start(&store, clock(), &last(2));
    let asked = Reference::Tag(tag("t1"));
    block_on(registry.manifest_info(&repo("a"), &asked)).unwrap();
    run(&registry);
    assert_eq!(tags(&registry).len(), 3, "a client read it");
    stop(registry);

    let registry = start(&store, clock(), &last(2));
    run(&registry);
    assert_eq!(tags(&registry), ["stable", "t2"], "pushed again, it was set last");
}

/// If a client finds a tag at any step of a pass, the tag exists afterwards.
#[test]
fn a_tag_that_a_client_reads_during_a_pass_stays() {
    let mut told = 0;
    for step in 0..20 {
        let store = store();
        let registry = start(&store, SetClock::new(TODAY_MS).clock(), &last(1));
        push(&registry, 0, "a");
        push(&registry, 2, "b");
        stop(registry);
        let registry = start(&store, SetClock::new(TODAY_MS).clock(), &last(1));
        let (mut steps, mut found) = (0, false);
        let mut ask = || {
            if steps == step {
                found = block_on(registry.manifest_info(&repo("a"), &Reference::Tag(tag("a")))).is_ok();
            }
            steps += 1;
        };
        pass(&registry, &CollectOptions::default(), &mut ask, &mut |_| {});
        assert_eq!(tags(&registry).len(), 1 + usize::from(found), "step {step}");
        told += usize::from(found);
    }
    assert!((1..20).contains(&told), "{told}");
}

/// A client moves the newest tag to another image at any step: then `last` keeps an older one in its place.
#[test]
fn a_tag_that_a_client_moves_during_a_pass_leaves_as_many_images_as_are_to_stay() {
    let mut in_time = 0;
    for step in 0..20 {
        let registry = in_memory(Some(last(2)));
        for (number, named) in [(0, "a"), (2, "b"), (3, "c")] {
            push(&registry, number, named);
        }
        let (mut steps, mut before) = (0, 0);
        let mut set = || {
            if steps == step {
                before = tags(&registry).len();
                push(&registry, 2, "c");
            }
            steps += 1;
        };
        pass(&registry, &CollectOptions::default(), &mut set, &mut |_| {});
        if before == 3 {
            in_time += 1;
            assert_eq!(tags(&registry), ["a", "b", "c"], "step {step}");
        }
    }
    assert!((2..20).contains(&in_time), "{in_time}");
}

/// A client removes the two newest tags at any step: none of the others is removed after that.
#[test]
fn tags_that_a_client_removes_during_a_pass_leave_as_many_as_are_to_stay() {
    let mut in_time = 0;
    for step in 0..20 {
        let registry = in_memory(Some(last(2)));
        for (number, named) in [(0, "a"), (2, "b"), (3, "c"), (4, "d")] {
            push(&registry, number, named);
        }
        let (mut steps, mut before) = (0, 0);
        let mut remove = || {
            if steps == step {
                before = tags(&registry).len();
                for named in ["c", "d"] {
                    block_on(registry.delete_tag(&repo("a"), &tag(named))).unwrap();
                }
            }
            steps += 1;
        };
        pass(&registry, &CollectOptions::default(), &mut remove, &mut |_| {});
        if before == 4 {
            in_time += 1;
            assert_eq!(tags(&registry), ["a", "b"], "step {step}");
        }
    }
    assert!((2..20).contains(&in_time), "{in_time}");
}
