//! Libraries, some types and asynchronous code stay where they belong.

use std::fs;

use crate::lexer::is_word;
use crate::report::{Finding, settle};
use crate::sources::{Source, declared, product_sources, root};

/// Every library that the program is built with, and the places below `src/` that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("async_io", &["control/", "wire/stream/"]),
    ("async_signal", &["cli/"]),
    ("blake3", &["meta/index/row_sums.rs", "meta/journal/file/", "spec/"]),
    ("clap", &["cli/"]),
    ("env_filter", &["config/"]),
    ("env_logger", &["cli/"]),
    ("event_listener", &["registry/uploads/", "wire/admission/", "wire/connection/"]),
    ("httparse", &["wire/request/"]),
    ("log", EVERYWHERE),
    ("percent_encoding", &["http/api/"]),
    ("prometheus_client", &["http/ops/"]),
    ("quick_cache", &["registry/content/"]),
    ("regex_lite", &["meta/model/tag_pattern.rs"]),
    (
        "rustix",
        &["disk/", "maintenance/collector/", "meta/clock/", "registry/open_error.rs", "server/", "wire/"],
    ),
    ("serde", EVERYWHERE),
    ("serde_json", EVERYWHERE),
    ("sha2", &["spec/"]),
    ("sled", &["meta/index/sled/"]),
    ("smol", &["admin/", "cli/", "control/", "http/", "registry/", "server/", "wire/"]),
    ("thiserror", EVERYWHERE),
    ("tide", &["http/", "server/", "wire/"]),
    ("toml", &["config/"]),
    ("uuid", &["meta/model/", "registry/open/"]),
];

/// Types that only some places may name.
const TYPES: &[(&str, &[&str])] = &[
    ("DiskFile", &["blobs/local/", "disk/", "meta/checkpoint/", "meta/journal/file/"]),
    ("PoisonError", &["base/"]),
    ("TcpStream", &["wire/stream/"]),
];

/// What may be named everywhere.
const EVERYWHERE: &[&str] = &[""];

/// The rooms that are not asynchronous.
const SYNCHRONOUS: [&str; 5] = ["base", "spec", "disk", "blobs", "meta"];

fn is_allowed(source: &Source, places: &[&str]) -> bool {
    let inner = source.path.strip_prefix("src/").unwrap_or(&source.path);
    places.iter().any(|place| inner.starts_with(place))
}

/// Finds a word where it begins a path, or where `with_paths` is false anywhere.
fn check_word(source: &Source, word: &str, is_library: bool, places: &[&str]) -> Vec<Finding> {
    // A module may have the name of the library that it holds.
    if declared(&source.product).iter().any(|(name, _)| name == word) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.product.lines()) {
        let named = line.match_indices(word).any(|(offset, _)| {
            let (before, after) = (&line[..offset], &line[offset + word.len()..]);
            let begins = !before.ends_with(|c| is_word(c) || (is_library && c == ':'));
            let is_path = after.starts_with("::") || before.trim_end().ends_with("use");
            begins && !after.starts_with(is_word) && (!is_library || is_path)
        });
        if named && !is_allowed(source, places) {
            let what = format!("`{word}` belongs to {places:?}: use what these offer");
            findings.push(Finding::at(&source.path, number, what));
        }
    }
    findings
}

fn check_async(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.product.lines()) {
        let mut words = line.split(|c: char| !is_word(c));
        if SYNCHRONOUS.contains(&source.room()) && words.any(|word| word == "async" || word == "await") {
            let what = "this room is synchronous: `registry` brings asynchronous code to it";
            findings.push(Finding::at(&source.path, number, what));
        }
    }
    findings
}

/// Returns the names of a manifest's `[dependencies]`, as code spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap();
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_"))).collect()
}

#[test]
fn libraries_and_types_stay_in_their_places() {
    let mut findings = Vec::new();
    for source in product_sources() {
        for (library, places) in LIBRARIES {
            findings.extend(check_word(source, library, true, places));
        }
        for (name, places) in TYPES {
            findings.extend(check_word(source, name, false, places));
        }
        findings.extend(check_async(source));
    }
    settle("none", &[], &findings);
}

#[test]
fn every_library_has_its_place() {
    let dependencies = dependencies(&fs::read_to_string(root().join("Cargo.toml")).unwrap());
    for name in &dependencies {
        let known = LIBRARIES.iter().any(|(library, _)| library == name);
        assert!(known, "say in tests/tidy/confined.rs which places may name `{name}`");
    }
}

/// Else a place that has moved would confine nothing.
#[test]
fn every_place_names_what_it_may() {
    let mut findings = Vec::new();
    for ((word, places), is_library) in
        LIBRARIES.iter().map(|row| (row, true)).chain(TYPES.iter().map(|row| (row, false)))
    {
        for place in *places {
            let inside = product_sources().filter(|source| is_allowed(source, &[place]));
            let named = inside.flat_map(|source| check_word(source, word, is_library, &[])).next();
            let what = format!("`{place}` names no `{word}`: take it out of tests/tidy/confined.rs");
            findings.extend(named.is_none().then(|| Finding::new(*place, what)));
        }
    }
    settle("none", &[], &findings);
}

mod tests {
    use super::*;

    fn found(path: &str, text: &str, word: &str, is_library: bool) -> usize {
        check_word(&Source::new(path, text), word, is_library, &["meta/index/sled"]).len()
    }

    #[test]
    fn finds_libraries_outside_their_places() {
        let text =
            "use sled;\nfn f(t: sled::Tree) {}\nuse sled::{Db, Tree};\nuse sled as s;\npub use sled::Db;\n";
        assert_eq!(found("src/registry/a.rs", text, "sled", true), 5);
        assert_eq!(found("src/meta/index/sled/a.rs", text, "sled", true), 0);
        let others = "use crate::meta::sled::Index;\nlet besled::x;\nlet sled = 1;\n// sled::x\nmod sled;\n";
        assert_eq!(found("src/registry/a.rs", others, "sled", true), 0);
        assert_eq!(
            found("src/registry/a.rs", "#[cfg(test)]\nmod tests {\n    use sled::Db;\n}\n", "sled", true),
            0
        );
    }

    #[test]
    fn finds_types_outside_their_places() {
        let text = "fn f(file: &dyn disk::DiskFile) {}\nstruct DiskFiles;\n";
        assert_eq!(found("src/http/a.rs", text, "DiskFile", false), 1);
    }

    #[test]
    fn finds_asynchronous_code_in_synchronous_rooms() {
        let text = "async fn f() {}\nfn g() {}\nlet x = y.await;\nlet asynchronous = 1;";
        assert_eq!(check_async(&Source::new("src/blobs/a.rs", text)).len(), 2);
        assert!(check_async(&Source::new("src/registry/a.rs", text)).is_empty());
    }

    #[test]
    fn dependencies_are_those_of_the_program() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nb-c = \"1\"\nd = { e = 1 }\n\n\
                        [dev-dependencies]\nf = \"1\"\n";
        assert_eq!(dependencies(manifest), ["b_c", "d"]);
    }
}
