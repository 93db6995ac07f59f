//! The crash tests have teeth: each place that makes something durable is left out once, and something
//! fails.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::history::{Recording, histories, prepared, record};
use super::states::{How, Moment, Trial, moments};
use crate::disk::simulated::{Choice, Pick, Place, Step};

/// How many of a recording's moments have their recovery die in turn, when nothing else misses a place.
const RECOVERIES_PER_RECORDING: usize = 4;

/// Places that no history misses: the file, a part of the line's text, and why.
const EXCEPTIONS: [(&str, &str, &str); 11] = [
    ("src/disk/real.rs", "parent.sync_folder(", "makes the data directory itself, before there is a disk"),
    ("src/meta/recovery/mod.rs", "disk.open(&path)?.sync()", "sled's files, which are on the real disk"),
    ("src/meta/recovery/mod.rs", "disk.sync_folder(folder)", "sled's folder, which is on the real disk"),
    ("src/meta/recovery/mod.rs", "JOURNAL_FOLDER", "a replaced journal file that comes back is harmless"),
    (
        "src/blobs/store.rs",
        "sync_folder(&folder)",
        "some files that come back unnamed are removed by a start",
    ),
    ("src/meta/clean.rs", "sync", "the marker of a clean stop, which only sled's index has"),
    ("src/meta/store.rs", "self.disk.sync_folder(", "the folder of sled's index, which is on the real disk"),
    ("src/meta/history.rs", "JOURNAL_FOLDER", "history that comes back is harmless"),
    ("src/meta/checkpoint/files.rs", "CHECKPOINT_FOLDER", "a damaged checkpoint, which no power cut makes"),
    (
        "src/blobs/layout.rs",
        r#"Path::new("")"#,
        "the root is synced once more before anything is acknowledged",
    ),
    (
        "src/registry/format.rs",
        r#"Path::new("")"#,
        "the root is synced once more before anything is acknowledged",
    ),
];

/// A line of the code that makes something durable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    file: String,
    number: u32,
    text: String,
}

impl Line {
    fn exception(&self) -> Option<&'static str> {
        let holds = |(file, part, _): &&(&str, &str, &str)| *file == self.file && self.text.contains(part);
        EXCEPTIONS.iter().find(holds).map(|(_, _, why)| *why)
    }
}

/// Finds every line that syncs a file or a folder of the disk, outside tests.
fn lines_that_sync() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && !name.ends_with("tests") && name != "simulated" {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") && name != "faulty.rs" {
                let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.extend(
                    (1..).zip(code.lines()).filter(|(_, line)| syncs(line)).map(|(number, line)| Line {
                        file: file.clone(),
                        number,
                        text: line.trim().to_owned(),
                    }),
                );
            }
        }
    }
    found.sort();
    found
}

/// A journal's own `sync` holds a line that is found, and so does `self.sync()` in it.
fn syncs(line: &str) -> bool {
    let line = line.trim_start();
    let on_a_disk =
        line.contains(".sync()") && !line.contains("journal.sync()") && !line.contains("self.sync()");
    !line.starts_with("//") && (on_a_disk || line.contains(".sync_folder("))
}

fn places(recordings: &[Recording]) -> BTreeSet<Place> {
    let steps = recordings.iter().flat_map(|recording| &recording.steps);
    steps
        .filter_map(|step| match step {
            Step::Sync { place, .. } | Step::SyncFolder { place, .. } => Some(*place),
            _ => None,
        })
        .collect()
}

/// Looks for a state that fails when a place does nothing.
fn missed(recordings: &[Recording], place: Place) -> Option<String> {
    let concerned =
        || recordings.iter().filter(|recording| places(std::slice::from_ref(recording)).contains(&place));
    for dies_again in [false, true] {
        for recording in concerned() {
            if let Some(failure) = missed_by(recording, place, dies_again) {
                return Some(failure);
            }
        }
    }
    None
}

fn missed_by(recording: &Recording, place: Place, dies_again: bool) -> Option<String> {
    let mut failure = None;
    let each = if dies_again { recording.steps.len().div_ceil(RECOVERIES_PER_RECORDING) } else { 1 };
    moments(recording, Some(place), |moment| {
        if moment.at % each == 0 {
            failure = fails(moment, dies_again);
        }
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    failure
}

/// Tries the two states that tell most: all that was pending is lost, or names are kept and bytes are lost.
fn fails(moment: &Moment<'_>, dies_again: bool) -> Option<String> {
    let choices = moment.medium.choices();
    let lost: Vec<Pick> = vec![0; choices.len()];
    let mut kept: Vec<Pick> = choices.iter().map(Choice::everything).collect();
    // Names stay, and bytes don't.
    choices.iter().zip(&mut kept).filter(|(choice, _)| choice.is_of_bytes()).for_each(|(_, pick)| *pick = 0);
    let mut ways = vec![How::PowerCut(&choices, &lost), How::PowerCut(&choices, &kept)];
    if dies_again {
        ways = vec![How::Killed, How::PowerCut(&choices, &lost)];
    }
    ways.into_iter().find_map(|how| Trial { moment, how, dies_again, seed: 1 }.run().failure).map(|why| {
        let first = why.lines().next().unwrap_or_default();
        let again = if dies_again { ", dying again in recovery" } else { "" };
        format!("`{}`, step {}{again}: {:.100}", moment.recording.name, moment.at, first)
    })
}

#[test]
fn every_sync_is_missed_by_some_history() {
    let prepared = prepared();
    let recordings: Vec<Recording> = histories().iter().map(|history| record(history, &prepared)).collect();
    let seen = places(&recordings);
    let lines = lines_that_sync();
    assert!(lines.len() > 15, "the code was not found: {lines:?}");
    let mut wrong = Vec::new();
    for line in &lines {
        let at = format!("{}:{}", line.file, line.number);
        let place = seen.iter().find(|place| place.to_string() == at);
        let told = match (line.exception(), place) {
            (Some(why), _) => format!("left out: {why}"),
            (None, None) => "no history comes there".to_owned(),
            // Leaving each out in turn takes minutes.
            (None, Some(_)) if !super::is_soak() => "a history comes there".to_owned(),
            (None, Some(place)) => {
                missed(&recordings, *place).unwrap_or_else(|| "nothing fails without it".to_owned())
            }
        };
        if told.starts_with("no") {
            wrong.push(format!("{at}: {told}"));
        }
        eprintln!("{at} → {told}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
