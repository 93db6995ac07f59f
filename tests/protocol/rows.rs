//! The rows of the checklist, and that each is shown by a test.

use std::collections::BTreeSet;
use std::path::Path;

/// How binding a row is for a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Must,
    Should,
    May,
    /// The specification is silent, and clients or both suites are not.
    Gap,
    /// It says something about clients, or about what is not there.
    Note,
}

use Level::{Gap, May, Must, Note, Should};

/// Every row; a range of numbers at one level is one line.
const ROWS: &[(&str, &[u32], Level)] = &[
    ("H", &[1], Must),
    ("H", &[2], Should),
    ("H", &[3], May),
    ("H", &[4, 5, 6, 7, 8, 9], Gap),
    ("V", &[1], Must),
    ("V", &[2], Gap),
    ("G", &[1, 3, 4, 5, 6], Must),
    ("G", &[9], Should),
    ("G", &[7, 8], May),
    ("G", &[10], Gap),
    ("G", &[2], Note),
    ("M", &[1, 2, 4, 7], Must),
    ("M", &[6], Should),
    ("M", &[3, 8, 11], May),
    ("M", &[5, 9, 10], Gap),
    ("B", &[1, 2, 3, 4], Must),
    ("B", &[5, 6], Should),
    ("B", &[7, 8, 9, 10], Gap),
    ("U", &[1, 10], Must),
    ("U", &[3, 4, 7, 12], Should),
    ("U", &[14], May),
    ("U", &[2, 5, 6, 11, 13, 15, 16], Gap),
    ("C", &[1, 2, 3, 4, 7, 8, 15], Must),
    ("C", &[5, 6, 9, 10, 11, 12, 13, 14], Gap),
    ("X", &[1], Should),
    ("X", &[2], Gap),
    ("T", &[1], Must),
    ("T", &[3], Should),
    ("T", &[2], May),
    ("T", &[4, 5], Gap),
    ("W", &[1, 2, 3, 7, 9, 13], Must),
    ("W", &[5, 10], Should),
    ("W", &[8, 11], May),
    ("W", &[4, 6, 14, 15], Gap),
    ("W", &[12], Note),
    ("R", &[1, 2, 3, 4, 5, 6, 7, 9, 10], Must),
    ("R", &[8], Should),
    ("R", &[11], Gap),
    ("R", &[12], Note),
    ("L", &[1, 2, 3, 4, 5, 6], Must),
    ("L", &[7], Gap),
    ("D", &[1, 2, 3], Must),
    ("D", &[4, 5, 6, 7], Gap),
    ("Y", &[1], May),
    ("Y", &[2], Should),
    ("E", &[1, 2, 5], Must),
    ("E", &[4], Should),
    ("E", &[3, 6], Gap),
    ("\u{a7}", &[17], Gap),
];

/// What a part of a row can't be shown of here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("V1", "401 belongs to access control, which is not there yet"),
    ("E6", "401 and 403 need access control; the table of all codes is a unit test of the app"),
    ("T2", "only repositories that the caller may read: without access control these are all"),
    ("Y2", "the answer of a proxy, and pulk is none"),
];

fn rows() -> impl Iterator<Item = (String, Level)> {
    ROWS.iter().flat_map(|(letter, numbers, level)| {
        numbers.iter().map(move |number| (format!("{letter}{number}"), *level))
    })
}

/// Returns the rows that a doc comment names before its colon.
fn named_by(comment: &str) -> Vec<String> {
    let Some((ids, _)) = comment.split_once(':') else { return Vec::new() };
    let ids: Vec<_> = ids.split(", ").map(str::to_owned).collect();
    let is_id = |id: &String| {
        let letters = id.trim_end_matches(|character: char| character.is_ascii_digit());
        letters.chars().count() == 1 && letters.len() < id.len()
    };
    if ids.iter().all(is_id) { ids } else { Vec::new() }
}

/// Returns the rows that the tests of a source name; only a comment that belongs to a test counts.
fn named_in(source: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut first = None;
    for line in source.lines() {
        match line.strip_prefix("/// ") {
            Some(comment) => first = first.or(Some(comment)),
            None => {
                if line == "#[test]" {
                    named.extend(first.map(named_by).unwrap_or_default());
                }
                first = None;
            }
        }
    }
    named
}

fn named_by_all_tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol");
    let mut named = BTreeSet::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("rows.rs") {
            named.extend(named_in(&std::fs::read_to_string(path).unwrap()));
        }
    }
    named
}

#[test]
fn every_row_of_the_checklist_is_named() {
    let named = named_by_all_tests();
    let missing: Vec<_> = rows().filter(|(id, _)| !named.contains(id)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
    let known: BTreeSet<_> = rows().map(|(id, _)| id).collect();
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "there are no such rows: {unknown:?}");
    for (id, why) in ELSEWHERE {
        assert!(known.contains(*id) && !why.is_empty(), "{id}");
    }
}

#[test]
fn a_row_is_named_by_a_comment_of_a_test_only() {
    let source = "/// A1, B2: yes.\n/// C3: not first.\n#[test]\nfn a() {}\n\n/// D4: no test.\nfn b() {}\n";
    assert_eq!(named_in(source).into_iter().collect::<Vec<_>>(), ["A1", "B2"]);
    assert_eq!(named_by("Every row: is a word").len(), 0);
    assert_eq!(named_by("\u{a7}17: extensions"), ["\u{a7}17"]);
}

#[test]
fn no_row_is_listed_twice() {
    let ids: Vec<_> = rows().map(|(id, _)| id).collect();
    assert_eq!(BTreeSet::from_iter(&ids).len(), ids.len());
    assert_eq!(ids.len(), 128);
}
