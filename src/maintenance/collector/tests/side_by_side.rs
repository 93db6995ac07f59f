//! Clients and the collector on threads of their own, as they really run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::clients::{Clients, Habits};
use super::model::Model;
use super::random::removing_untagged;
use super::{collect, open_on};
use crate::base::Chance;
use crate::disk::MemoryDisk;
use crate::maintenance::collector::options::CollectOptions;

const STEPS: usize = 1500;

/// The clients take further steps until they have pushed this many manifests: how many of their pushes the
/// passes refuse differs from run to run.
const PUSHES_MIN: u64 = 50;

/// After this many steps the clients must have pushed enough: they are never kept from pushing for good.
const STEPS_MAX: usize = 100 * STEPS;

/// After this many steps clients wait until another pass has ended, so that passes interleave on any machine.
const STEPS_PER_PASS_MAX: usize = 100;

/// With one client at a time for the model's sake, and sweeps at any instant.
fn run(seed: u64, lease: Duration, habits: Habits) {
    let removes = seed % 2 == 1;
    let registry = open_on(Arc::new(MemoryDisk::new()), lease, removes.then(removing_untagged));
    registry.upkeep().complete_now();
    let (mut model, mut clients) = (Model::new(removes), Clients::new(4, habits));
    let mut chance = Chance::of(seed);
    let (done, (passed, passes)) = (AtomicBool::new(false), channel());
    std::thread::scope(|scope| {
        let (registry, done) = (&registry, &done);
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                collect(registry, &CollectOptions::default());
                if passed.send(()).is_err() {
                    return;
                }
            }
        });
        let _ended = EndsIt(done);
        for step in 1..=STEPS_MAX {
            if step > STEPS && clients.pushes >= PUSHES_MIN {
                break;
            }
            // What may go at any time may have gone between any two steps.
            model.forget();
            clients.step(registry, &mut model, &mut chance);
            if chance.below(40) == 0 {
                model.check(registry).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            }
            if step % STEPS_PER_PASS_MAX == 0 {
                passes.try_iter().for_each(drop);
                passes.recv().expect("the passes continue until the clients have ended");
            }
        }
    });
    // No pass runs any more, so nothing goes between two of these steps.
    model.forget();
    clients.end(&registry, &mut model);
    collect(&registry, &CollectOptions { alone: true, ..CollectOptions::default() });
    let checked = model.check(&registry).and_then(|()| model.check_nothing_else(&registry));
    checked.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    assert!(clients.pushes >= PUSHES_MIN, "seed {seed}: {} pushes", clients.pushes);
}

/// Ends the passes also when the clients' thread panics.
struct EndsIt<'a>(&'a AtomicBool);

impl Drop for EndsIt<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn passes_without_pause_take_nothing_that_was_acknowledged() {
    for seed in [1, 2] {
        run(seed, Duration::ZERO, Habits { delete_content: true, refusals: true });
    }
}

#[test]
fn passes_without_pause_refuse_no_push_under_a_lease() {
    for seed in [3, 4] {
        let habits = Habits { delete_content: false, refusals: false };
        run(seed, Duration::from_secs(3600), habits);
    }
}
