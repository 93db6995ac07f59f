//! The targets over their seeds and what mutations make of them. `PULK_FUZZ_CASES` sets how many inputs each
//! target gets.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use super::TARGETS;
use super::mutate::input;
use crate::base::Chance;

/// How many inputs a target gets where nothing else is asked for.
const CASES: u64 = 4_000;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no seeds");
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs a target over its seeds and over what is made of them.
fn soak(number: usize) {
    let (name, target) = TARGETS[number];
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| target(seed));
    let cases = std::env::var("PULK_FUZZ_CASES").map_or(CASES, |text| text.parse().unwrap());
    for case in 0..cases {
        let bytes = input(&mut Chance::of(case), &seeds);
        let outcome = catch_unwind(|| target(&bytes));
        assert!(outcome.is_ok(), "{name}, case {case}: {}", bytes.escape_ascii());
    }
}

#[test]
fn heads_are_read_alike_however_they_are_cut_and_never_in_two_ways() {
    soak(0);
}

#[test]
fn chunked_bodies_are_read_alike_however_they_are_cut_and_as_the_grammar_says() {
    soak(1);
}

#[test]
fn paths_and_queries_are_taken_for_what_they_say() {
    soak(2);
}

#[test]
fn ranges_lie_within_their_content() {
    soak(3);
}

#[test]
fn manifests_are_understood_the_same_each_time() {
    soak(4);
}

#[test]
fn names_tags_and_digests_are_written_as_they_were_read() {
    soak(5);
}

#[test]
fn lines_of_the_journal_are_written_so_that_they_read_the_same() {
    soak(6);
}

/// An input that a fuzzer found becomes a seed: from then on every run of the tests begins with it.
#[test]
fn every_target_has_a_test_and_seeds() {
    assert_eq!(TARGETS.len(), 7, "a target without a test above");
    for (name, _) in TARGETS {
        assert!(!seeds(name).is_empty());
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets").join(name);
        assert!(target.with_extension("rs").is_file(), "{name} has no fuzzer");
    }
}
