//! Random histories.

use super::client::{Key, Op};
use super::content::manifest;
use super::history::{Event, History};
use crate::base::Chance;
use crate::crash_tests::trials::model::Found;
use crate::crash_tests::{REPOS, TAGS};

const EVENTS: usize = 24;

/// The number of blobs and manifests that are pushed; indexes are excluded.
const BLOBS: u64 = 6;
const MANIFESTS: u64 = 6;

/// Some lists of tags for one push.
const TAG_LISTS: [&[&str]; 4] = [&["v1"], &["v2"], &["v1", "v2"], &["v3", "v1", "v2"]];

/// Makes random histories; the same ones each time.
pub(crate) fn histories(count: u64) -> Vec<History> {
    (0..count).map(history).collect()
}

fn history(seed: u64) -> History {
    let mut chance = Chance::of(seed);
    let mut there = Found::new();
    let mut events = Vec::new();
    while events.len() < EVENTS {
        match chance.below(14) {
            0 => events.push(Event::Reopen),
            1 => events.push(Event::Kill),
            _ => {
                if let Some(op) = operation(&mut chance, &there) {
                    note(&op, &mut there);
                    events.push(Event::Do(op));
                }
            }
        }
    }
    let name = Box::leak(format!("random, seed {seed}").into_boxed_str());
    History { name, from_nothing: false, events }
}

/// Returns an operation that a registry with this content does not refuse.
fn operation(chance: &mut Chance, there: &Found) -> Option<Op> {
    let repo = chance.one_of(&REPOS);
    let blob = chance.below(BLOBS) as usize;
    let number = chance.below(MANIFESTS) as usize;
    let tag = chance.one_of(&TAGS);
    let has = |key: Key| there.get(&key).copied().flatten().is_some();
    let has_blob = |repo, number| has(Key::Blob(repo, super::content::blob(number).digest));
    match chance.below(10) {
        0..=2 => Some(Op::Push { repo, blob }),
        3..=5 => {
            // Missing blobs are pushed first.
            let needed = &manifest(number).blobs;
            let missing = (0..BLOBS as usize)
                .find(|blob| needed.contains(&super::content::blob(*blob).digest) && !has_blob(repo, *blob));
            Some(missing.map_or_else(
                || Op::Put {
                    repo,
                    manifest: number,
                    tags: chance.one_of::<&[&str]>(&TAG_LISTS),
                    by_digest: true,
                },
                |blob| Op::Push { repo, blob },
            ))
        }
        6 => {
            let from = chance.one_of(&REPOS);
            has_blob(from, blob).then_some(Op::Mount { repo, from, blob })
        }
        7 => has(Key::Tag(repo, tag)).then_some(Op::DeleteTag { repo, tag }),
        8 => has(Key::Manifest(repo, manifest(number).digest))
            .then_some(Op::DeleteManifest { repo, manifest: number }),
        _ => has_blob(repo, blob).then_some(Op::DeleteBlob { repo, blob }),
    }
}

fn note(op: &Op, there: &mut Found) {
    let upload = super::client::Upload { repo: "", blob: 0, id: None };
    let named = |repo, digest| {
        let keys = TAGS.iter().map(|tag| Key::Tag(repo, tag));
        keys.filter(|key| there.get(key) == Some(&Some(digest))).collect()
    };
    let effects = op.effects(&upload, named);
    there.extend(effects);
}
