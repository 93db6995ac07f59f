//! The crash tests have teeth: each place that makes something durable is left out once, and a test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crash_tests::maintenance::jobs::{Job, jobs};
use crate::crash_tests::{Evidence, is_soak};

/// Places that no recording can miss: the file, a part of the line's text, and why.
const EXCEPTIONS: [(&str, &str, &str); 1] =
    [("src/disk/real.rs", "parent.sync_folder(", "makes the data directory itself, before there is a disk")];

/// A line of the code that makes something durable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    file: String,
    number: u32,
    text: String,
}

impl Line {
    fn exception(&self) -> Option<&'static str> {
        let found = EXCEPTIONS.iter().find(|(file, part, _)| *file == self.file && self.text.contains(part));
        found.map(|(_, _, why)| *why)
    }
}

/// Finds every line that syncs a file, a folder or the whole filesystem of the disk, outside tests.
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

/// Tells whether a line syncs a file or folder of a disk. Excludes calls of a journal's own
/// `sync`, and its `self.sync()`: its body has a line that is found.
fn syncs(line: &str) -> bool {
    let line = line.trim_start();
    let on_a_disk =
        line.contains(".sync()") && !line.contains("journal.sync()") && !line.contains("self.sync()");
    !line.starts_with("//")
        && (on_a_disk || line.contains(".sync_folder(") || line.contains(".sync_filesystem("))
}

/// Returns what catches a line, or what is wrong.
fn verdict(line: &Line, evidence: &Evidence, jobs: &[Job]) -> Result<String, &'static str> {
    let at = format!("{}:{}", line.file, line.number);
    let places = evidence.places().into_iter().chain(jobs.iter().flat_map(Job::places));
    let place = places.into_iter().find(|place| place.to_string() == at);
    match (line.exception(), place) {
        (Some(why), None) => Ok(format!("left out: {why}")),
        (Some(_), Some(_)) => Err("it is an exception, and a history comes there"),
        (None, None) => Err("no history comes there"),
        // Leaving each out in turn takes long.
        (None, Some(_)) if !is_soak() => Ok("a history comes there".to_owned()),
        (None, Some(place)) => evidence
            .against(place)
            .or_else(|| jobs.iter().find_map(|job| job.missed(place)))
            .ok_or("nothing fails without it"),
    }
}

#[test]
fn every_sync_is_missed_by_some_history() {
    let (evidence, jobs) = (Evidence::record(), jobs());
    let lines = lines_that_sync();
    assert!(lines.len() > 15, "the code was not found: {lines:?}");
    let next = AtomicUsize::new(0);
    let told = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    told.lock().unwrap().push((line, verdict(line, &evidence, &jobs)));
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap();
    told.sort_by_key(|(line, _)| *line);
    let mut wrong = Vec::new();
    for (line, verdict) in &told {
        let said = format!("{}:{} `{}`", line.file, line.number, line.text);
        match verdict {
            Ok(caught) => eprintln!("{said}\n    → {caught}"),
            Err(why) => wrong.push(format!("{said}: {why}")),
        }
    }
    eprintln!("{} places make something durable", told.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
