//! Style as a test: the layer table, where libraries may be named, sizes, and what must not be left behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of `src/`, each with its layer. A room imports from itself and from lower layers only.
const LAYERS: [(&str, u8); 16] = [
    ("base", 0),
    ("spec", 0),
    ("disk", 1),
    ("wire", 1),
    ("blobs", 2),
    ("meta", 3),
    ("registry", 4),
    ("maintenance", 5),
    ("admin", 6),
    ("http", 7),
    ("control", 7),
    ("server", 8),
    ("config", 9),
    ("cli", 10),
    ("fuzzing", 11),
    ("crash_tests", 11),
];

/// Libraries that only some rooms may name.
const CONFINED: [(&str, &[&str]); 3] =
    [("tide", &["http", "wire", "server"]), ("http_types", &["http", "wire", "server"]), ("sled", &["meta"])];

/// The lowest layer with asynchronous code: `registry`. Of the rooms below it only `wire` has some.
const ASYNC_LAYER_MIN: u8 = 4;

const FILE_LENGTH_MAX_LINES: usize = 450;
const LINE_LENGTH_MAX_CHARS: usize = 110;

/// What must not be left behind; in two pieces, so that this file doesn't hold it.
const LEFTOVERS: [(&str, &str); 5] =
    [("todo", "!("), ("unimplemented", "!("), ("TO", "DO"), ("FIX", "ME"), ("#[ig", "nore")];

/// Something untidy: a line, counted from 1, and what is wrong there.
type Finding = (usize, String);

fn layer_of(room: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == room).map(|(_, layer)| *layer)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word_at(text: &str) -> &str {
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    &text[..end]
}

/// Blanks whole-line comments, so that what documents name is no import. Lines stay where they are.
fn without_comments(text: &str) -> String {
    let keep = |line: &str| !line.trim_start().starts_with("//");
    text.lines().map(|line| if keep(line) { line.to_owned() + "\n" } else { "\n".to_owned() }).collect()
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

/// Finds the words that follow each `prefix`, with the line of each; a group `{a::b, c}` gives `a` and `c`.
/// A prefix that is the end of a longer word or path doesn't count.
fn heads_after(text: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut heads = Vec::new();
    for (offset, _) in text.match_indices(prefix) {
        if text[..offset].chars().next_back().is_some_and(|before| is_word(before) || before == ':') {
            continue;
        }
        let start = offset + prefix.len();
        if text[start..].starts_with('{') {
            heads.extend(group_heads(&text[start..]).map(|(at, word)| (line_of(text, start + at), word)));
        } else {
            heads.push((line_of(text, offset), word_at(&text[start..]).to_owned()));
        }
    }
    heads
}

/// The first word of each item of the group that `text` begins with.
fn group_heads(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut heads = Vec::new();
    let (mut depth, mut item_begins) = (0_usize, false);
    for (offset, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' => item_begins = depth == 1,
            _ if item_begins && is_word(character) => {
                heads.push((offset, word_at(&text[offset..]).to_owned()));
                item_begins = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        item_begins |= character == '{' && depth == 1;
    }
    heads.into_iter()
}

/// Checks a file's imports; `depth` is how many modules below the crate's root it is.
fn check_layers(room: &str, depth: usize, text: &str) -> Vec<Finding> {
    let Some(own) = layer_of(room) else {
        return vec![(1, format!("`{room}` is not in the layer table"))];
    };
    let mut findings = Vec::new();
    for (line, head) in heads_after(text, "crate::") {
        let Some(layer) = layer_of(&head) else { continue };
        if layer > own {
            findings.push((line, format!("`{room}` must not import from `{head}`")));
        }
    }
    findings.extend(check_climbs(room, depth, text));
    findings
}

/// Finds chains of `super::` that leave the room, where the layer table can't see what they reach. A single
/// one in a room's own file leaves it too, unless it is indented: then it is in a module of that file.
fn check_climbs(room: &str, depth: usize, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let climbs = line.matches("super::").count();
        if climbs >= depth && (climbs > 1 || line.starts_with("use super::")) {
            findings.push((number, format!("this leaves `{room}`: write `crate::…`")));
        }
    }
    findings
}

fn check_libraries(room: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (library, rooms) in CONFINED {
        if rooms.contains(&room) {
            continue;
        }
        let named = [format!("{library}::"), format!("use {library};"), format!("use {library} as ")];
        for (line, _) in named.iter().flat_map(|prefix| heads_after(text, prefix)) {
            findings.push((line, format!("`{library}` must not be named in `{room}`")));
        }
    }
    if room != "wire" && layer_of(room).is_some_and(|layer| layer < ASYNC_LAYER_MIN) {
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split(|c: char| !is_word(c)).collect();
            if words.contains(&"async") || line.contains(".await") {
                findings.push((number, format!("`{room}` is below `registry` and must not be asynchronous")));
            }
        }
    }
    findings
}

fn check_lines(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let length = line.chars().count();
        if length > LINE_LENGTH_MAX_CHARS {
            findings.push((number, format!("{length} characters; at most {LINE_LENGTH_MAX_CHARS}")));
        }
        for (start, end) in LEFTOVERS {
            let leftover = format!("{start}{end}");
            if line.contains(&leftover) {
                findings.push((number, format!("`{leftover}` left behind")));
            }
        }
    }
    findings
}

fn check_length(text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let found = (FILE_LENGTH_MAX_LINES, format!("{lines} lines; at most {FILE_LENGTH_MAX_LINES}"));
    if lines > FILE_LENGTH_MAX_LINES { vec![found] } else { Vec::new() }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the repository, which may be absent.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The folder directly below `src/` that holds a file, if one does.
fn room_of(path: &Path) -> Option<String> {
    let inner = path.strip_prefix(root().join("src")).ok()?;
    let first = inner.components().next()?;
    (inner.components().count() > 1).then(|| first.as_os_str().to_string_lossy().into_owned())
}

/// How many modules below the crate's root a file of `src/` is.
fn depth_of(path: &Path) -> usize {
    let inner = path.strip_prefix(root().join("src")).unwrap_or(path);
    let components = inner.components().count();
    if path.ends_with("mod.rs") { components - 1 } else { components }
}

/// Fails with every finding, each with its file and line.
fn check_all(files: &[PathBuf], check: impl Fn(&Path, &str) -> Vec<Finding>) {
    assert!(!files.is_empty(), "there is nothing to check");
    let mut report = Vec::new();
    for path in files {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root()).unwrap_or(path).display();
        report.extend(check(path, &text).into_iter().map(|(line, what)| format!("{name}:{line}: {what}")));
    }
    assert!(report.is_empty(), "\n{}\n", report.join("\n"));
}

#[test]
fn every_room_imports_only_from_lower_layers() {
    check_all(&rust_files("src"), |path, text| {
        room_of(path)
            .map(|room| check_layers(&room, depth_of(path), &without_comments(text)))
            .unwrap_or_default()
    });
}

#[test]
fn libraries_and_asynchronous_code_stay_in_their_rooms() {
    check_all(&rust_files("src"), |path, text| {
        room_of(path).map(|room| check_libraries(&room, &without_comments(text))).unwrap_or_default()
    });
}

#[test]
fn no_file_of_src_is_longer_than_one_can_read() {
    check_all(&rust_files("src"), |_, text| check_length(text));
}

#[test]
fn lines_are_short_and_nothing_is_left_behind() {
    let files: Vec<_> = ["src", "tests", "examples", "benches"].into_iter().flat_map(rust_files).collect();
    check_all(&files, |_, text| check_lines(text));
}

#[test]
fn the_architecture_names_every_folder_of_src() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_name().unwrap().to_string_lossy();
        let named = text.contains(&format!("`{room}/`"));
        assert!(!path.is_dir() || named, "ARCHITECTURE.md does not name `{room}/`");
    }
}

mod the_checker {
    use super::*;

    fn lines(findings: &[Finding]) -> Vec<usize> {
        findings.iter().map(|(line, _)| *line).collect()
    }

    #[test]
    fn finds_imports_from_upper_layers() {
        assert_eq!(lines(&check_layers("disk", 2, "use std::fs;\nuse crate::http::Route;\n")), [2]);
        assert_eq!(lines(&check_layers("blobs", 2, "use crate::meta::Row;")), [1]);
        assert_eq!(lines(&check_layers("spec", 2, "fn f() {\n    crate::disk::open();\n}")), [2]);
        assert_eq!(check_layers("http", 2, "use crate::registry::Registry;\nuse crate::http::Route;"), []);
    }

    #[test]
    fn finds_every_import_of_a_group() {
        let text = "use crate::{\n    spec::{Digest, Tag},\n    wire::Limits,\n    cli,\n};";
        assert_eq!(lines(&check_layers("spec", 2, text)), [3, 4]);
        assert_eq!(lines(&check_layers("wire", 2, text)), [4]);
        assert_eq!(check_layers("cli", 2, "use crate::{\n    spec::{wire, cli},\n    wire,\n};"), []);
    }

    #[test]
    fn passes_over_comments_and_other_crates() {
        let text = "/// See [`crate::cli::main`].\nuse other_crate::cli::x;\n";
        assert_eq!(check_layers("spec", 2, &without_comments(text)), []);
        assert_eq!(without_comments("// a\nb\n"), "\nb\n");
    }

    #[test]
    fn finds_a_room_without_a_layer_and_paths_that_climb() {
        assert_eq!(lines(&check_layers("attic", 1, "")), [1]);
        assert_eq!(lines(&check_layers("spec", 2, "\nuse super::super::cli;")), [2]);
        assert_eq!(
            lines(&check_layers("spec", 1, "use super::cli;\nmod tests {\n    use super::*;\n}")),
            [1]
        );
        assert_eq!(check_layers("disk", 3, "use super::super::Disk;"), []);
    }

    #[test]
    fn finds_libraries_outside_their_rooms() {
        assert_eq!(lines(&check_libraries("registry", "use tide::Request;\nfn f(t: sled::Tree) {}")), [1, 2]);
        assert_eq!(lines(&check_libraries("cli", "\nuse http_types;\nuse sled as s;")), [2, 3]);
        assert_eq!(check_libraries("meta", "use sled::Tree;"), []);
        assert_eq!(check_libraries("http", "use tide::{Request, http_types::Method};"), []);
        assert_eq!(check_libraries("registry", "use crate::meta::sled::Index;\nlet besled::x;"), []);
    }

    #[test]
    fn finds_asynchronous_code_below_the_registry() {
        let text = "async fn f() {}\nfn g() {}\nlet x = y.await;\nlet asynchronous = 1;";
        assert_eq!(lines(&check_libraries("blobs", text)), [1, 3]);
        assert_eq!(check_libraries("registry", text), []);
    }

    #[test]
    fn finds_long_lines_long_files_and_leftovers() {
        assert_eq!(lines(&check_lines(&format!("\n{}", "x".repeat(111)))), [2]);
        assert_eq!(check_lines(&"é".repeat(110)), []);
        for (start, end) in LEFTOVERS {
            assert_eq!(lines(&check_lines(&format!("ok\n{start}{end}"))), [2]);
        }
        assert_eq!(lines(&check_length(&"\n".repeat(451))), [450]);
        assert_eq!(check_length(&"\n".repeat(450)), []);
    }
}
