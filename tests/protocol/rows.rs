//! The rules of `src/spec/rules.md`: each is shown by a test, and no other id is named anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How binding a rule is, as `rules.md` explains.
const LEVELS: [&str; 5] = ["must", "should", "may", "gap", "note"];

/// The heading of the last table of `rules.md`.
const NOT_SHOWN: &str = "## Not shown by a test";

const RULES: &str = "src/spec/rules.md";

/// Where rules are named.
const NAMED_IN: [&str; 4] = ["src", "tests", "benches", "examples"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the rows of the tables of a Markdown text, without their heads.
fn table_rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.first() != Some(&"id"))
        .collect()
}

/// Returns the ids of all rules; panics where a row is not one.
fn rules(text: &str) -> BTreeSet<String> {
    let (rules, _) = text.split_once(NOT_SHOWN).unwrap();
    let mut ids = BTreeSet::new();
    for cells in table_rows(rules) {
        let [id, level, rule, section] = cells[..] else { panic!("{RULES}: not four cells: {cells:?}") };
        assert!(is_id(id), "{RULES}: `{id}` is not a letter and a number");
        assert!(LEVELS.contains(&level), "{RULES}: {id}: the level must be one of {LEVELS:?}");
        assert!(rule.ends_with('.') && !section.is_empty(), "{RULES}: {id}: write a sentence and a section");
        assert!(ids.insert(id.to_owned()), "{RULES}: {id} is there twice: give one a new number");
    }
    ids
}

fn is_id(word: &str) -> bool {
    let mut characters = word.chars();
    let (first, number) = (characters.next(), characters.as_str());
    let numbered = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered && first.is_some_and(|first| "HVGMBUCXTWRLDYE\u{a7}".contains(first))
}

/// Returns the rules that a doc comment names before its colon.
fn named_by(comment: &str) -> Vec<String> {
    let Some((ids, _)) = comment.split_once(':') else { return Vec::new() };
    let ids: Vec<_> = ids.split(", ").collect();
    if ids.iter().all(|id| is_id(id)) { ids.into_iter().map(str::to_owned).collect() } else { Vec::new() }
}

/// Returns the rules that the tests of a source name; only a comment that belongs to a test counts.
fn shown_in(source: &str) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    let mut first = None;
    for line in source.lines() {
        match line.strip_prefix("/// ") {
            Some(comment) => first = first.or(Some(comment)),
            None => {
                if line == "#[test]" {
                    shown.extend(first.map(named_by).unwrap_or_default());
                }
                first = None;
            }
        }
    }
    shown
}

/// Returns the rules that the comments of a source name, wherever they stand; "G6 to G8" names these two.
fn named_in(source: &str) -> BTreeSet<String> {
    let comments = source.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
    let words = comments.flat_map(|comment| comment.split(|c: char| !c.is_alphanumeric() && c != '\u{a7}'));
    words.filter(|word| is_id(word)).map(str::to_owned).collect()
}

/// Every Rust file below a folder of the repository.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_rule_is_shown_by_a_test_of_the_protocol() {
    let text = fs::read_to_string(root().join(RULES)).unwrap();
    let rules = rules(&text);
    let mut shown = BTreeSet::new();
    for path in sources(&root().join("tests/protocol")).iter().filter(|path| !path.ends_with("rows.rs")) {
        shown.extend(shown_in(&fs::read_to_string(path).unwrap()));
    }
    let unknown: Vec<_> = shown.difference(&rules).collect();
    assert!(unknown.is_empty(), "tests show {unknown:?}: write their rules into {RULES}");
    for cells in table_rows(text.split_once(NOT_SHOWN).unwrap().1) {
        let [id, reason] = cells[..] else { panic!("{RULES}: not two cells: {cells:?}") };
        assert!(rules.contains(id) && reason.ends_with('.'), "{RULES}: {id} is no rule, or has no reason");
        shown.insert(id.to_owned());
    }
    let missing: Vec<_> = rules.difference(&shown).collect();
    assert!(missing.is_empty(), "no test shows {missing:?}: write one, or list in {RULES} why none can");
}

#[test]
fn every_rule_that_is_named_has_a_text() {
    let rules = rules(&fs::read_to_string(root().join(RULES)).unwrap());
    let mut unknown = Vec::new();
    for path in NAMED_IN.iter().flat_map(|folder| sources(&root().join(folder))) {
        if !path.ends_with("protocol/rows.rs") {
            let named = named_in(&fs::read_to_string(&path).unwrap());
            unknown.extend(named.difference(&rules).map(|id| format!("{}: {id}", path.display())));
        }
    }
    assert!(unknown.is_empty(), "rules without a text in {RULES}: {unknown:#?}");
}

/// So that none gets lost.
#[test]
fn no_rule_was_removed() {
    assert_eq!(rules(&fs::read_to_string(root().join(RULES)).unwrap()).len(), 128);
}

#[test]
fn a_rule_is_shown_by_a_comment_of_a_test_only() {
    let source = "/// A1, B2: yes.\n/// C3: not first.\n#[test]\nfn a() {}\n\n/// D4: no test.\nfn b() {}\n";
    assert!(shown_in(source).is_empty(), "there is no A1");
    let source = source.replace("A1", "B1");
    assert_eq!(shown_in(&source).into_iter().collect::<Vec<_>>(), ["B1", "B2"]);
    assert_eq!(named_by("Every row: is a word").len(), 0);
    assert_eq!(named_by("\u{a7}17: extensions"), ["\u{a7}17"]);
}

#[test]
fn a_rule_is_named_by_any_comment_and_by_no_code() {
    let source = "let g = IpAddr::V4(a); // E9\n    // As C3 (D4) says, G6 to\n    //! G8, but not C123.\n";
    assert_eq!(named_in(source).into_iter().collect::<Vec<_>>(), ["C3", "D4", "G6", "G8"]);
}

#[test]
fn a_row_of_a_table_has_its_cells() {
    let text = "| id | level |\n|---|---|\n| C3 | a `|` b |\ntext | not | a row\n";
    assert_eq!(table_rows(text), [["C3", "a `|` b"]]);
}
