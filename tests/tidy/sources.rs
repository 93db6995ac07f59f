//! The sources of the repository, and the modules of the crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::lexer::{Views, closing, line_of, product, views};

/// A Rust file.
pub(crate) struct Source {
    /// Its path in the repository, such as `src/meta/mod.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) views: Views,
    /// Its code without what only tests are built with.
    pub(crate) product: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let views = views(text);
        let product = product(&views.code);
        Self { path: path.to_owned(), text: text.to_owned(), views, product }
    }

    /// The folder directly below `src/`, or the one directly below the repository.
    pub(crate) fn room(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').next().filter(|first| !first.ends_with(".rs")).unwrap_or("the crate's root")
    }

    /// The folder, without a slash at the end.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file below a folder of the repository with one of these endings, in order.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{folder}/ has no file that ends with {ending}");
    files
}

/// The folders with Rust files.
pub(crate) const FOLDERS: [&str; 4] = ["src", "tests", "benches", "examples"];

static SOURCES: LazyLock<[Vec<Source>; 4]> = LazyLock::new(|| FOLDERS.map(read));

fn read(folder: &str) -> Vec<Source> {
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    files(folder, ".rs")
        .iter()
        .map(|path| Source::new(&name(path), &fs::read_to_string(path).unwrap()))
        .collect()
}

/// Returns the Rust files below a folder.
pub(crate) fn sources(folder: &str) -> &'static [Source] {
    let at = FOLDERS.iter().position(|known| *known == folder);
    &SOURCES[at.unwrap()]
}

/// A module that has a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its path in the repository.
    pub(crate) file: String,
    /// Whether it is a part of the program, and not only of its tests.
    pub(crate) is_product: bool,
}

/// The modules of a crate by their paths, such as `crate::meta::row`.
pub(crate) type Modules = BTreeMap<String, Module>;

/// Follows the `mod` lines from a crate's first file.
pub(crate) fn modules<'a>(sources: impl IntoIterator<Item = &'a Source>, first: &str) -> Modules {
    let by_path: BTreeMap<&str, &Source> =
        sources.into_iter().map(|source| (&*source.path, source)).collect();
    let mut modules = Modules::new();
    let mut open = vec![("crate".to_owned(), first.to_owned(), true)];
    while let Some((path, file, is_product)) = open.pop() {
        let Some(source) = by_path.get(&*file) else { continue };
        for (name, offset) in declared(&source.views.code) {
            let of_product = is_product && source.product[offset..].starts_with("mod");
            if let Some(child) = child_file(source, &name, offset, path == "crate", &by_path) {
                open.push((format!("{path}::{name}"), child, of_product));
            }
        }
        modules.insert(path, Module { file, is_product });
    }
    modules
}

/// Returns the files of `src/` that are built into the program.
pub(crate) fn product_sources() -> impl Iterator<Item = &'static Source> {
    let modules = modules(sources("src"), "src/lib.rs");
    let product = |source: &&Source| {
        modules.values().any(|module| module.is_product && module.file == source.path)
            || source.path == "src/main.rs"
    };
    sources("src").iter().filter(product).collect::<Vec<_>>().into_iter()
}

/// Returns the names of `mod name;` lines, with the place of each.
pub(crate) fn declared(code: &str) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    for (offset, _) in code.match_indices("mod ") {
        let before = code[..offset].chars().next_back();
        let name = code[offset + 4..].split(';').next().unwrap_or_default();
        if !name.is_empty()
            && name.chars().all(crate::lexer::is_word)
            && before.is_none_or(char::is_whitespace)
        {
            names.push((name.to_owned(), offset));
        }
    }
    names
}

fn child_file(
    parent: &Source,
    name: &str,
    offset: usize,
    is_root: bool,
    known: &BTreeMap<&str, &Source>,
) -> Option<String> {
    let folder = match parent.path.strip_suffix("/mod.rs") {
        Some(folder) => folder.to_owned(),
        None if is_root => parent.folder().to_owned(),
        None => parent.path.trim_end_matches(".rs").to_owned(),
    };
    if let Some(path) = path_attribute(parent, offset) {
        let mut parts: Vec<&str> = parent.folder().split('/').collect();
        for part in path.split('/') {
            match part {
                ".." => parts.truncate(parts.len() - 1),
                _ => parts.push(part),
            }
        }
        return Some(parts.join("/"));
    }
    let places = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
    places.into_iter().find(|place| known.contains_key(&**place))
}

/// Returns the path that an attribute on the line before gives a module.
pub(crate) fn path_attribute(source: &Source, offset: usize) -> Option<&str> {
    let line = line_of(&source.text, offset);
    let before = source.text.lines().nth(line.checked_sub(2)?)?;
    before.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]")
}

/// Returns the offset, name and length in lines of each function with a body.
pub(crate) fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut functions = Vec::new();
    for (offset, _) in code.match_indices("fn ") {
        if code[..offset].chars().next_back().is_some_and(crate::lexer::is_word) {
            continue;
        }
        let rest = &code[offset + 3..];
        let name = &rest[..rest.find(|c| !crate::lexer::is_word(c)).unwrap_or(0)];
        let Some(body) = body_begin(rest) else { continue };
        let end = body + closing(&rest[body..]);
        if !name.is_empty() {
            functions.push((offset, name, rest[..end].lines().count()));
        }
    }
    functions
}

/// Returns where the body of the function begins whose signature this is.
fn body_begin(signature: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(character) = signature[at..].chars().next() {
        match character {
            '{' => return Some(at),
            ';' => return None,
            '(' | '[' => at += closing(&signature[at..]),
            _ => at += character.len_utf8(),
        }
    }
    None
}

mod tests {
    use super::*;

    #[test]
    fn modules_are_found_where_the_compiler_finds_them() {
        let sources = [
            Source::new("src/lib.rs", "mod a;\n#[cfg(test)]\nmod b;\n// mod no;\nmod inline {}\n"),
            Source::new("src/a/mod.rs", "pub(crate) mod c;\n"),
            Source::new("src/a/c.rs", "#[cfg(test)]\nmod tests;\n"),
            Source::new("src/a/c/tests.rs", ""),
            Source::new("src/b.rs", "#[path = \"../x/d.rs\"]\nmod d;\n"),
            Source::new("x/d.rs", ""),
            Source::new("src/dead.rs", ""),
        ];
        let modules = modules(&sources, "src/lib.rs");
        let found: Vec<_> =
            modules.iter().map(|(path, module)| (&**path, &*module.file, module.is_product)).collect();
        assert_eq!(
            found,
            [
                ("crate", "src/lib.rs", true),
                ("crate::a", "src/a/mod.rs", true),
                ("crate::a::c", "src/a/c.rs", true),
                ("crate::a::c::tests", "src/a/c/tests.rs", false),
                ("crate::b", "src/b.rs", false),
                ("crate::b::d", "x/d.rs", false),
            ]
        );
    }

    #[test]
    fn functions_are_as_long_as_their_signatures_and_bodies() {
        let code = "fn a(b: [u8; 2]) -> u8 {\n    c(|| {})\n}\ntrait T { fn d(); }\nlet fn_e = f;\nfn g() {}";
        let found: Vec<_> = functions(code).into_iter().map(|(_, name, lines)| (name, lines)).collect();
        assert_eq!(found, [("a", 3), ("g", 1)]);
    }

    #[test]
    fn a_source_knows_its_room_and_folder() {
        let source = Source::new("src/meta/journal/line.rs", "");
        assert_eq!((source.room(), source.folder()), ("meta", "src/meta/journal"));
        assert_eq!(Source::new("src/lib.rs", "").room(), "the crate's root");
        assert_eq!(Source::new("tests/attack/slow.rs", "").room(), "tests");
    }
}
