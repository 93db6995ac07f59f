//! Clients and the collector on threads of their own, as they really run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::clients::{Clients, Habits};
use super::model::Model;
use super::random::removing_untagged;
use super::{collect, open_on};
use crate::chance::Chance;
use crate::disk::MemoryDisk;
use crate::maintenance::collector::options::CollectOptions;

const STEPS: usize = 1500;

/// With one client at a time for the model's sake, and sweeps at any instant.
fn run(seed: u64, lease: Duration, habits: Habits) -> u64 {
    let removes = seed % 2 == 1;
    let registry = open_on(Arc::new(MemoryDisk::new()), lease, removes.then(removing_untagged));
    registry.upkeep().know_all();
    let (mut model, mut clients) = (Model::new(removes), Clients::new(4, habits));
    let mut chance = Chance::of(seed);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let passes = scope.spawn(|| {
            let mut passes = 0;
            while !done.load(Ordering::SeqCst) {
                collect(&registry, &CollectOptions::default());
                passes += 1;
            }
            passes
        });
        let ended = EndsIt(&done);
        for _ in 0..STEPS {
            model.forget();
            clients.step(&registry, &mut model, &mut chance);
            if chance.below(40) == 0 {
                model.check(&registry).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            }
        }
        clients.end(&registry, &mut model);
        drop(ended);
        assert!(passes.join().unwrap() > 3);
    });
    collect(&registry, &CollectOptions { alone: true, ..CollectOptions::default() });
    let checked = model.check(&registry).and_then(|()| model.check_nothing_else(&registry));
    checked.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    clients.pushes
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
        let pushes = run(seed, Duration::ZERO, Habits { delete_content: true, refusals: true });
        assert!(pushes > 50, "{pushes}");
    }
}

#[test]
fn passes_without_pause_refuse_no_push_under_a_lease() {
    for seed in [3, 4] {
        let habits = Habits { delete_content: false, refusals: false };
        assert!(run(seed, Duration::from_secs(3600), habits) > 50);
    }
}
