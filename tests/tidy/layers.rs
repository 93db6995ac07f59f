//! A room imports from itself and from lower layers only.

use std::fs;

use crate::lexer::{is_word, line_of};
use crate::report::{Finding, settle};
use crate::sources::{Source, root, sources};

/// The rooms of `src/`, each with its layer. Two rooms of one layer know nothing of each other, save that all
/// may use `base`.
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

/// The room that those of its own layer may use.
const BASE: &str = "base";

fn layer_of(room: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == room).map(|(_, layer)| *layer)
}

/// Returns the words that follow `crate::` in code, with the line of each; of a group the first of each
/// item.
fn imported_rooms(code: &str) -> Vec<(usize, String)> {
    let mut rooms = Vec::new();
    for (offset, prefix) in code.match_indices("crate::") {
        if code[..offset].chars().next_back().is_some_and(|before| is_word(before) || before == ':') {
            continue;
        }
        let start = offset + prefix.len();
        if code[start..].starts_with('{') {
            rooms.extend(group_heads(&code[start..]).map(|(at, word)| (line_of(code, start + at), word)));
        } else {
            rooms.push((line_of(code, offset), word_at(&code[start..])));
        }
    }
    rooms
}

fn word_at(text: &str) -> String {
    text.chars().take_while(|character| is_word(*character)).collect()
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
                heads.push((offset, word_at(&text[offset..])));
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

/// Checks a file's imports.
fn check_layers(source: &Source) -> Vec<Finding> {
    let room = source.room();
    let Some(own) = layer_of(room) else {
        return vec![Finding::at(
            &source.path,
            1,
            format!("give `{room}` its layer in tests/tidy/layers.rs"),
        )];
    };
    let mut findings = Vec::new();
    for (line, head) in imported_rooms(&source.views.code) {
        let Some(layer) = layer_of(&head).filter(|_| head != room && head != BASE) else { continue };
        if layer >= own {
            let what = format!("`{room}` must not import from `{head}`: move what it needs to a lower room");
            findings.push(Finding::at(&source.path, line, what));
        }
    }
    findings.extend(check_climbs(source));
    findings
}

/// Finds chains of `super::` that leave the room, where the layer table can't see what they reach. A single
/// one in a room's own file leaves it too, unless it is indented: then it is in a module of that file.
fn check_climbs(source: &Source) -> Vec<Finding> {
    let components = source.path.matches('/').count();
    let depth = if source.path.ends_with("/mod.rs") { components - 1 } else { components };
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.views.code.lines()) {
        let climbs = line.matches("super::").count();
        if climbs >= depth && (climbs > 1 || line.starts_with("use super::")) {
            let what = format!("this leaves `{}`: write `crate::…`", source.room());
            findings.push(Finding::at(&source.path, number, what));
        }
    }
    findings
}

#[test]
fn every_room_imports_only_from_lower_layers() {
    let in_rooms = sources("src").iter().filter(|source| source.path.matches('/').count() > 1);
    settle("none", &[], &in_rooms.flat_map(check_layers).collect::<Vec<_>>());
}

#[test]
fn every_layer_has_its_room() {
    for (room, _) in LAYERS {
        assert!(root().join("src").join(room).is_dir(), "take `{room}` out of tests/tidy/layers.rs");
    }
}

#[test]
fn the_architecture_names_every_room() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (room, layer) in LAYERS {
        let row = format!("| {layer} | `{room}/` |");
        assert!(text.contains(&row), "write the row `{row} …` into ARCHITECTURE.md");
    }
}

mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<String> {
        let line = |finding: Finding| finding.what.split(':').nth(1).unwrap().to_owned();
        check_layers(&Source::new(path, text)).into_iter().map(line).collect()
    }

    #[test]
    fn finds_imports_from_upper_layers() {
        assert_eq!(lines("src/disk/a.rs", "use std::fs;\nuse crate::http::Route;\n"), ["2"]);
        assert_eq!(lines("src/blobs/a.rs", "use crate::meta::Row;"), ["1"]);
        assert_eq!(lines("src/spec/a.rs", "fn f() {\n    crate::disk::open();\n}"), ["2"]);
        assert!(lines("src/http/a.rs", "use crate::registry::Registry;\nuse crate::http::Route;").is_empty());
    }

    #[test]
    fn finds_imports_from_the_same_layer_except_of_the_lowest_room() {
        assert_eq!(lines("src/disk/a.rs", "use crate::wire::Limits;"), ["1"]);
        assert!(lines("src/spec/a.rs", "use crate::base::lock;").is_empty());
        assert_eq!(lines("src/base/a.rs", "use crate::spec::Tag;"), ["1"]);
    }

    #[test]
    fn finds_every_import_of_a_group() {
        let text = "use crate::{\n    spec::{Digest, Tag},\n    server::Limits,\n    cli,\n};";
        assert_eq!(lines("src/http/a.rs", text), ["3", "4"]);
        assert_eq!(lines("src/config/a.rs", text), ["4"]);
        assert!(lines("src/cli/a.rs", "use crate::{\n    spec::{wire, cli},\n    wire,\n};").is_empty());
    }

    #[test]
    fn passes_over_comments_and_other_crates() {
        let text =
            "/// See [`crate::cli::main`].\nuse other_crate::cli::x; // crate::cli\nlet a = \"crate::cli\";";
        assert!(lines("src/spec/a.rs", text).is_empty());
    }

    #[test]
    fn finds_a_room_without_a_layer_and_paths_that_climb() {
        assert_eq!(lines("src/attic/mod.rs", ""), ["1"]);
        assert_eq!(lines("src/spec/a.rs", "\nuse super::super::cli;"), ["2"]);
        assert_eq!(lines("src/spec/mod.rs", "use super::cli;\nmod tests {\n    use super::*;\n}"), ["1"]);
        assert!(lines("src/disk/simulated/file.rs", "use super::super::Disk;").is_empty());
    }
}
