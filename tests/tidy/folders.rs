//! Folders are small and described, every file belongs to a module, and tests have one name.

use std::collections::{BTreeMap, BTreeSet};

use crate::exceptions::{FULL_FOLDERS, OTHER_TEST_NAMES, UNDESCRIBED};
use crate::report::{Finding, settle};
use crate::sources::{FOLDERS, Modules, Source, declared, modules, path_attribute, product_sources, sources};

/// How many files of the program a folder has at most, and how many of tests.
const FILES_MAX: usize = 16;

/// From how many modules on a `mod.rs` has a table of them.
const DESCRIBED_MIN: usize = 8;

/// What test modules and their files are called; `crash_tests` is a room.
const TESTS: [&str; 2] = ["tests", "crash_tests"];

/// Counts the files of each folder: those of the program, and those of tests, which may stand beside them.
fn check_full(sources: &[&Source], modules: &Modules) -> Vec<Finding> {
    let product: BTreeSet<&str> =
        modules.values().filter(|module| module.is_product).map(|module| &*module.file).collect();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for source in sources {
        let kind = if product.contains(&*source.path) { "the program" } else { "tests" };
        *counts.entry((source.folder(), kind)).or_default() += 1;
    }
    let full = counts.into_iter().filter(|(_, count)| *count > FILES_MAX);
    full.map(|((folder, kind), count)| {
        let what = format!(
            "{folder}/ has {count} files of {kind}, at most {FILES_MAX}: sort some into a folder by subject"
        );
        Finding::new(folder, what)
    })
    .collect()
}

fn check_described(source: &Source) -> Option<Finding> {
    let children = declared(&source.product);
    let docs: String = source.text.lines().filter(|line| line.starts_with("//!")).collect();
    let is_named = |name: &str| docs.contains(&format!("`{name}`")) || docs.contains(&format!("`{name}/`"));
    let missing: Vec<_> = children.iter().map(|(name, _)| &**name).filter(|name| !is_named(name)).collect();
    (source.path.ends_with("/mod.rs") && children.len() >= DESCRIBED_MIN && !missing.is_empty()).then(|| {
        let what = format!("{}: say in a table of its `//!` lines what is in {missing:?}", source.path);
        Finding::new(&source.path, what)
    })
}

fn check_test_names(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, offset) in declared(&source.views.code) {
        let other_name = name.contains("test") && !TESTS.contains(&&*name);
        if other_name || path_attribute(source, offset).is_some() {
            let places = "inside of the file, in `<file>/tests.rs` or in `tests/`";
            let what = format!("{}: `mod {name};`: call tests `tests`, {places}", source.path);
            findings.push(Finding::new(name, what));
        }
    }
    findings
}

fn check_dead(sources: &[&Source], firsts: &[String]) -> Vec<Finding> {
    let alive: BTreeSet<String> = firsts
        .iter()
        .flat_map(|first| modules(sources.iter().copied(), first))
        .map(|(_, module)| module.file)
        .collect();
    let dead = sources.iter().filter(|source| !alive.contains(&source.path));
    dead.map(|source| Finding::at(&source.path, 1, "no `mod` line leads here: write one, or delete the file"))
        .collect()
}

/// Returns the files that cargo begins with.
fn firsts(sources: &[&Source]) -> Vec<String> {
    let is_first = |path: &str| match path.split('/').collect::<Vec<_>>()[..] {
        ["src", file] => ["lib.rs", "main.rs"].contains(&file),
        ["tests" | "examples", _] => true,
        ["tests" | "benches", _, file] => file == "main.rs",
        _ => false,
    };
    sources.iter().map(|source| source.path.clone()).filter(|path| is_first(path)).collect()
}

#[test]
fn folders_are_small() {
    let all: Vec<_> = FOLDERS.into_iter().flat_map(sources).collect();
    settle("FULL_FOLDERS", FULL_FOLDERS, &check_full(&all, &modules(sources("src"), "src/lib.rs")));
}

#[test]
fn folders_of_many_modules_are_described() {
    let findings: Vec<_> = product_sources().filter_map(check_described).collect();
    settle("UNDESCRIBED", UNDESCRIBED, &findings);
}

#[test]
fn tests_have_one_name() {
    let findings: Vec<_> = sources("src").iter().flat_map(check_test_names).collect();
    settle("OTHER_TEST_NAMES", OTHER_TEST_NAMES, &findings);
}

#[test]
fn every_file_belongs_to_a_module() {
    let sources: Vec<_> = FOLDERS.into_iter().flat_map(sources).collect();
    settle("none", &[], &check_dead(&sources, &firsts(&sources)));
}

mod tests {
    use super::*;

    fn folder_of(count: usize) -> Vec<Source> {
        let names: Vec<_> = (0..count).map(|number| format!("m{number}")).collect();
        let lines: String = names.iter().map(|name| format!("mod {name};\n")).collect();
        let first =
            Source::new("src/a/mod.rs", &format!("//! `m0` is one.\n{lines}#[cfg(test)]\nmod tests;\n"));
        let others = names.iter().map(|name| Source::new(&format!("src/a/{name}.rs"), ""));
        let tests = ["src/a/tests.rs", "src/dead.rs"].map(|path| Source::new(path, ""));
        let root = Source::new("src/lib.rs", "mod a;\n");
        [root, first].into_iter().chain(others).chain(tests).collect()
    }

    #[test]
    fn finds_folders_with_too_many_files() {
        let full = |sources: &[Source]| {
            check_full(&sources.iter().collect::<Vec<_>>(), &modules(sources, "src/lib.rs"))
        };
        assert!(full(&folder_of(FILES_MAX - 1)).is_empty());
        assert_eq!(full(&folder_of(FILES_MAX))[0].key, "src/a");
        let mut sources = folder_of(FILES_MAX - 1);
        sources.extend((0..FILES_MAX - 1).map(|number| Source::new(&format!("src/a/t{number}.rs"), "")));
        assert!(full(&sources).is_empty());
        sources.push(Source::new("src/a/one_more.rs", ""));
        assert!(full(&sources)[0].what.contains(" files of tests"));
    }

    #[test]
    fn finds_modules_that_no_table_names() {
        let found = check_described(&folder_of(DESCRIBED_MIN)[1]).unwrap().what;
        assert!(
            found.contains("\"m1\"") && !found.contains("\"m0\"") && !found.contains("tests\""),
            "{found}"
        );
        assert_eq!(check_described(&folder_of(DESCRIBED_MIN - 1)[1]), None);
    }

    #[test]
    fn finds_dead_files() {
        let folder = folder_of(2);
        let sources: Vec<_> = folder.iter().collect();
        let found = check_dead(&sources, &firsts(&sources));
        assert_eq!(found.len(), 1);
        assert!(found[0].what.starts_with("src/dead.rs:1: "));
    }

    #[test]
    fn finds_tests_with_a_name_of_their_own() {
        let text = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\n\
                    mod slow_tests;\nmod crash_tests;\n";
        let found = check_test_names(&Source::new("src/a.rs", text));
        assert_eq!(found.iter().map(|finding| &*finding.key).collect::<Vec<_>>(), ["tests", "slow_tests"]);
    }
}
